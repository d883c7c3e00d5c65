package sqlitelog

import (
	"context"
	"sync"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// tail holds the latest records, in a ring bounded by number and by size, and
// wakes those who wait for the next.
type tail struct {
	mu     sync.RWMutex
	ring   []*eventlog.Record // the record seq is at seq % len
	first  uint64             // the oldest that is held; head+1 if none is
	head   uint64
	bytes  int
	next   chan struct{} // closed by the next add; nil: nobody waits
	closed bool
}

func newTail(size int, head uint64) *tail {
	return &tail{ring: make([]*eventlog.Record, size), first: head + 1, head: head}
}

// weight is about what a record takes: its documents are parts of Canonical.
func weight(r *eventlog.Record) int { return 2*len(r.Canonical) + 512 }

// add appends records, which follow the head, and wakes all who wait.
func (t *tail) add(records []*eventlog.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint64(len(t.ring))
	for _, r := range records {
		for t.first <= t.head && (r.Seq-t.first >= n || t.bytes+weight(r) > maxTailBytes) {
			old := &t.ring[t.first%n]
			t.bytes -= weight(*old)
			*old = nil
			t.first++
		}
		t.ring[r.Seq%n] = r
		t.head = r.Seq
		t.bytes += weight(r)
	}
	if t.next != nil {
		close(t.next)
		t.next = nil
	}
}

// erase lets go of what records say, where they are held.
func (t *tail) erase(seqs []uint64) {
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

// read returns up to max records after a sequence number, or false if the
// first of them is no longer held; then head is the bound for reading it
// elsewhere.
func (t *tail) read(after uint64, max int) (records []*eventlog.Record, head uint64, held bool) {
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

// wait returns when there is a record after the sequence number.
func (t *tail) wait(ctx context.Context, after uint64) error {
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return ErrClosed
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

// close ends all waiting.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.next != nil {
		close(t.next)
		t.next = nil
	}
}
