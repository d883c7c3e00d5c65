// Package acts keeps the administrative acts at a receiver, which has no event log to
// have them in: the contract [Store], and what is asked of it ([List]). Backends pass the
// suite in acts/actstest: acts/sqliteacts is one file, acts/redisacts is shared by
// several processes.
//
// An act has the shape that it has in a transmitter's log ([eventlog.Act]). It is kept as
// it is asked for, before anything is done, and gets its outcome after. Nobody signs
// these acts: who can write the store can change them (docs/audit.md).
package acts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds of what is kept.
const (
	// MaxActs and Remember bound what is kept unless configured: what is beyond either
	// goes, the oldest first.
	MaxActs  = 100_000
	Remember = 365 * 24 * time.Hour

	MaxActBytes = 16 << 10 // one act, as JSON
	MaxPage     = 500      // acts of one page
	// ForgetPerAct is how many old acts go with each new one, at most: more than one, so
	// that forgetting catches up.
	ForgetPerAct = 2
)

// ErrTooLarge: an act of more than MaxActBytes.
var ErrTooLarge = errors.New("acts: the act is too large to be kept")

// Kept is an act as it is kept.
type Kept struct {
	// Seq is its place, from 1; a later act has a later place.
	Seq uint64
	// Time is when it was noted, in whole milliseconds.
	Time time.Time
	Act  eventlog.Act
}

// Store keeps acts. Safe for concurrent use by one process, or by several where the
// backend says so.
type Store interface {
	// Note keeps an act and returns its place. It is durable on return: it survives a
	// power cut. What is beyond age or number goes. Errors: ErrTooLarge; the store's, and
	// then the act may be kept all the same.
	Note(ctx context.Context, act *eventlog.Act) (seq uint64, err error)
	// Settle puts what became of the act at seq in its place, durable on return; its time
	// stays. An act that has gone meanwhile is none to settle, and no error.
	Settle(ctx context.Context, seq uint64, act *eventlog.Act) error
	// Page returns at most max acts that have a key (see [Keys]), the newest first: those
	// before a place, 0 being behind the last. What Note and Settle returned is seen. max
	// is 1 to MaxPage.
	Page(ctx context.Context, key string, before uint64, max int) ([]Kept, error)
}

// Keys are those by which an act is found: [eventlog.RefAll], and by its name, by who
// did it, and by the id of each thing it is about.
func Keys(act *eventlog.Act) []string {
	keys := []string{eventlog.RefAll, eventlog.RefAct(act.Act)}
	if who := act.By.String(); who != "" {
		keys = append(keys, eventlog.RefActBy(who))
	}
	seen := map[string]bool{}
	for _, id := range act.Objects {
		if !seen[id] {
			keys = append(keys, eventlog.RefActOn(id))
			seen[id] = true
		}
	}
	return keys
}

// Pack returns an act as it is kept.
func Pack(act *eventlog.Act) ([]byte, error) {
	act.Form = eventlog.ActForm
	body, err := json.Marshal(act)
	if err != nil {
		return nil, fmt.Errorf("acts: %w", err)
	}
	if len(body) > MaxActBytes {
		return nil, ErrTooLarge
	}
	return body, nil
}

// Unpack reads an act as it is kept.
func Unpack(body []byte) (act eventlog.Act, err error) {
	if err := json.Unmarshal(body, &act); err != nil {
		return act, fmt.Errorf("acts: what is kept cannot be read: %w", err)
	}
	if act.Form != eventlog.ActForm {
		return act, fmt.Errorf("acts: what is kept has the form %d, which is not known", act.Form)
	}
	return act, nil
}
