package logtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Portable is a log that can be taken from one backend to another.
type Portable interface {
	eventlog.Log
	eventlog.Exporter
}

// Importing is one that takes in another's records.
type Importing interface {
	Portable
	eventlog.Importer
}

// Route is a way from one backend to another.
type Route struct {
	// Source is an empty log.
	Source Portable
	// Target opens the log that it is taken to, each time the same; it is made with
	// the identity. What it opens is closed by tb.Cleanup.
	Target func(id eventlog.Identity) (Importing, error)
	// Advance moves the clock of both.
	Advance func(time.Duration)
	// KeyMemory is how long both remember a source's id, at least an hour.
	KeyMemory time.Duration
}

// PortCase is one sentence of what is promised of a log that is taken elsewhere.
type PortCase struct {
	Name string
	// Rule is the sentence.
	Rule string
	Run  func(tb testing.TB, r *Route)
}

// RunPort runs all cases of a way from one backend to another, each on logs of its own.
func RunPort(t *testing.T, make func(tb testing.TB) *Route) {
	for _, c := range PortCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Logf("rule: %s", c.Rule)
			c.Run(t, make(t))
		})
	}
}

// PortCases returns the suite of logs that are taken elsewhere.
func PortCases() []PortCase {
	return []PortCase{
		{"port/all", "Records, ids, tree, keys of entries and the memory of source ids are the same, and the log goes on from there", portAll},
		{"port/empty", "A log without records is taken along with its identity", portEmpty},
		{"port/again", "Every step may be repeated, in other pages, also after the target was opened anew", portAgain},
		{"port/memory", "A source's id is remembered from when its event was recorded, and of two events the later has it", portMemory},
		{"port/other", "What is of another log, out of order, or not what its leaf commits to is refused", portOther},
	}
}

// populate gives a log records of each sort: more than a tile of events, among them
// such without a source id, with all that they can say and erased ones, and entries.
func populate(tb testing.TB, l eventlog.Log) {
	tb.Helper()
	shaped := shapes()
	for i := range shaped {
		shaped[i].SourceID = fmt.Sprintf("shape-%d", i)
	}
	do(tb, l, shaped[:4]...)
	for n := range 30 {
		some := make([]eventlog.Event, 20)
		for i := range some {
			some[i] = event(1000 + 20*n + i)
		}
		some = append(some, event(n))
		some[20].SourceID = ""
		do(tb, l, some...)
		note(tb, l, entry(10*n), entry(10*n+1))
	}
	erase(tb, l, 3, 100, 101, 300, 513, head(tb, l))
}

// target opens the target.
func (r *Route) target(tb testing.TB) Importing {
	tb.Helper()
	id, err := r.Source.Identity(tb.Context())
	if err != nil {
		tb.Fatalf("Identity: got %v, want no error", err)
	}
	l, err := r.Target(id)
	if err != nil {
		tb.Fatalf("Target: got %v, want no error", err)
	}
	return l
}

// take takes everything to a log, in pages.
func take(tb testing.TB, from eventlog.Exporter, to eventlog.Importer, page int) {
	tb.Helper()
	ctx := tb.Context()
	check := func(what string, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("%s: got %v, want no error", what, err)
		}
	}
	for after := uint64(0); ; {
		records, err := from.Stored(ctx, after, page)
		check("Stored", err)
		if len(records) == 0 {
			break
		}
		check("Import", to.Import(ctx, records))
		after = records[len(records)-1].Seq
	}
	for place, again := "", true; again; again = place != "" {
		keys, next, err := from.SourceKeys(ctx, place, page)
		check("SourceKeys", err)
		check("ImportSourceKeys", to.ImportSourceKeys(ctx, keys))
		place = next
	}
	for place, again := "", true; again; again = place != "" {
		refs, next, err := from.EntryRefs(ctx, place, page)
		check("EntryRefs", err)
		check("ImportEntryRefs", to.ImportEntryRefs(ctx, refs))
		place = next
	}
}

// alike fails unless two logs are the same in all that can be seen of them.
func alike(tb testing.TB, want, got Portable) {
	tb.Helper()
	same(tb, "records", all(tb, want), all(tb, got))
	if w, g := treeOf(tb, want), treeOf(tb, got); w != g {
		tb.Errorf("tree: got %d %x, want %d %x", g.Size, g.Root, w.Size, w.Root)
	}
	for level := range 2 {
		w, wantErr := want.StoredNodes(tb.Context(), level+1, 0, 10)
		g, err := got.StoredNodes(tb.Context(), level+1, 0, 10)
		if wantErr != nil || err != nil || fmt.Sprint(w) != fmt.Sprint(g) {
			tb.Errorf("nodes of level %d: got %x, %v, want %x, %v", level+1, g, err, w, wantErr)
		}
	}
	for n := range 3 {
		e := entry(n)
		for _, ref := range e.Refs {
			span := eventlog.Span{Max: 1000}
			same(tb, "entries of "+ref, entries(tb, want, e.Kind, ref, span), entries(tb, got, e.Kind, ref, span))
		}
	}
}

func portAll(tb testing.TB, r *Route) {
	populate(tb, r.Source)
	to := r.target(tb)
	take(tb, r.Source, to, 100)
	alike(tb, r.Source, to)
	records := all(tb, r.Source)
	for _, rec := range []*eventlog.Record{records[0], records[99], records[400]} {
		got, err := to.Get(tb.Context(), rec.ID)
		if err != nil {
			tb.Fatalf("Get: got %v, want no error", err)
		}
		same(tb, "by public id", []*eventlog.Record{rec}, []*eventlog.Record{got})
	}
	was := treeOf(tb, to)
	// The memory of source ids, of erased events too.
	again(tb, "the same event", eventlog.Appended{ID: records[4].ID, Seq: records[4].Seq}, do(tb, to, event(1000))[0])
	changed := event(1000)
	changed.Type = "other"
	var conflict *eventlog.ConflictError
	if a := do(tb, to, changed)[0]; !errors.As(a.Err, &conflict) || conflict.FirstID != records[4].ID {
		tb.Errorf("the same source id with other content: got %+v, want a conflict with %s", a, records[4].ID)
	}
	// And it goes on.
	a := one(tb, to, event(1))
	if want := was.Size + 1; a.Seq != want {
		tb.Errorf("next: got seq %d, want %d", a.Seq, want)
	}
	now := treeOf(tb, to)
	proof, err := eventlog.ProveConsistency(tb.Context(), to, was.Size, now.Size)
	if err == nil {
		err = eventlog.CheckConsistency(proof, was, now)
	}
	if err != nil {
		tb.Errorf("consistency with the tree that was taken along: got %v, want no error", err)
	}
	if want := rootOf(leavesOf(all(tb, to))); now.Root != want {
		tb.Errorf("root: got %x, want %x", now.Root, want)
	}
}

func portEmpty(tb testing.TB, r *Route) {
	to := r.target(tb)
	take(tb, r.Source, to, 100)
	alike(tb, r.Source, to)
	from, to2 := one(tb, r.Source, event(1)), one(tb, to, event(1))
	if from.ID != to2.ID {
		tb.Errorf("public id: got %s, want %s", to2.ID, from.ID)
	}
}

func portAgain(tb testing.TB, r *Route) {
	populate(tb, r.Source)
	take(tb, r.Source, r.target(tb), 100)
	take(tb, r.Source, r.target(tb), 37)
	to := r.target(tb)
	take(tb, r.Source, to, 300)
	alike(tb, r.Source, to)
	for _, what := range []struct {
		name string
		list func(eventlog.Exporter) (string, error)
	}{
		{"source ids", func(l eventlog.Exporter) (string, error) {
			keys, _, err := l.SourceKeys(tb.Context(), "", 10_000)
			return fmt.Sprint(len(keys), keys), err
		}},
		{"keys of entries", func(l eventlog.Exporter) (string, error) {
			refs, _, err := l.EntryRefs(tb.Context(), "", 10_000)
			return fmt.Sprint(len(refs), refs), err
		}},
	} {
		want, wantErr := what.list(r.Source)
		got, err := what.list(to)
		if wantErr != nil || err != nil || got != want {
			tb.Errorf("%s: got %v, %.200s, want %v, %.200s", what.name, err, got, wantErr, want)
		}
	}
	// The order in which ids are forgotten is kept, too.
	r.Advance(r.KeyMemory + time.Minute)
	one(tb, to, event(1000))
}

func portMemory(tb testing.TB, r *Route) {
	first := one(tb, r.Source, event(1))
	r.Advance(r.KeyMemory / 2)
	second := one(tb, r.Source, event(2))
	r.Advance(r.KeyMemory/2 + time.Minute)
	third := one(tb, r.Source, event(1)) // forgotten by then
	if third.Seq == first.Seq {
		tb.Fatalf("got %+v, want a new event", third)
	}
	to := r.target(tb)
	take(tb, r.Source, to, 100)
	again(tb, "of two events the later", third, do(tb, to, event(1))[0])
	again(tb, "half of the time later", second, do(tb, to, event(2))[0])
	r.Advance(r.KeyMemory / 2)
	one(tb, to, event(2))
	again(tb, "the later is remembered", third, do(tb, to, event(1))[0])
}

func portOther(tb testing.TB, r *Route) {
	populate(tb, r.Source)
	to := r.target(tb)
	ctx := tb.Context()
	records, err := r.Source.Stored(ctx, 0, 20)
	if err != nil || len(records) != 20 {
		tb.Fatalf("Stored: got %d, %v, want 20", len(records), err)
	}
	refused := func(what string, want error, list []eventlog.Stored) {
		tb.Helper()
		if err := to.Import(ctx, list); !errors.Is(err, want) {
			tb.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	refused("a gap", eventlog.ErrOtherLog, records[1:3])
	changed := append([]eventlog.Stored(nil), records...)
	changed[5].Canonical = append([]byte(nil), changed[5].Canonical...)
	changed[5].Canonical[10] ^= 1
	refused("a record that was changed", eventlog.ErrLeaf, changed)
	if n := head(tb, to); n != 0 {
		tb.Errorf("after refusals: got %d records, want none", n)
	}
	if err := to.Import(ctx, records); err != nil {
		tb.Fatalf("Import: got %v, want no error", err)
	}
	erased := append([]eventlog.Stored(nil), records...)
	erased[7].Salt, erased[7].Canonical = nil, nil
	erased[7].Leaf = make([]byte, eventlog.HashSize)
	refused("another record at a place", eventlog.ErrOtherLog, erased)
	if _, err := r.Target(eventlog.Identity{IDKey: [eventlog.IDKeySize]byte{1}}); !errors.Is(err, eventlog.ErrOtherLog) {
		tb.Errorf("another identity: got %v, want ErrOtherLog", err)
	}
}
