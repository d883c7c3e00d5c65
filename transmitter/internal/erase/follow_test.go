package erase_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

// forgets is an index whose Forget tells.
type forgets struct {
	*index
	mu   sync.Mutex
	told chan uint64
}

func (x *forgets) Forget(ctx context.Context, seqs ...uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, seq := range seqs {
		x.told <- seq
	}
	return x.index.Forget(ctx, seqs...)
}

// What one process erases the index of another forgets, and so does its memory of signed
// SETs; what a report names that was not completed stays.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	other := &forgets{index: &index{log: w.log, forgotten: make(map[uint64]bool)}, told: make(chan uint64, 100)}
	cleared := make(chan struct{}, 100)
	e := erase.New(erase.Config{
		Log: w.log, Index: other, Streams: w.streams, Follower: "fanout", Now: w.now,
		Forget: func() { cleared <- struct{}{} },
	})
	first, kept := w.event(nil, jo), w.event(nil, al)
	w.note(eventlog.KindErasure, `{"carried_out":0,"records":[[2,2]],"begins":true,"last":false}`, eventlog.RefAll)
	w.caughtUp()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = e.Follow(ctx) }()
	w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	w.caughtUp()
	w.carryOut()
	for end := time.After(20 * time.Second); ; {
		select {
		case seq := <-other.told:
			if seq == kept {
				t.Fatalf("the index forgot record %d, which was not erased", seq)
			}
			if seq != first {
				continue // the order itself
			}
			<-cleared
			stop()
			<-ended
			return
		case <-end:
			t.Fatalf("the index did not forget record %d", first)
		}
	}
}

// placed is an index that stood somewhere when it was opened.
type placed struct {
	forgets
	place uint64
}

func (x *placed) Place() uint64 { return x.place }

// asked counts what is asked of a log.
type asked struct {
	*sqlitelog.Log
	records, reads atomic.Int64
}

func (l *asked) Record(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	l.records.Add(1)
	return l.Log.Record(ctx, seq)
}

func (l *asked) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	l.reads.Add(1)
	return l.Log.Read(ctx, after, max)
}

// A process that had indexed a report, and ended before it had forgotten what that names,
// does so when it is back; what was reported long before it leaves alone. It asks for
// neighbours at once.
func TestFollowAfterAnEnd(t *testing.T) {
	w := newWorld(t)
	const many = 300
	for range many {
		w.event(nil, jo)
	}
	erased := func(first, last uint64) {
		w.note(eventlog.KindRetention, fmt.Sprintf(`{"records":[[%d,%d]]}`, first, last), eventlog.RefAll)
		for seq := first; seq <= last; seq++ {
			_, err := w.log.Erase(t.Context(), seq)
			w.must(err)
		}
	}
	erased(1, 2)
	w.clock.Add(int64(time.Hour))
	erased(3, many)
	head, err := w.log.Head(t.Context())
	w.must(err)
	log := &asked{Log: w.log}
	other := &placed{forgets{index: &index{log: w.log, forgotten: make(map[uint64]bool)}, told: make(chan uint64, 2*many)}, head}
	e := erase.New(erase.Config{Log: log, Index: other, Streams: w.streams, Follower: "fanout", Now: w.now})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = e.Follow(ctx) }()
	for want := uint64(3); want <= many; want++ {
		select {
		case seq := <-other.told:
			if seq != want {
				t.Fatalf("got record %d forgotten, want %d", seq, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("record %d: got it kept, want it forgotten", want)
		}
	}
	stop()
	<-ended
	if records, reads := log.records.Load(), log.reads.Load(); records > 1 || reads > 3 {
		t.Errorf("got %d and %d questions, want 1 and few", records, reads)
	}
}
