package fanout_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// contracts.md §6: a replay sends from a time on again what the stream matches,
// in order, before what comes later, under jtis of its own round.
func TestReplay(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop", func(s *streams.Stream) { s.EventsDelivered = []string{purged} })
	g.stream("mail")
	jo, al := subject.Email("jo@example.com"), subject.Email("al@example.com")
	old := g.emitAbout([]subject.Identifier{jo})
	g.clock.Add(60)
	from := g.now()
	one := g.emitAbout([]subject.Identifier{jo})
	gone := g.emitAbout([]subject.Identifier{al})
	g.emitAbout([]subject.Identifier{jo}, "mail") // not for shop
	g.follow("", 0)
	if n := len(g.take("shop")); n != 3 {
		t.Fatalf("got %d SETs, want 3", n)
	}
	if _, err := g.log.Erase(t.Context(), gone.Seq); err != nil {
		t.Fatal(err)
	}
	g.replay("shop", "shop", from)
	next := g.emitAbout([]subject.Identifier{jo})
	g.replay("shop", "shop", time.Time{})
	g.follow("", 0)
	var got, ids []string
	for _, it := range g.take("shop") {
		got = append(got, it.Type)
		ids = append(ids, it.ID)
	}
	want := []string{one.JTI("shop", 3), next.JTI("shop", 1), old.JTI("shop", 5), one.JTI("shop", 5), next.JTI("shop", 5)}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if strings.Join(slices.Compact(got), " ") != purged {
		t.Errorf("types: got %v, want %s alone", got, purged)
	}
	if n := g.depth("mail"); n != 10 {
		t.Errorf("another stream: got %d SETs, want each once", n)
	}
	// What it was not sent, or before it began anew, is not replayed.
	if _, err := g.store.Update(t.Context(), "shop", func(s *streams.Stream) ([]streams.Item, error) {
		s.Epoch++
		s.From = next.Seq
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	g.replay("shop", "shop", time.Time{})
	g.replay("nobody", "shop", time.Time{})
	g.follow("", 0)
	if n := g.depth("shop"); n != 0 {
		t.Errorf("what was before it was enabled: got %d SETs, want none", n)
	}
}

// A replay that is interrupted anywhere ends with each SET queued once.
func TestReplayInterrupted(t *testing.T) {
	for _, point := range []string{fanout.CrashBeforeReplayPut, fanout.CrashAfterReplayPut} {
		g := newGated(t, t.TempDir())
		g.stream("shop")
		var want []string
		for _, rec := range g.emitMany(600, []subject.Identifier{subject.Opaque("jo")}, eventlog.Attributes{}) {
			want = append(want, rec.JTI("shop", 2), rec.JTI("shop", 3))
		}
		g.follow("", 0)
		if n := len(g.take("shop")); n != 1200 {
			t.Fatalf("got %d SETs, want 1200", n)
		}
		g.replay("shop", "shop", time.Time{})
		if g.follow(point, 2) {
			t.Fatalf("%s: the fan-out did not come there", point)
		}
		if err := g.store.SaveCursor(t.Context(), "fanout", 0); err != nil { // a power cut
			t.Fatal(err)
		}
		g.follow("", 0)
		if got := g.queue("shop"); !slices.Equal(got, want) {
			t.Errorf("%s: got %d SETs, want %d", point, len(got), len(want))
		}
	}
}

// A long replay keeps nobody else waiting: between its steps other streams get
// what comes meanwhile. Its own stream gets that behind what is sent again, and
// until then the fan-out's place is not beyond the order.
func TestReplayBeside(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop")
	g.set("shop", consent.Settings{Enabled: true})
	jo := []subject.Identifier{subject.Opaque("jo")}
	var want []string
	g.decide("shop", consent.Grant, jo...)
	old := g.emitMany(5*256, jo, eventlog.Attributes{}, "shop")
	g.follow("", 0)
	g.take("shop")
	g.stream("mail")
	g.replay("shop", "shop", time.Time{})
	order, err := g.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var meanwhile, held, last *eventlog.Record
	puts := 0
	g.cfg.Crash = func(point string) {
		if point != fanout.CrashBeforeReplayPut {
			return
		}
		switch puts++; puts {
		case 1:
			meanwhile = g.emitAbout(jo) // for both
			g.decide("shop", consent.Deny, jo...)
			held = g.emitAbout(jo, "shop")
			g.decide("shop", consent.Grant, jo...)
			g.clock.Add(1)
			g.replay("shop", "shop", g.now()) // of nothing
			last = g.emitAbout(jo, "shop")
		case 3:
			if n := g.depth("mail"); n != 2 {
				t.Errorf("another stream, while one is replayed: got %d SETs, want 2", n)
			}
			if n := g.depth("shop"); n < 512 || n > 2*512 {
				t.Errorf("the stream that is replayed: got %d SETs, want two steps of them", n)
			}
			if place, err := g.last.Place(t.Context()); err != nil || place >= order {
				t.Errorf("place while a replay is under way: got %d, %v, want less than %d", place, err, order)
			}
			if place, err := g.last.PlaceOf(t.Context(), "shop"); err != nil || place >= order {
				t.Errorf("place of its stream: got %d, %v, want less than %d", place, err, order)
			}
			if place, err := g.last.PlaceOf(t.Context(), "mail"); err != nil || place <= order {
				t.Errorf("place of another: got %d, %v, want more than %d", place, err, order)
			}
		}
	}
	g.clock.Add(1)
	g.follow("", 0)
	for _, rec := range old {
		want = append(want, rec.JTI("shop", 2), rec.JTI("shop", 3))
	}
	for _, rec := range []*eventlog.Record{meanwhile, held, last} {
		want = append(want, rec.JTI("shop", 0), rec.JTI("shop", 1))
	}
	if got := g.queue("shop"); !slices.Equal(got, want) {
		t.Errorf("got %d SETs, want %d, in the order of the log", len(got), len(want))
	}
	if got := g.queue("mail"); !slices.Equal(got, []string{meanwhile.JTI("mail", 0), meanwhile.JTI("mail", 1)}) {
		t.Errorf("another stream: got %v, want what came meanwhile", got)
	}
	if head, err := g.log.Head(t.Context()); err != nil {
		t.Error(err)
	} else if place, err := g.last.Place(t.Context()); err != nil || place != head {
		t.Errorf("place after all: got %d, %v, want %d", place, err, head)
	}
}

// failsAt fails the n-th Put.
type failsAt struct {
	*sqlitestore.Store
	n int
}

func (f *failsAt) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	if f.n--; f.n == 0 {
		return streams.PutReport{}, errors.New("disk")
	}
	return f.Store.Put(ctx, items...)
}

// A batch that failed is put again whole, though an order in it was noticed
// already, and so is a step of a replay.
func TestReplayFailingStore(t *testing.T) {
	for n := 1; n <= 3; n++ { // the batch, what is sent again, what came after it
		g := newGated(t, t.TempDir())
		g.stream("shop")
		jo := []subject.Identifier{subject.Opaque("jo")}
		g.cfg.Store = &failsAt{g.store, n}
		var want []string
		before := g.emitMany(200, jo, eventlog.Attributes{})
		for _, rec := range before {
			want = append(want, rec.JTI("shop", 0), rec.JTI("shop", 1))
		}
		g.replay("shop", "shop", time.Time{})
		for _, rec := range before {
			want = append(want, rec.JTI("shop", 2), rec.JTI("shop", 3))
		}
		last := g.emitAbout(jo)
		want = append(want, last.JTI("shop", 0), last.JTI("shop", 1))
		g.follow("", 0)
		if got := g.queue("shop"); !slices.Equal(got, want) {
			t.Errorf("put %d failed: got %d SETs, want %d", n, len(got), len(want))
		}
	}
}

// What is erased while it is sent again, or released, after it was read and before
// it is on the queue, is not left there: the erasure looked before.
func TestErasedMeanwhile(t *testing.T) {
	jo := []subject.Identifier{subject.Opaque("jo")}
	for point, cause := range map[string]func(*gated){
		fanout.CrashBeforeReplayPut:  func(g *gated) { g.replay("shop", "shop", time.Time{}) },
		fanout.CrashBeforeReleasePut: func(g *gated) { g.decide("shop", consent.Grant, jo...) },
	} {
		g := newGated(t, t.TempDir())
		g.stream("shop")
		if point == fanout.CrashBeforeReleasePut {
			g.set("shop", consent.Settings{Enabled: true})
		}
		gone, kept := g.emitAbout(jo), g.emitAbout(jo)
		g.follow("", 0)
		g.take("shop")
		cause(g)
		g.cfg.Crash = func(at string) {
			if at == point {
				if _, err := g.log.Erase(t.Context(), gone.Seq); err != nil {
					t.Error(err)
				}
			}
		}
		g.follow("", 0)
		got := g.queue("shop")
		if len(got) != 2 || slices.Contains(got, gone.JTI("shop", 0)) || slices.Contains(got, gone.JTI("shop", 2)) {
			t.Errorf("%s: got %v, want the two of record %d", point, got, kept.Seq)
		}
	}
}

// Before it runs, and before it has read its place, the fan-out tells where it
// will go on.
func TestPlaceAtStart(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop")
	g.emitAbout([]subject.Identifier{subject.Opaque("jo")})
	g.follow("", 0)
	if place, err := fanout.New(g.cfg).Place(t.Context()); err != nil || place != 1 {
		t.Errorf("got %d, %v, want 1", place, err)
	}
	f := &failing{Store: g.store}
	f.cursors.Store(1)
	g.cfg.Store = f
	if _, err := fanout.New(g.cfg).Place(t.Context()); err == nil {
		t.Error("a store that fails: got no error")
	}
}
