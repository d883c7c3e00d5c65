// Package journal keeps what each hook did about each event: the contract [Journal].
// Backends pass the suite in journal/journaltest; journal/sqlitejournal is the
// durable one, journal/memjournal the one for tests and for who needs no memory.
//
// It has two readers. The policy asks it at every attempt what is done already, so
// that a retry runs only what is missing, and which state a hook was told last, so
// that an older one never overrides it (docs/contracts.md §8). People ask it what
// became of a signal: "session-revoked of 12:03 ended 3 sessions".
//
// No SET, no subject and no identifier is kept: a subject is a digest.
package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrClosed: the journal was closed.
var ErrClosed = errors.New("journal: closed")

// Bounds on one entry and on what is kept.
const (
	MaxNameBytes = 128  // the name of a hook, an effect, a rule, a scope
	MaxTextBytes = 1024 // a detail or an error; a longer one is cut
	MaxFeedBytes = 2048 // feed, issuer, event type
	MaxIDBytes   = 1024 // jti, txn
	MaxPage      = 1000 // entries of one page
	MaxWhom      = 16   // digests of whom one entry is about

	// DefaultMaxEntries and DefaultRemember bound what is kept unless configured.
	DefaultMaxEntries = 1_000_000
	DefaultRemember   = 90 * 24 * time.Hour
	// MinRemember is longer than an inbox tries a hook again.
	MinRemember = 7 * 24 * time.Hour
)

// Verdict is what became of one asking of a hook.
type Verdict string

// The verdicts.
const (
	// Done: the hook did it.
	Done Verdict = "done"
	// Failed: it is asked again later, unless the event was set aside meanwhile.
	Failed Verdict = "failed"
	// Skipped: not applicable to the hook.
	Skipped Verdict = "skipped"
	// Outdated: not asked, since it was told of a newer state before.
	Outdated Verdict = "outdated"
	// Held: not asked to allow, since another issuer still denies.
	Held Verdict = "held"
	// SetAside: given up; it is asked again when somebody sends the event again.
	SetAside Verdict = "set-aside"
	// Dry: in a dry run; Ended is how many sessions would have ended.
	Dry Verdict = "dry"
	// Unmet: the event as a whole, without a hook: sessions were to be ended, and
	// to no hook was it applicable.
	Unmet Verdict = "unmet"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict {
	return []Verdict{Done, Failed, Skipped, Outdated, Held, SetAside, Dry, Unmet}
}

// Settled reports whether v is an end: the hook is not asked at the next attempt.
func (v Verdict) Settled() bool { return v != Failed && v != SetAside }

// Event is the identity of an event: a jti is unique within a feed of an issuer.
type Event struct{ Feed, Issuer, ID string }

// Unknown is the number of ended sessions where a hook cannot tell it.
const Unknown = -1

// Entry is what one hook did about one event to one effect. (Event, Hook, Effect) is
// its identity: a later attempt takes the place of the earlier.
type Entry struct {
	Event
	// Type and TransactionID are the event type URI and the txn.
	Type, TransactionID string
	// Scope is the kind of whom the event is about: "user", "session"; never who.
	Scope string
	// Time is the event's time, kept in whole milliseconds, as At is.
	Time time.Time
	// Rule is the rule that chose, Hook the hook's name (empty: the event as a
	// whole), Effect what was asked for.
	Rule, Hook, Effect string

	Verdict Verdict
	// Attempt is that of the event, from 1.
	Attempt int
	// Ended is how many sessions were ended, or [Unknown].
	Ended int
	// Detail is the hook's own word, Err why it failed.
	Detail, Err string
	// At is when the hook had answered, Took how long that had taken, in whole
	// milliseconds.
	At   time.Time
	Took time.Duration

	// Lane is whom the event is about where Effect is a state that lasts; zero
	// otherwise. If the verdict is Done or Held, it is remembered as the [State] of
	// Lane and Hook. It does not come back from queries.
	Lane Digest
	// Whom, if there is any, makes of the entry the issuer's word about them to the hook,
	// whatever the verdict: Effect "deny" is one that stands until the issuer's "allow" of
	// the same time or later, or its "forget" of a later time. See [Journal.Denials]. It
	// does not come back from queries either.
	Whom Whom

	// Seq is the place in the journal, from 1; a later attempt has a later place.
	// Set by the journal.
	Seq uint64
}

// Check reports what of an entry is missing or beyond the bounds.
func (e *Entry) Check() error {
	for _, field := range []struct {
		name, value string
		min, max    int
	}{
		{"feed", e.Feed, 0, MaxFeedBytes},
		{"issuer", e.Issuer, 1, MaxFeedBytes},
		{"jti", e.ID, 1, MaxIDBytes},
		{"event type", e.Type, 0, MaxFeedBytes},
		{"txn", e.TransactionID, 0, MaxIDBytes},
		{"scope", e.Scope, 0, MaxNameBytes},
		{"rule", e.Rule, 0, MaxNameBytes},
		{"hook", e.Hook, 0, MaxNameBytes},
		{"effect", e.Effect, 1, MaxNameBytes},
	} {
		if n := len(field.value); n < field.min || n > field.max {
			return fmt.Errorf("journal: %s of %d bytes, want %d to %d", field.name, n, field.min, field.max)
		}
	}
	if !slices.Contains(Verdicts(), e.Verdict) {
		return fmt.Errorf("journal: unknown verdict %q", e.Verdict)
	}
	if len(e.Whom)%DigestSize != 0 || len(e.Whom) > MaxWhom*DigestSize {
		return fmt.Errorf("journal: whom of %d bytes, want at most %d digests", len(e.Whom), MaxWhom)
	}
	return nil
}

// The effects that are an issuer's word, in an entry that has Whom.
const (
	WordDeny   = "deny"
	WordAllow  = "allow"
	WordForget = "forget"
)

// TakesBack returns the time up to which, and with it, the entry's issuer takes back what it
// denied, in milliseconds; false if the entry takes nothing back.
func (e *Entry) TakesBack() (until int64, ok bool) {
	switch e.Effect {
	case WordAllow:
		return e.Time.UnixMilli(), true
	case WordForget:
		return e.Time.UnixMilli() - 1, true
	}
	return 0, false
}

// Told reports whether the entry is a state that its hook was told.
func (e *Entry) Told() bool { return e.Lane != (Digest{}) && (e.Verdict == Done || e.Verdict == Held) }

// State is the lasting state that a hook was told last about somebody: of several
// the one with the latest time, and of those with the same time the last told.
type State struct {
	Effect string
	Time   time.Time
}

// Query says which entries are wanted; zero fields ask for nothing.
type Query struct {
	Feed, Issuer, ID, TransactionID, Hook string
	Verdict                               Verdict
	// Before continues a page: only entries whose Seq is below it; 0: from the newest.
	Before uint64
	// Max bounds the answer, 1 to [MaxPage].
	Max int
}

// Check reports a Query that cannot be answered.
func (q *Query) Check() error {
	if q.Max < 1 || q.Max > MaxPage {
		return fmt.Errorf("journal: a page of %d entries, want 1 to %d", q.Max, MaxPage)
	}
	if q.Verdict != "" && !slices.Contains(Verdicts(), q.Verdict) {
		return fmt.Errorf("journal: unknown verdict %q", q.Verdict)
	}
	return nil
}

// Total sums what is kept of one rule, hook, effect and verdict.
type Total struct {
	Rule    string  `json:"rule"`
	Hook    string  `json:"hook"`
	Effect  string  `json:"effect"`
	Verdict Verdict `json:"verdict"`
	// Entries is how many there are, Ended the sum of the sessions they ended,
	// Unknown how many of them cannot tell.
	Entries int `json:"entries"`
	Ended   int `json:"ended"`
	Unknown int `json:"unknown"`
}

// Journal keeps what hooks did. Safe for concurrent use by one process, or by several
// where the backend says so.
type Journal interface {
	// Record keeps entries, all or none, durable on return: they survive a power
	// cut. Concurrent calls share one commit. Texts that are too long are cut; any
	// other error is one of an entry (see [Entry.Check]) or of the store, and then
	// nothing was kept.
	//
	// What is done stays so: an entry that failed or was set aside, of a process that is
	// late to tell, does not take the place of one that is done, nor is its word kept.
	//
	// What is beyond the journal's age or number goes, the oldest first, at a cost
	// that depends on the entries recorded, not on those kept. Denials have no age: one
	// stands until it is taken back, or is the oldest of too many.
	Record(ctx context.Context, entries ...Entry) error
	// Of returns the entries of an event, in the order of their Seq.
	Of(ctx context.Context, event Event) ([]Entry, error)
	// States returns the state of each hook, by its name, about a lane.
	States(ctx context.Context, lane Digest) (map[string]State, error)
	// Denials returns which hooks are to deny one of whom by the word of another issuer
	// than issuer, and the time of the latest such word. What Record returned is seen.
	Denials(ctx context.Context, issuer string, whom Whom) (map[string]time.Time, error)
	// List returns the entries that fit q, the newest first.
	List(ctx context.Context, q Query) ([]Entry, error)
	// Totals returns the sums of all that is kept, sorted by rule, hook, effect and
	// verdict, at a cost that does not grow with the entries.
	Totals(ctx context.Context) ([]Total, error)
}

// Later keeps under a hook's name the later of two times.
func Later(list map[string]time.Time, hook string, at time.Time) {
	if known, ok := list[hook]; !ok || at.After(known) {
		list[hook] = at
	}
}

// CutText returns text shortened to [MaxTextBytes], valid UTF-8.
func CutText(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= MaxTextBytes {
		return text
	}
	cut := MaxTextBytes
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut]
}
