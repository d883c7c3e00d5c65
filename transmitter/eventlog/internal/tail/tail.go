// Package tail holds the latest records of an event log in memory, for backends
// whose followers at the head shall read neither their store nor JSON.
package tail

import (
	"context"
	"sync"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// maxBytes bounds the records that stay in memory, softly.
const maxBytes = 64 << 20

// Tail holds the latest records, in a ring bounded by number and by size, and
// wakes those who wait for the next. Safe for concurrent use.
type Tail struct {
	mu     sync.RWMutex
	ring   []*eventlog.Record // the record seq is at seq % len
	first  uint64             // the oldest that is held; head+1 if none is
	head   uint64
	bytes  int
	next   chan struct{} // closed by the next Add; nil: nobody waits
	closed bool
}

// New returns the tail of a log with a head, none of whose records it holds;
// of those that follow it holds up to size.
func New(size int, head uint64) *Tail {
	return &Tail{ring: make([]*eventlog.Record, size), first: head + 1, head: head}
}

// weight is about what a record takes: its documents are parts of Canonical.
func weight(r *eventlog.Record) int { return 2*len(r.Canonical) + 512 }

// Add appends records, which follow the head, and wakes all who wait.
func (t *Tail) Add(records []*eventlog.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint64(len(t.ring))
	for _, r := range records {
		for t.first <= t.head && (r.Seq-t.first >= n || t.bytes+weight(r) > maxBytes) {
			old := &t.ring[t.first%n]
			t.bytes -= weight(*old)
			*old = nil
			t.first++
		}
		t.ring[r.Seq%n] = r
		t.head = r.Seq
		t.bytes += weight(r)
	}
	t.wake()
}

// wake wakes all who wait; the caller holds mu.
func (t *Tail) wake() {
	if t.next != nil {
		close(t.next)
		t.next = nil
	}
}

// Reset lets go of all records; head is that of the log from now on.
func (t *Tail) Reset(head uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.ring)
	t.first, t.head, t.bytes = head+1, head, 0
	t.wake()
}

// Erase lets go of what records say, where they are held.
func (t *Tail) Erase(seqs []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, seq := range seqs {
		if seq < t.first || seq > t.head {
			continue
		}
		r := &t.ring[seq%uint64(len(t.ring))]
		t.bytes -= weight(*r)
		*r = (*r).Erase()
		t.bytes += weight(*r)
	}
}

// Head returns the sequence number of the last record.
func (t *Tail) Head() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.head
}

// Read returns up to max records after a sequence number, or false if the
// first of them is no longer held; then head is the bound for reading it
// elsewhere.
func (t *Tail) Read(after uint64, max int) (records []*eventlog.Record, head uint64, held bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if after >= t.head {
		return nil, t.head, true
	}
	if after+1 < t.first {
		return nil, t.head, false
	}
	last := min(t.head, after+uint64(max))
	records = make([]*eventlog.Record, 0, last-after)
	for seq := after + 1; seq <= last; seq++ {
		records = append(records, t.ring[seq%uint64(len(t.ring))])
	}
	return records, t.head, true
}

// Wait returns nil when there is a record after the sequence number, ctx's
// error when that ends, and closed once Close was called.
func (t *Tail) Wait(ctx context.Context, after uint64, closed error) error {
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return closed
		}
		if t.head > after {
			t.mu.Unlock()
			return nil
		}
		if t.next == nil {
			t.next = make(chan struct{})
		}
		next := t.next
		t.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends all waiting.
func (t *Tail) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.wake()
}
