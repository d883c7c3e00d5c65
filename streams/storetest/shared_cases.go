package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-ssf/tocsin/streams"
)

func divide(c *crowd) {
	a := c.join().hold()
	a.until(streams.Partitions)
	b := c.join().hold()
	b.until(streams.Partitions / 2)
	a.until(streams.Partitions / 2)
	if all := append(a.held(), b.held()...); len(slices.Compact(slices.Sorted(slices.Values(all)))) != streams.Partitions {
		c.Errorf("got %v and %v, want each partition once", a.held(), b.held())
	}
	a.stop()
	<-a.ended
	b.until(streams.Partitions)
}

func seen(c *crowd) {
	a, b := c.join(), c.join()
	a.stream("s", none)
	a.must(a.store.Add(a.ctx, "s", mail("u"), 0))
	if n, err := b.store.SubjectCount(b.ctx, "s"); n != 1 || err != nil {
		c.Errorf("SubjectCount: got %d, %v, want 1", n, err)
	}
	equal(b.fixture, "Match", b.match(1, mail("u")), "s:0")
	b.setStatus("s", streams.Paused)
	s, err := a.store.Stream(a.ctx, "s")
	a.must(err)
	equal(a.fixture, "status", s.Status, streams.Paused)
	b.must(b.store.Delete(b.ctx, "s"))
	_, err = a.store.Stream(a.ctx, "s")
	a.is("Stream", err, streams.ErrNotFound)
	a.is("Create", a.store.Create(a.ctx, base("s"), 0), streams.ErrExists)
}

func limited(c *crowd) {
	const limit, each = 3, 8
	var made atomic.Int32
	var group sync.WaitGroup
	for n, p := range []*process{c.join(), c.join()} {
		for i := range each {
			group.Go(func() {
				err := p.store.Create(p.ctx, base(fmt.Sprintf("s%d-%d", n, i)), limit)
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, streams.ErrConflict):
					c.Errorf("Create: got %v, want %v", err, streams.ErrConflict)
				}
			})
		}
	}
	group.Wait()
	if made.Load() != limit {
		c.Errorf("got %d streams, want %d", made.Load(), limit)
	}
}

func wakes(c *crowd) {
	a, b := c.join(), c.join()
	a.stream("s", poll)
	got := make(chan string)
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	go func() {
		items, err := b.store.Take(ctx, "s", streams.TakeOptions{Max: 1, Lease: lease, Wait: true})
		if err != nil {
			c.Errorf("Take: got %v, want no error", err)
		}
		got <- jtis(items)
	}()
	a.events("s", 1)
	if jti := <-got; jti != "e1" {
		c.Errorf("Take: got %q, want e1", jti)
	}
}

func polled(c *crowd) {
	a, b := c.join(), c.join()
	a.stream("s", poll)
	a.put(event("s", 1, "k"), event("s", 2, "k"), event("s", 3, "other"))
	equal(a.fixture, "Take on one", a.take("s", 1), "e1")
	equal(b.fixture, "Take on the other", b.take("s", 9), "e3")
	b.settle("s", streams.Delivered, "e1")
	equal(b.fixture, "Take when it is settled", b.take("s", 9), "e2")
	equal(a.fixture, "Take on the first", a.take("s", 9), "")
	equal(a.fixture, "depth", a.depth("s").Items, 2)
}

func readyOfHeld(c *crowd) {
	a := c.join().hold()
	b := c.join()
	a.until(streams.Partitions)
	b.stream("s")
	none, cancel := context.WithCancel(b.ctx)
	waited := make(chan []string)
	go func() {
		ready, _ := b.store.Ready(none, 9)
		waited <- ready
	}()
	b.events("s", 1)
	ctx, stop := context.WithTimeout(a.ctx, soon)
	defer stop()
	part := a.part("s", nil)
	ready, err := part.Ready(ctx, 9)
	a.must(err)
	equal(a.fixture, "Ready of the partition", fmt.Sprint(ready), "[s]")
	b.events("s", 2) // a new cause
	ready, err = a.store.Ready(ctx, 9)
	a.must(err)
	equal(a.fixture, "Ready of the holder", fmt.Sprint(ready), "[s]")
	cancel()
	if ready := <-waited; len(ready) > 0 {
		c.Errorf("Ready of who holds nothing: got %v, want none", ready)
	}
}

func partitionAlone(c *crowd) {
	a := c.join().hold()
	a.until(streams.Partitions)
	own, other := streamIn(1), streamIn(2)
	a.stream(own)
	a.stream(other)
	part := a.part(own, nil)
	got, err := part.Match(a.ctx, streams.Query{Seq: 1, Type: typeA})
	a.must(err)
	if len(got) != 1 || got[0].Stream != own {
		c.Errorf("Match: got %v, want %s alone", got, own)
	}
	_, err = part.Put(a.ctx, event(own, 1, ""), event(other, 1, ""))
	a.is("Put", err, streams.ErrNotHeld)
	_, err = part.Take(a.ctx, other, takeOne)
	a.is("Take", err, streams.ErrNotHeld)
	_, err = part.Settle(a.ctx, other, nil, &streams.Health{Failures: 1})
	a.is("Settle", err, streams.ErrNotHeld)
	_, err = part.Stream(a.ctx, other)
	a.is("Stream", err, streams.ErrNotHeld)
	_, err = part.Health(a.ctx, other)
	a.is("Health", err, streams.ErrNotHeld)
	_, err = part.Depth(a.ctx, other)
	a.is("Depth", err, streams.ErrNotHeld)
	equal(a.fixture, "depth of its own", a.depth(own).Items, 0)
}

func fenced(c *crowd) {
	a := c.join().hold()
	a.stream("s")
	part := a.part("s", nil)
	_, err := part.Put(a.ctx, event("s", 1, ""), event("s", 2, ""))
	a.must(err)
	items, err := part.Take(a.ctx, "s", takeOne)
	a.must(err)
	equal(a.fixture, "Take", jtis(items), "e1")
	a.must(part.SaveCursor(a.ctx, "f", 1))
	a.must(c.site.EndLeases())
	for _, when := range []string{"when the lease has ended", "when another has it"} {
		_, err = part.Put(a.ctx, event("s", 3, ""))
		a.is("Put "+when, err, streams.ErrNotHeld)
		_, err = part.Take(a.ctx, "s", takeOne)
		a.is("Take "+when, err, streams.ErrNotHeld)
		_, err = part.Settle(a.ctx, "s", []streams.Outcome{{ID: "e1", Verdict: streams.Delivered}}, &streams.Health{Failures: 7})
		a.is("Settle "+when, err, streams.ErrNotHeld)
		_, err = part.Stream(a.ctx, "s")
		a.is("Stream "+when, err, streams.ErrNotHeld)
		a.is("SaveCursor "+when, part.SaveCursor(a.ctx, "f", 9), streams.ErrNotHeld)
		a.part("s", part)
	}
	equal(a.fixture, "depth", a.depth("s").Items, 2)
	h, err := a.store.Health(a.ctx, "s")
	a.must(err)
	equal(a.fixture, "failures", h.Failures, 0)
	place, err := a.shared.CursorOf(a.ctx, "f", "s")
	a.must(err)
	equal(a.fixture, "cursor", place, 1)
}

func takenReturns(c *crowd) {
	a := c.join().hold()
	a.stream("s")
	a.put(event("s", 1, "k"), event("s", 2, "k"), event("s", 3, ""))
	polled := a.take("s", 1) // by a poll: it stays out
	part := a.part("s", nil)
	items, err := part.Take(a.ctx, "s", streams.TakeOptions{Max: 9, Lease: lease})
	a.must(err)
	equal(a.fixture, "out", polled+" "+jtis(items), "e1 e3")
	a.must(c.site.EndLeases())
	next := a.part("s", part)
	items, err = next.Take(a.ctx, "s", streams.TakeOptions{Max: 9, Lease: lease})
	a.must(err)
	equal(a.fixture, "Take of the next holder", jtis(items), "e3")
	a.settle("s", streams.Delivered, "e1")
	items, err = next.Take(a.ctx, "s", streams.TakeOptions{Max: 9, Lease: lease})
	a.must(err)
	equal(a.fixture, "Take when the poll is settled", jtis(items), "e2")
}

func putAgain(c *crowd) {
	a := c.join().hold()
	a.stream("s")
	part := a.part("s", nil)
	_, err := part.Put(a.ctx, event("s", 1, ""), event("s", 2, ""))
	a.must(err)
	a.settle("s", streams.Delivered, "e1")
	a.must(c.site.EndLeases())
	report, err := a.part("s", part).Put(a.ctx, event("s", 1, ""), event("s", 2, ""), event("s", 3, ""))
	a.must(err)
	if report.Seen != 2 || report.Kept != 1 {
		c.Errorf("Put: got %+v, want 2 seen and 1 kept", report)
	}
	equal(a.fixture, "Take", a.take("s", 9), "e2 e3")
}

func leastCursor(c *crowd) {
	a := c.join().hold()
	b := c.join()
	a.until(streams.Partitions)
	for n, part := range a.parts {
		a.must(part.SaveCursor(a.ctx, "f", uint64(100+n)))
	}
	least, err := b.store.Cursor(b.ctx, "f")
	b.must(err)
	equal(b.fixture, "Cursor", least, 100)
	of, err := b.shared.CursorOf(b.ctx, "f", streamIn(7))
	b.must(err)
	equal(b.fixture, "CursorOf", of, 107)
	highest, err := b.store.Highest(b.ctx)
	b.must(err)
	equal(b.fixture, "Highest", highest, 100+streams.Partitions-1)
	b.must(b.store.SaveCursor(b.ctx, "f", 200))
	own, err := a.parts[3].Cursor(a.ctx, "f")
	a.must(err)
	equal(a.fixture, "cursor of a partition", own, 200)
}

func disabled(c *crowd) {
	a := c.join().hold()
	b := c.join()
	a.stream("s")
	part := a.part("s", nil)
	found, err := part.Match(a.ctx, streams.Query{Seq: 1, Type: typeA})
	a.must(err)
	equal(a.fixture, "matches", len(found), 1)
	b.disable("s")
	b.update("s", func(s *streams.Stream) { s.Status = streams.Enabled })
	report, err := part.Put(a.ctx, event("s", 1, ""))
	a.must(err)
	equal(a.fixture, "gone", report.Gone, 1)
}
