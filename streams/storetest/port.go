package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// RunPort runs the suite of stores that are taken from one place of storage to another:
// from is a fresh one whose store is a [streams.Exporter], to one whose store is a
// [streams.Importer]. What can be seen and done afterwards is compared with the store
// that it came from.
func RunPort(t *testing.T, from, to func(testing.TB) Harness) {
	for _, c := range []struct {
		name string
		run  func(*move)
	}{
		{"streams are as they were, and in their order", portStreams},
		{"an id that was used is not used again", portUsed},
		{"subjects match as they did", portSubjects},
		{"what waits is taken in order, with its attempts", portQueue},
		{"nothing acknowledged comes back, and numbering goes on", portHigh},
		{"dead letters are resent and dropped as they were", portDead},
		{"a back-off goes on", portHealth},
		{"followers go on from their places", portCursors},
		{"every step may be repeated, in other pages", portAgain},
	} {
		t.Run("Port/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.run(&move{newFixture(t, from(t), Options{}), newFixture(t, to(t), Options{})})
			})
		})
	}
}

// move is a store, and another that it is taken to.
type move struct{ from, to *fixture }

// take takes everything along, in pages.
func (m *move) take(page int) {
	m.to.Helper()
	ctx := m.to.ctx
	from, ok := m.from.store.(streams.Exporter)
	to, importer := m.to.store.(streams.Importer)
	if !ok || !importer {
		m.to.Fatal("got a store that exports or imports nothing, want one that does")
	}
	count, err := from.StreamCount(ctx)
	m.to.must(err)
	kept := 0
	paged(m.to, func(place string) (string, error) {
		list, next, err := from.KeptStreams(ctx, place, page)
		kept += len(list)
		for _, k := range list {
			m.to.must(to.ImportStream(ctx, k))
			m.takeStream(ctx, from, to, k.Stream.ID, page)
		}
		return next, err
	})
	equal(m.to, "streams", kept, count)
	paged(m.to, func(place string) (string, error) {
		ids, next, err := from.UsedIDs(ctx, place, page)
		m.to.must(to.ImportUsedIDs(ctx, ids))
		return next, err
	})
	cursors, err := from.AllCursors(ctx)
	m.to.must(err)
	for follower, seq := range cursors {
		m.to.must(to.SaveCursor(ctx, follower, seq))
	}
}

func (m *move) takeStream(ctx context.Context, from streams.Exporter, to streams.Importer, id string, page int) {
	paged(m.to, func(place string) (string, error) {
		list, next, err := from.Interests(ctx, id, place, page)
		m.to.must(to.ImportInterests(ctx, id, list))
		return next, err
	})
	paged(m.to, func(place string) (string, error) {
		list, next, err := from.Items(ctx, id, place, page)
		m.to.must(to.ImportItems(ctx, id, list))
		return next, err
	})
	paged(m.to, func(place string) (string, error) {
		list, next, err := from.DeadLetters(ctx, id, place, page)
		m.to.must(to.ImportDeadLetters(ctx, id, list))
		return next, err
	})
}

func paged(x *fixture, step func(place string) (string, error)) {
	x.Helper()
	for place, more := "", true; more; more = place != "" {
		next, err := step(place)
		x.must(err)
		place = next
	}
}

// alike does the same with both stores and compares what came of it.
func (m *move) alike(what string, do func(x *fixture) any) {
	m.to.Helper()
	same(m.to, what, do(m.to), do(m.from))
}

func (m *move) streamsAlike(owners ...string) {
	m.to.Helper()
	for _, owner := range owners {
		m.alike("streams of "+owner, func(x *fixture) any {
			list, err := x.store.Streams(x.ctx, owner)
			x.must(err)
			return list
		})
	}
	m.alike("owners", func(x *fixture) any {
		list, err := x.store.Owners(x.ctx)
		x.must(err)
		slices.Sort(list)
		return list
	})
	m.alike("depths", func(x *fixture) any {
		total, top, err := x.store.Depths(x.ctx, 100)
		x.must(err)
		return fmt.Sprint(total, top)
	})
}

func portStreams(m *move) {
	m.from.stream("b")
	m.from.stream("a", poll, none, func(s *streams.Stream) {
		s.Delivery.FormerMethod, s.Delivery.AuthorizationHeader = "https://x.example/m", "Bearer x"
		s.Profile, s.Encryption, s.Description, s.Reason, s.From, s.Epoch = "p", `{"enc":"e"}`, "d é", "because", 17, 3
		s.InactivityTimeout, s.MinVerificationInterval = time.Hour, time.Minute
		s.EventsRequested, s.VerificationRequested = nil, time.Now().UTC()
	})
	m.from.stream("d", paused, func(s *streams.Stream) { s.Audience = []string{} })
	m.from.stream("c", func(s *streams.Stream) { s.Owner = "other" })
	m.from.stream("e", func(s *streams.Stream) { s.InactivityTimeout = time.Hour })
	m.from.disable("d")
	m.from.store.Touch(m.from.ctx, "e", time.Now().Add(30*time.Minute))
	m.take(2)
	m.streamsAlike("app", "other")
	for _, after := range []time.Duration{59 * time.Minute, 61 * time.Minute, 2 * time.Hour} {
		m.alike("inactive", func(x *fixture) any {
			ids, err := x.store.Inactive(x.ctx, time.Now().Add(after), 10)
			x.must(err)
			slices.Sort(ids)
			return strings.Join(ids, " ")
		})
	}
	// Owners' limits count what came along; what is changed later goes on from it.
	m.alike("one more", func(x *fixture) any { return isError(x.store.Create(x.ctx, base("f"), 4), streams.ErrConflict) })
	m.alike("raised epoch", func(x *fixture) any { x.disable("b"); return x.update("b", func(*streams.Stream) {}) })
	m.streamsAlike("app")
}

func portUsed(m *move) {
	for n := range 5 {
		id := fmt.Sprint("gone", n)
		m.from.stream(id)
		m.from.must(m.from.store.Delete(m.from.ctx, id))
	}
	m.from.stream("here")
	m.take(2)
	for _, id := range []string{"gone0", "gone4", "here"} {
		m.to.is("create "+id, m.to.store.Create(m.to.ctx, base(id), 0), streams.ErrExists)
	}
	m.to.must(m.to.store.Create(m.to.ctx, base("fresh"), 0))
	m.to.is("import of a used id", m.to.store.(streams.Importer).ImportStream(m.to.ctx, streams.Kept{Stream: base("gone1")}), streams.ErrExists)
}

func portSubjects(m *move) {
	email := func(n int) subject.Identifier { return subject.Email(fmt.Sprintf("u%d@example.com", n)) }
	pair := parts(m.from, "user", "u1", "device", "d1")
	m.from.stream("none", none)
	m.from.stream("all")
	m.from.stream("poll", none, poll, func(s *streams.Stream) { s.Owner = "other" })
	for n := range 5 {
		m.from.must(m.from.store.Add(m.from.ctx, "none", email(n), 0))
		m.from.must(m.from.store.Remove(m.from.ctx, "all", email(2*n), 0))
	}
	m.from.must(m.from.store.Add(m.from.ctx, "none", pair, 0))
	m.from.must(m.from.store.Add(m.from.ctx, "poll", pair, 0))
	m.take(2)
	alike := func() {
		m.to.Helper()
		for _, ids := range [][]subject.Identifier{
			{email(0)},
			{email(1)},
			{email(9)},
			{email(8), email(3)},
			{pair},
			{parts(m.from, "user", "u1", "session", "s")},
		} {
			m.alike(fmt.Sprint("match of ", len(ids)), func(x *fixture) any { return x.match(100, ids...) })
		}
		for _, id := range []string{"none", "all", "poll"} {
			m.alike("subjects of "+id, func(x *fixture) any {
				n, err := x.store.SubjectCount(x.ctx, id)
				x.must(err)
				return n
			})
		}
	}
	alike()
	for _, x := range []*fixture{m.from, m.to} {
		x.must(x.store.Remove(x.ctx, "none", pair, 0))
		x.must(x.store.Add(x.ctx, "all", email(0), 0))
	}
	alike()
}

// fill puts, takes and settles, so that queues have some of all.
func (m *move) fill() {
	x := m.from
	x.stream("s")
	x.stream("p", poll)
	x.put(control("s", "v1"), updated("s", "u1"), control("s", "v2"))
	for n := uint64(1); n <= 12; n++ {
		x.put(event("s", n, fmt.Sprint("k", n%3)), event("p", n, ""))
	}
	x.put(released("s", 13, 2, 0), released("s", 13, 2, 1), released("s", 13, 5, 0))
	x.items("s", 6)
	x.settle("s", streams.Delivered, "v1", "e1")
	x.settle("s", streams.Failed, "v2", "e2")
	x.settle("s", streams.Refused, "e3", "e6", "e9", "e10", "u1")
	x.must(x.store.Resend(x.ctx, "s", "e9"))
	x.must(x.store.Resend(x.ctx, "s", "e6"))
	x.settle("s", streams.Refused, "e6")
	x.items("p", 4)
	x.settle("p", streams.Delivered, "e1", "e2", "e4")
	x.settle("p", streams.Failed, "e3")
	x.settle("p", streams.Refused, "e5")
}

// drain takes all in small bites and tells what came, item by item.
func drain(x *fixture, stream string, bite int) any {
	var all []streams.Item
	for {
		items := x.items(stream, bite)
		if len(items) == 0 {
			return all
		}
		var ids []string
		for _, it := range items {
			ids = append(ids, it.ID)
			all = append(all, it)
		}
		x.settle(stream, streams.Delivered, ids...)
	}
}

func portQueue(m *move) {
	m.fill()
	m.take(3)
	m.from.reopen(false) // what is out returns to its place
	m.streamsAlike("app")
	for _, seq := range []uint64{2, 5, 7, 9} {
		m.alike(fmt.Sprint("what points at ", seq), func(x *fixture) any {
			queued, dead, err := x.store.Pointing(x.ctx, []uint64{seq}, 10)
			x.must(err)
			return at(queued) + " dead" + at(dead)
		})
	}
	m.alike("earliest", func(x *fixture) any {
		seq, err := x.store.Earliest(x.ctx)
		x.must(err)
		return seq
	})
	m.alike("queue of s", func(x *fixture) any { return drain(x, "s", 4) })
	m.alike("queue of p", func(x *fixture) any { return drain(x, "p", 5) })
}

func portHigh(m *move) {
	m.fill()
	m.take(100)
	m.from.reopen(false)
	m.alike("put again", func(x *fixture) any {
		return report(x.put(event("s", 1, ""), event("s", 12, ""), event("p", 12, ""), released("s", 13, 2, 1), released("s", 13, 5, 0)))
	})
	m.alike("put on", func(x *fixture) any {
		return report(x.put(released("s", 13, 5, 1), event("s", 14, ""), event("p", 13, "")))
	})
	m.alike("queue of s", func(x *fixture) any { return drain(x, "s", 100) })
	m.alike("highest", func(x *fixture) any {
		seq, err := x.store.Highest(x.ctx)
		x.must(err)
		return seq
	})
}

func portDead(m *move) {
	m.fill()
	m.take(1)
	m.from.reopen(false)
	letters := func(x *fixture) any {
		list, _, err := x.store.DeadLetters(x.ctx, "s", "", 100)
		x.must(err)
		return list
	}
	m.alike("dead letters", letters)
	m.alike("resent", func(x *fixture) any {
		x.must(x.store.Resend(x.ctx, "s", "e3"))
		x.must(x.store.Resend(x.ctx, "s", "u1"))
		x.must(x.store.Drop(x.ctx, "s", "e6"))
		return drain(x, "s", 2)
	})
	m.alike("dead letters", letters)
}

func portHealth(m *move) {
	m.from.stream("s")
	m.from.stream("t")
	for _, id := range []string{"s", "t"} {
		m.from.events(id, 1)
		m.from.items(id, 1)
	}
	health := streams.Health{
		Failures: 3, FirstFailure: time.Now().Add(-time.Hour).UTC(), NextDue: time.Now().Add(10 * time.Minute).UTC(), Refusals: 2, LastError: "503",
	}
	_, err := m.from.store.Settle(m.from.ctx, "s", []streams.Outcome{{ID: "e1", Verdict: streams.Failed}}, &health)
	m.from.must(err)
	m.take(10)
	m.from.reopen(false)
	of := func(x *fixture) any {
		h, err := x.store.Health(x.ctx, "s")
		x.must(err)
		return h
	}
	m.alike("health", of)
	m.alike("ready", func(x *fixture) any { return x.ready() })
	time.Sleep(10 * time.Minute)
	m.alike("ready when it is due", func(x *fixture) any { return x.ready() })
}

func portCursors(m *move) {
	m.from.must(m.from.store.SaveCursor(m.from.ctx, "fanout", 42))
	m.from.must(m.from.store.SaveCursor(m.from.ctx, "other", 7))
	m.take(10)
	for _, follower := range []string{"fanout", "other", "nobody"} {
		m.alike("cursor of "+follower, func(x *fixture) any {
			seq, err := x.store.Cursor(x.ctx, follower)
			x.must(err)
			return seq
		})
	}
}

func portAgain(m *move) {
	m.fill()
	m.from.must(m.from.store.Remove(m.from.ctx, "s", subject.Email("x@example.com"), 0))
	m.from.must(m.from.store.SaveCursor(m.from.ctx, "fanout", 12))
	m.take(2)
	m.to.reopen(true)
	m.take(100)
	m.take(1)
	m.from.reopen(false)
	m.streamsAlike("app")
	m.alike("subjects", func(x *fixture) any { return x.match(100, subject.Email("x@example.com")) })
	m.alike("dead", func(x *fixture) any { return x.dead("s") })
	m.alike("queue of s", func(x *fixture) any { return drain(x, "s", 3) })
	m.alike("queue of p", func(x *fixture) any { return drain(x, "p", 3) })
}
