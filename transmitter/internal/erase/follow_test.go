package erase_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
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
