// Package memjournal is a journal in memory, for tests and for receivers that need
// not know after a restart what their hooks have done: those are run again then.
package memjournal

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// key is the identity of an entry.
type key struct {
	journal.Event
	hook, effect string
}

// Journal is a [journal.Journal] in memory, bounded by number alone.
type Journal struct {
	max int

	mu      sync.Mutex
	seq     uint64
	entries map[key]*journal.Entry
	byEvent map[journal.Event][]*journal.Entry // in the order of Seq
	order   []*journal.Entry                   // in the order of Seq; what is gone has none
	gone    int                                // of order
	sums    map[journal.Total]journal.Total    // by the names in it
	states  map[journal.Digest]map[string]journal.State
	lanes   []journal.Digest                    // those of states, in the order in which they came
	denials map[journal.Digest]map[saying]int64 // of whom: by whose word, in milliseconds
	denied  []denial                            // the same in the order in which they came
}

// saying is whose word it is, and to which hook.
type saying struct{ issuer, hook string }

// denial is a word about one.
type denial struct {
	of journal.Digest
	saying
	at int64
}

var _ journal.Journal = (*Journal)(nil)

// New returns a journal of at most max entries; zero: journal.DefaultMaxEntries.
func New(max int) *Journal {
	if max <= 0 {
		max = journal.DefaultMaxEntries
	}
	return &Journal{
		max: max, entries: map[key]*journal.Entry{}, byEvent: map[journal.Event][]*journal.Entry{},
		sums: map[journal.Total]journal.Total{}, states: map[journal.Digest]map[string]journal.State{},
		denials: map[journal.Digest]map[saying]int64{},
	}
}

// Record keeps entries.
func (j *Journal) Record(_ context.Context, entries ...journal.Entry) error {
	for i := range entries {
		if err := entries[i].Check(); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range entries {
		j.record(e)
	}
	return nil
}

func (j *Journal) record(e journal.Entry) {
	k := key{e.Event, e.Hook, e.Effect}
	if old := j.entries[k]; old != nil {
		if old.Verdict == journal.Done && !e.Verdict.Settled() {
			return
		}
		j.drop(old)
	}
	j.hear(&e)
	if e.Told() {
		j.tell(e.Lane, e.Hook, journal.State{Effect: e.Effect, Time: millis(e.Time)})
	}
	j.seq++
	e.Seq, e.Lane, e.Whom = j.seq, journal.Digest{}, ""
	e.Detail, e.Err = journal.CutText(e.Detail), journal.CutText(e.Err)
	e.Time, e.At, e.Took = millis(e.Time), millis(e.At), e.Took.Truncate(time.Millisecond)
	j.entries[k] = &e
	j.byEvent[e.Event] = append(j.byEvent[e.Event], &e)
	j.order = append(j.order, &e)
	j.count(&e, 1)
	for len(j.entries) > j.max || j.order[0].Seq == 0 {
		j.drop(j.order[0])
		j.order, j.gone = j.order[1:], j.gone-1
	}
	if j.gone > len(j.order)/2 {
		j.order, j.gone = slices.DeleteFunc(j.order, func(e *journal.Entry) bool { return e.Seq == 0 }), 0
	}
}

// tell remembers a state unless a newer one is known.
func (j *Journal) tell(lane journal.Digest, hook string, s journal.State) {
	if j.states[lane] == nil {
		j.states[lane] = map[string]journal.State{}
		if j.lanes = append(j.lanes, lane); len(j.lanes) > j.max {
			delete(j.states, j.lanes[0])
			j.lanes = j.lanes[1:]
		}
	}
	if known, ok := j.states[lane][hook]; !ok || !known.Time.After(s.Time) {
		j.states[lane][hook] = s
	}
}

// hear keeps the word that an entry is.
func (j *Journal) hear(e *journal.Entry) {
	who, at := saying{e.Issuer, e.Hook}, e.Time.UnixMilli()
	until, back := e.TakesBack()
	for _, of := range e.Whom.Digests() {
		known, denied := j.denials[of][who]
		switch {
		case back && denied && known <= until:
			j.forget(of, who)
		case e.Effect != journal.WordDeny || denied && known > at:
		default:
			if j.denials[of] == nil {
				j.denials[of] = map[saying]int64{}
			}
			j.denials[of][who] = at
			j.denied = append(j.denied, denial{of, who, at})
		}
	}
	for len(j.denied) > j.max {
		if first := j.denied[0]; j.denials[first.of][first.saying] == first.at {
			j.forget(first.of, first.saying)
		}
		j.denied = j.denied[1:]
	}
}

func (j *Journal) forget(of journal.Digest, who saying) {
	if delete(j.denials[of], who); len(j.denials[of]) == 0 {
		delete(j.denials, of)
	}
}

// Denials returns which hooks others have deny one of whom.
func (j *Journal) Denials(_ context.Context, issuer string, whom journal.Whom) (map[string]time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := map[string]time.Time{}
	for _, of := range whom.Digests() {
		for who, at := range j.denials[of] {
			if who.issuer != issuer {
				journal.Later(list, who.hook, time.UnixMilli(at))
			}
		}
	}
	return list, nil
}

// count adds n times e to the sums.
func (j *Journal) count(e *journal.Entry, n int) {
	of := journal.Total{Rule: e.Rule, Hook: e.Hook, Effect: e.Effect, Verdict: e.Verdict}
	sum, known := j.sums[of]
	if !known {
		sum = of
	}
	sum.Entries += n
	if e.Ended < 0 {
		sum.Unknown += n
	} else {
		sum.Ended += n * e.Ended
	}
	if j.sums[of] = sum; sum.Entries == 0 {
		delete(j.sums, of)
	}
}

// drop forgets an entry; one that is gone already is left alone.
func (j *Journal) drop(e *journal.Entry) {
	if e.Seq == 0 {
		return
	}
	j.count(e, -1)
	delete(j.entries, key{e.Event, e.Hook, e.Effect})
	rest := slices.DeleteFunc(j.byEvent[e.Event], func(o *journal.Entry) bool { return o == e })
	if j.byEvent[e.Event] = rest; len(rest) == 0 {
		delete(j.byEvent, e.Event)
	}
	e.Seq = 0
	j.gone++
}

// Of returns the entries of an event.
func (j *Journal) Of(_ context.Context, event journal.Event) ([]journal.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []journal.Entry
	for _, e := range j.byEvent[event] {
		list = append(list, *e)
	}
	return list, nil
}

// States returns the state of each hook about a lane.
func (j *Journal) States(_ context.Context, lane journal.Digest) (map[string]journal.State, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.states[lane]), nil
}

// List returns entries, the newest first.
func (j *Journal) List(_ context.Context, q journal.Query) ([]journal.Entry, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []journal.Entry
	for _, e := range slices.Backward(j.order) {
		if len(list) == q.Max {
			break
		}
		if e.Seq != 0 && fits(q, e) {
			list = append(list, *e)
		}
	}
	return list, nil
}

func fits(q journal.Query, e *journal.Entry) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(q.Feed, e.Feed) && is(q.Issuer, e.Issuer) && is(q.ID, e.ID) && is(q.TransactionID, e.TransactionID) &&
		is(q.Hook, e.Hook) && is(string(q.Verdict), string(e.Verdict)) && (q.Before == 0 || e.Seq < q.Before)
}

// Totals returns the sums.
func (j *Journal) Totals(context.Context) ([]journal.Total, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.SortedFunc(maps.Values(j.sums), func(a, b journal.Total) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Effect, b.Effect), cmp.Compare(a.Verdict, b.Verdict))
	}), nil
}

// Close does nothing.
func (j *Journal) Close() error { return nil }

func millis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
