package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// The cases here run many goroutines at once and check what holds in every
// order of events.
func concurrentCases() []testCase {
	return []testCase{
		{"NothingLostNothingTwiceInOrder", func(x *fixture) { x.storm(false) }},
		{"NothingOfAnOlderEpoch", func(x *fixture) { x.storm(true) }},
		{"NoWakeUpIsLost", noWakeUpIsLost},
		{"EachPositionOnce", eachPositionOnce},
		{"SubjectsAndStreams", subjectsAndStreams},
	}
}

// observer keeps what the takers of a storm saw.
type observer struct {
	x  *fixture
	mu sync.Mutex
	// out holds, by stream, the items at a taker and the end of their lease.
	out   map[string]map[string]holding
	gone  map[string]bool   // acknowledged: Settle returned
	epoch map[string]uint64 // of streams; raised when the update has returned
}

type holding struct {
	streams.Item
	until time.Time
}

// took checks one answer of Take; epoch is the stream's before the call.
func (o *observer) took(stream string, items []streams.Item, epoch uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := make(map[string]bool)
	for i, it := range items {
		answer[it.ID] = true
		if o.gone[stream+it.ID] {
			o.x.Errorf("stream %s: %s was acknowledged and came back", stream, it.ID)
		}
		if it.Epoch < epoch {
			o.x.Errorf("stream %s: got %s of epoch %d, want at least %d", stream, it.ID, it.Epoch, epoch)
		}
		if i > 0 && !items[i-1].Pos.Before(it.Pos) {
			o.x.Errorf("stream %s: got %s after %s", stream, it.ID, items[i-1].ID)
		}
	}
	now := time.Now()
	for _, it := range items {
		for id, h := range o.out[stream] {
			if !h.until.After(now) || answer[id] && id != it.ID || h.Epoch != it.Epoch {
				continue
			}
			if id == it.ID {
				o.x.Errorf("stream %s: %s handed out twice", stream, id)
			} else if h.OrderKey == it.OrderKey && h.Pos.Before(it.Pos) {
				o.x.Errorf("stream %s: got %s while %s with its key was out", stream, it.ID, id)
			}
		}
	}
	for _, it := range items {
		o.out[stream][it.ID] = holding{it, now.Add(lease)}
	}
}

// settling notes that a taker is about to give items back.
func (o *observer) settling(stream string, outcomes []streams.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, v := range outcomes {
		delete(o.out[stream], v.ID)
	}
}

// settled notes what is gone for good.
func (o *observer) settled(stream string, outcomes []streams.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, v := range outcomes {
		if v.Verdict == streams.Delivered {
			o.gone[stream+v.ID] = true
		}
	}
}

func (o *observer) epochOf(stream string) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.epoch[stream]
}

// storm puts, takes, settles, pauses and, with disabling, disables at once.
func (x *fixture) storm(disabling bool) {
	const nStreams, nItems, nTakers = 4, 120, 3
	o := &observer{x: x, out: make(map[string]map[string]holding), gone: make(map[string]bool), epoch: make(map[string]uint64)}
	var ids []string
	for i := range nStreams {
		id := fmt.Sprint("s", i)
		ids = append(ids, id)
		x.stream(id)
		o.out[id], o.epoch[id] = make(map[string]holding), 1
	}
	ctx, cancel := context.WithCancel(x.ctx)
	var writers, takers sync.WaitGroup
	for _, id := range ids {
		writers.Go(func() { x.feed(id, nItems) })
		writers.Go(func() { o.toggle(id, disabling) })
		for range nTakers {
			takers.Go(func() { o.takeAll(ctx, id) })
		}
	}
	writers.Wait()
	deadline := time.Now().Add(time.Hour)
	for _, id := range ids {
		for x.depth(id).Items > 0 && time.Now().Before(deadline) {
			time.Sleep(lease)
		}
	}
	cancel()
	takers.Wait()
	for _, id := range ids {
		equal(x, "items left on "+id, x.depth(id).Items, 0)
		if !disabling {
			for n := range nItems {
				if jti := fmt.Sprint("e", n+1); !o.gone[id+jti] {
					x.Errorf("stream %s: item %s was lost", id, jti)
				}
			}
		}
	}
}

// feed puts events one after the other, each with the stream's epoch of a
// moment before.
func (x *fixture) feed(id string, n int) {
	for seq := 1; seq <= n; seq++ {
		s, err := x.store.Stream(x.ctx, id)
		x.noError(err)
		it := event(id, uint64(seq), fmt.Sprint(seq%5))
		it.Epoch = s.Epoch
		_, err = x.store.Put(x.ctx, it)
		x.noError(err)
		if seq%10 == 0 {
			time.Sleep(lease / 20)
		}
	}
}

// noError is must for goroutines that are not the case's own.
func (x *fixture) noError(err error) {
	x.Helper()
	if err != nil {
		x.Errorf("got error %v, want none", err)
	}
}

// toggle changes the status back and forth and leaves the stream enabled.
func (o *observer) toggle(id string, disabling bool) {
	for i := range 12 {
		to := streams.Paused
		if disabling && i%3 == 0 {
			to = streams.Disabled
		}
		for _, status := range []streams.Status{to, streams.Enabled} {
			s, err := o.x.store.Update(o.x.ctx, id, func(s *streams.Stream) ([]streams.Item, error) {
				if status == streams.Disabled {
					s.Epoch++
				}
				s.Status = status
				return nil, nil
			})
			o.x.noError(err)
			o.mu.Lock()
			o.epoch[id] = s.Epoch
			o.mu.Unlock()
			time.Sleep(lease / 15)
		}
	}
}

// takeAll takes and settles until ctx ends.
func (o *observer) takeAll(ctx context.Context, id string) {
	for {
		epoch := o.epochOf(id)
		items, err := o.x.store.Take(ctx, id, streams.TakeOptions{Max: 1 + rand.IntN(4), Lease: lease, Wait: true})
		if err != nil {
			if ctx.Err() == nil {
				o.x.Errorf("Take: got error %v, want none", err)
			}
			return
		}
		o.took(id, items, epoch)
		if rand.IntN(3) == 0 {
			time.Sleep(time.Duration(rand.Int64N(int64(lease / 30))))
		}
		var outcomes []streams.Outcome
		for _, it := range items {
			switch rand.IntN(20) {
			case 0: // forgotten: the lease ends
			case 1:
				outcomes = append(outcomes, streams.Outcome{ID: it.ID, Verdict: streams.Failed})
			case 2:
				outcomes = append(outcomes, streams.Outcome{ID: it.ID, Verdict: streams.Released})
			default:
				outcomes = append(outcomes, streams.Outcome{ID: it.ID, Verdict: streams.Delivered})
			}
		}
		o.settling(id, outcomes)
		_, err = o.x.store.Settle(o.x.ctx, id, outcomes, nil)
		o.x.noError(err)
		o.settled(id, outcomes)
	}
}

// noWakeUpIsLost runs senders that know of work from Ready alone.
func noWakeUpIsLost(x *fixture) {
	const nStreams, nItems, nSenders = 6, 60, 3
	ctx, cancel := context.WithCancel(x.ctx)
	var writers, senders sync.WaitGroup
	for i := range nStreams {
		id := fmt.Sprint("s", i)
		x.stream(id)
		writers.Go(func() { x.feed(id, nItems) })
	}
	for range nSenders {
		senders.Go(func() {
			for {
				ids, err := x.store.Ready(ctx, 1)
				if err != nil {
					return
				}
				x.send(ids[0])
			}
		})
	}
	writers.Wait()
	time.Sleep(10 * lease)
	for i := range nStreams {
		equal(x, "items left", x.depth(fmt.Sprint("s", i)).Items, 0)
	}
	cancel()
	senders.Wait()
}

// send takes from a stream until nothing is there.
func (x *fixture) send(id string) {
	for {
		items, err := x.store.Take(x.ctx, id, streams.TakeOptions{Max: 2, Lease: lease})
		x.noError(err)
		if len(items) == 0 {
			return
		}
		outcomes := make([]streams.Outcome, len(items))
		for i, it := range items {
			outcomes[i] = streams.Outcome{ID: it.ID, Verdict: streams.Verdict(rand.IntN(12) / 11 * int(streams.Failed))}
		}
		h := streams.Health{}
		if rand.IntN(10) == 0 {
			h = streams.Health{Failures: 1, NextDue: time.Now().Add(time.Second)}
		}
		_, err = x.store.Settle(x.ctx, id, outcomes, &h)
		x.noError(err)
	}
}

// eachPositionOnce puts the same positions from several goroutines.
func eachPositionOnce(x *fixture) {
	const n = 60
	x.stream("s1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	kept := 0
	for range 4 {
		wg.Go(func() {
			for seq := range uint64(n) {
				r, err := x.store.Put(x.ctx, event("s1", seq+1, ""))
				x.noError(err)
				mu.Lock()
				kept += r.Kept
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	equal(x, "kept", kept, n)
	got := x.items("s1", 2*n)
	equal(x, "taken", len(got), n)
	for i, it := range got {
		equal(x, "position", it.Pos.Seq, uint64(i+1))
	}
}

// subjectsAndStreams creates, fills, asks and deletes at once.
func subjectsAndStreams(x *fixture) {
	var wg sync.WaitGroup
	for i := range 8 {
		id, sub := fmt.Sprint("s", i), mail(fmt.Sprint("user", i))
		wg.Go(func() {
			s := base(id)
			s.DefaultSubjects = streams.SubjectsNone
			x.noError(x.store.Create(x.ctx, s, 0))
			for n := range 5 {
				x.noError(x.store.Add(x.ctx, id, mail(fmt.Sprint("other", n)), 0))
			}
			x.noError(x.store.Add(x.ctx, id, sub, 0))
			found, err := x.store.Match(x.ctx, streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{sub}})
			x.noError(err)
			if len(found) != 1 || found[0].Stream != id {
				x.Errorf("got %v, want stream %s", found, id)
			}
			n, err := x.store.SubjectCount(x.ctx, id)
			x.noError(err)
			if n != 6 {
				x.Errorf("got %d subjects, want 6", n)
			}
			if i%2 == 0 {
				x.noError(x.store.Delete(x.ctx, id))
			}
		})
	}
	wg.Wait()
	equal(x, "Match of what all have", x.match(1, mail("other3")), "s1:0 s3:0 s5:0 s7:0")
}
