package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Limits of a search.
const (
	MaxLimit     = 100  // hits of a page as the API has it
	MaxPage      = 1000 // hits of a page
	MaxTotalHits = 1000 // counted of all pages
	MaxTerms     = 64   // values of all filters together
)

// Query says which events are wanted; its zero value, all of them. Every filter
// that is set must hold; of a list, one value. What an event does not have
// matches no value.
//
// Times are compared in whole milliseconds. An event's time is when it
// happened, else when it was recorded ([Record.At]).
type Query struct {
	Types        []string
	Categories   []string
	Sources      []string
	Environments []string
	// Subjects: events that mention one of them (see Mentions).
	Subjects     []subject.Identifier
	Identifiers  []string
	Emails       []string
	Actors       []string
	Sessions     []string
	Applications []string // at the source
	LinkedIDs    []string
	Fingerprints []string
	// Addresses are networks; a bare address is one of 32 or 128 bits. IPv4
	// addresses are in IPv4 networks alone.
	Addresses []netip.Prefix
	Suspect   *bool
	// Signals match those that have the signal, with this value.
	Signals map[string]bool
	// Tags match those that have each of them.
	Tags map[string]string
	// MinScore is the least risk score; nil: any or none.
	MinScore *float64

	// Owner is the application of ours that looks: events that are not for it
	// are none, and annotations are those that it sees. Empty: an operator, who
	// sees all.
	Owner string

	// Start and End are exclusive; zero: no bound.
	Start, End time.Time
	// Head hides what was recorded after the sequence number, so that pages
	// stay what they were while events arrive; 0: nothing is hidden.
	Head uint64
	// Reverse: oldest first, else newest first.
	Reverse bool
	// After is the hit behind which the page begins; nil: at the beginning.
	After *Hit
	// Limit is how many hits are wanted, 1 to [MaxPage].
	Limit int
	// TotalHits, if above 0, has the matches of all pages counted, up to it.
	TotalHits int
}

// Hit is an event that matches: its time in milliseconds and its place, which
// are its order.
type Hit struct {
	Millis int64
	Seq    uint64
	// Noted: there are annotations of it.
	Noted bool
}

// Before reports whether h comes before o in time, then in the log.
func (h Hit) Before(o Hit) bool {
	return h.Millis < o.Millis || h.Millis == o.Millis && h.Seq < o.Seq
}

// Page is what a search found.
type Page struct {
	Hits []Hit
	// More: there are hits after the last.
	More bool
	// Total are the matches of all pages, at most Query.TotalHits.
	Total int
}

// BehindError: the index has so much of the log still to read that it does not
// answer; it is being built anew.
type BehindError struct{ Place, Head uint64 }

// Error tells how far it has come.
func (e *BehindError) Error() string {
	return fmt.Sprintf("eventlog: the index is being built: %d of %d records", e.Place, e.Head)
}

// ErrPaced: the index trails the log by too much for more to be appended now.
var ErrPaced = errors.New("eventlog: the index trails the log by too much")

// Index finds events of a [Log]. It follows the log, keeps its own place in it,
// and can be built anew at any time. What it has not come to yet it reads from
// the log, so that an event is found once Append has returned. Safe for
// concurrent use.
type Index interface {
	// Search returns a page of the events that match, annotations applied.
	// It costs about the page where one of the filters is selective, and ends
	// with ctx. Erased events are not found. Error: *BehindError.
	Search(ctx context.Context, q *Query) (Page, error)
	// Of returns the sequence numbers of events that mention one of the
	// identifiers (see Mentions), in order: those after and before the given
	// numbers (before 0: no bound), at most max of them. Error: *BehindError.
	Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error)
	// Wait waits until the record at seq is indexed, or ctx ends.
	Wait(ctx context.Context, seq uint64) error
	// Place returns the sequence number of the last indexed record.
	Place() uint64
	// Forget removes records from the index, from its files too. Erase them in
	// the log first: then none of them comes back.
	Forget(ctx context.Context, seqs ...uint64) error
	// Rebuild empties the index; it is then built anew from the log by Run.
	Rebuild(ctx context.Context) error
	// Run follows the log until ctx ends. One Run at a time.
	Run(ctx context.Context) error
}

// Pacer is an index that holds up appends while it trails too far.
type Pacer interface {
	// Pace returns at once while the index keeps up; else it waits, for a
	// bounded time. Errors: ErrPaced; ctx's.
	Pace(ctx context.Context) error
}

// At returns the event's time as searches have it, in milliseconds.
func (r *Record) At() int64 {
	if r.Time.IsZero() {
		return r.Recorded.UnixMilli()
	}
	return r.Time.UnixMilli()
}

// Mentions returns the subject identifiers that the event is about: its
// subjects, those of its mapped events, the members of complex ones and the
// identifiers of aliases, and those among its attributes. Some may come twice.
func Mentions(e *Event) []subject.Identifier {
	ids := mentions(nil, e.Subjects)
	for i := range e.Mapped {
		ids = mentions(ids, e.Mapped[i].Subjects)
	}
	return append(ids, e.Attributes.Subjects()...)
}

func mentions(ids, of []subject.Identifier) []subject.Identifier {
	for _, id := range of {
		for _, part := range id.Parts() {
			ids = append(ids, part)
		}
	}
	return ids
}
