// Package consent says which account events an application may hear of: those
// of subjects who consented to it.
//
// Decisions (grant, deny, revoke) and the settings of an application's gate are
// entries of the event log, so the state at any place of the log is what was
// decided before it, and everything follows from the log alone:
//
//   - An event passes for an application if its gate was off at the event's
//     place, or the subject's newest decision before it was a grant.
//   - Else it is held. The first grant after it releases it, unless it was
//     dropped before: its hold period was over, or a refusal (denial or
//     revocation) dropped it.
//   - What was released stays released, whatever is decided later.
//
// A subject is known by any of its identifiers, those among an event's attributes
// too: a decision that names one of them is about all events that bear it. [Gate] answers for any event;
// [Follower] does so in the order of the log, for the fan-out.
package consent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Limits of a decision.
const (
	MaxIdentifiers     = 16      // of its subject
	MaxIdentifierBytes = 3 << 10 // canonical form of one
	MaxReasonBytes     = 1 << 10
	MaxSourceIDBytes   = 256
	// pageSize is how many entries are read at a time.
	pageSize = 256
)

// InvalidError: a decision or a setting that cannot be kept.
type InvalidError struct{ Member, Description string }

// Error names the member at fault and says why; it repeats no value.
func (e *InvalidError) Error() string { return "consent: " + e.Member + " " + e.Description }

// ConflictError: the source id was used before, for another decision.
type ConflictError struct{ FirstID string }

// Error tells the id of the decision that has the source id.
func (e *ConflictError) Error() string {
	return "consent: source_id already used by decision " + e.FirstID
}

// ErrPlace: not the id of a decision from which a list can go on.
var ErrPlace = errors.New("consent: no place in this list")

// Log is what the gate asks of the event log.
type Log interface {
	eventlog.Journal
	Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error)
	Record(ctx context.Context, seq uint64) (*eventlog.Record, error)
	Get(ctx context.Context, id string) (*eventlog.Record, error)
}

// Gate is the view of a log. Gates alone write its entries. Safe for
// concurrent use.
type Gate struct {
	log Log
	now func() time.Time

	// deciding is held by a decision that is noted or not by what is there; for
	// reading by one that is noted in any case.
	deciding sync.RWMutex

	// every is how old what is known of settings may be where other processes
	// note some; 0: there are none.
	every time.Duration

	mu     sync.RWMutex // held over the noting of settings
	loaded bool
	gates  map[string][]setting // by application, in the order of the log
	upTo   uint64               // all settings up to there are known
	read   time.Time            // when that was found
}

// New returns the gate of a log. now is the clock; nil: time.Now.
func New(log Log, now func() time.Time) *Gate {
	if now == nil {
		now = time.Now
	}
	return &Gate{log: log, now: now, gates: make(map[string][]setting)}
}

// Share tells the gate that other processes note settings in the log, too. What
// they noted counts within every. It is called before the gate is used.
func (g *Gate) Share(every time.Duration) { g.every = every }

// Identifiers returns all by which the user of an event is known: its subjects,
// those of what it was mapped to, and those among its attributes; of a complex
// one the user, of aliases each; none twice.
//
// Who stands in a subject as something else, its device or its tenant, is not
// its user: what was decided of an id there would let through the events of
// whoever has the same id as a user.
func Identifiers(rec *eventlog.Record) []subject.Identifier {
	list := users(nil, rec.Subjects)
	for i := range rec.Mapped {
		list = users(list, rec.Mapped[i].Subjects)
	}
	return users(list, rec.Attributes.Subjects())
}

// users appends those that stand in identifiers on their own or as the user,
// each once.
func users(list, ids []subject.Identifier) []subject.Identifier {
	for _, id := range ids {
		for under, part := range id.Parts() {
			if (under == "" || under == subject.MemberUser) && !holds(list, part) {
				list = append(list, part)
			}
		}
	}
	return list
}

func holds(list []subject.Identifier, id subject.Identifier) bool {
	for _, other := range list {
		if other.Equal(id) {
			return true
		}
	}
	return false
}

// The keys under which entries are found.
const (
	refGates = "gates"     // all settings
	refGate  = "gate\x00"  // an application's settings
	refApp   = "app\x00"   // an application's decisions
	refID    = "id\x00"    // source ids
	refState = "state\x00" // decisions about a subject
	refGrant = "grant\x00" // those that are grants
	refEnd   = "end\x00"   // those that are denials and revocations
)

// of returns the key of an application's entries about an identifier.
func of(prefix, application string, id subject.Identifier) string {
	return prefix + application + "\x00" + id.Canonical()
}

// each calls fn for the entries with a key, page by page, until it returns false.
func (g *Gate) each(ctx context.Context, ref string, span eventlog.Span, fn func(*eventlog.Record) bool) error {
	span.Max = pageSize
	for {
		page, err := g.log.Entries(ctx, eventlog.KindConsent, ref, span)
		if err != nil {
			return fmt.Errorf("consent: %w", err)
		}
		for _, rec := range page {
			if !fn(rec) {
				return nil
			}
			span.After = rec.Seq
		}
		if len(page) == 0 {
			return nil
		}
	}
}
