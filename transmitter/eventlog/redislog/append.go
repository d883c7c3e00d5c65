package redislog

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// item is one record of a call with what can be made before its turn.
type item struct {
	draft  *eventlog.Draft
	refs   []eventlog.Key // of an entry
	keyed  bool
	key    eventlog.Key
	digest eventlog.Digest
	size   int // of what is sent, about

	// What became of it at an attempt.
	record *eventlog.Record // nil: it is not new
	twin   *item            // with its key, before it in the batch
	known  *first           // under its key in the log
}

// call is one Append or Note.
type call struct {
	items []*item
	size  int
	taken bool // by a commit; under Log.mu
	err   error
	done  chan struct{}
}

// Append implements eventlog.Log. Errors beside those of the contract:
// eventlog.ErrEvent if one of the events cannot be kept; ErrTooLarge;
// ErrClosed; ErrLost. Where the server does not answer, or not enough replicas
// did (redisdb.ErrReplicas), events may have been kept that were not said to
// be: a repeat under their source ids finds them.
func (l *Log) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Appended, error) {
	items := make([]*item, len(events))
	for i := range events {
		d, err := eventlog.NewDraft(&events[i])
		if err != nil {
			return nil, err
		}
		it := &item{draft: d, size: d.Size()}
		if e := d.Event(); e.SourceID != "" {
			it.keyed = true
			it.key, it.digest = l.secret.Of(e)
		}
		items[i] = it
	}
	return l.appendItems(ctx, items)
}

// Note implements eventlog.Journal. Errors as for Append.
func (l *Log) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	items := make([]*item, len(entries))
	for i := range entries {
		e := &entries[i]
		d, err := eventlog.NewEntryDraft(e)
		if err != nil {
			return nil, err
		}
		it := &item{draft: d, size: d.Size() + refSize*len(e.Refs)}
		for _, ref := range e.Refs {
			it.refs = append(it.refs, l.secret.Ref(e.Kind, ref))
		}
		items[i] = it
	}
	return l.appendItems(ctx, items)
}

func (l *Log) appendItems(ctx context.Context, items []*item) ([]eventlog.Appended, error) {
	if len(items) == 0 || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c := &call{items: items, done: make(chan struct{})}
	for _, it := range items {
		c.size += it.size
	}
	if len(items) > MaxAppend || len(items) > 1 && c.size > MaxAppendBytes {
		return nil, ErrTooLarge
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	l.enqueue(ctx, c)
	select {
	case <-c.done:
	case <-ctx.Done():
		if l.withdraw(c) {
			return nil, fmt.Errorf("redislog: append: %w", ctx.Err())
		}
		<-c.done // Timeout bounds it
	}
	if c.err != nil {
		return nil, fmt.Errorf("redislog: append: %w", c.err)
	}
	done := make([]eventlog.Appended, len(items))
	for i, it := range items {
		done[i] = l.appended(it)
	}
	return done, nil
}

// appended tells what became of an item.
func (l *Log) appended(it *item) eventlog.Appended {
	if it.record != nil {
		return eventlog.Appended{ID: it.record.ID, Seq: it.record.Seq}
	}
	f := it.known
	if f == nil {
		f = &first{digest: it.twin.digest, seq: it.twin.record.Seq}
	}
	a := eventlog.Appended{ID: l.ids.ID(f.seq), Seq: f.seq, Duplicate: f.digest == it.digest}
	if !a.Duplicate {
		a.Err = &eventlog.ConflictError{FirstID: a.ID}
	}
	return a
}

// enqueue lets a call be committed, by a goroutine that ends when there are no
// more.
func (l *Log) enqueue(ctx context.Context, c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	if !l.committing {
		l.committing = true
		l.work.Add(1) // within that of the caller
		go l.commitAll(context.WithoutCancel(ctx))
	}
}

// withdraw takes a call back, unless it is being committed.
func (l *Log) withdraw(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.taken {
		return false
	}
	for i, other := range l.queue {
		if other == c {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return true
}

// commitAll commits what waits, as much at once as there is.
func (l *Log) commitAll(ctx context.Context) {
	defer l.work.Done()
	for {
		batch := l.nextBatch()
		if len(batch) == 0 {
			return
		}
		var items []*item
		for _, c := range batch {
			items = append(items, c.items...)
		}
		began := time.Now()
		err := l.commit(ctx, items)
		if l.cfg.Observe != nil && err == nil {
			l.cfg.Observe(len(batch), time.Since(began))
		}
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
	}
}

// nextBatch takes the calls that share the next script; none ends commitAll.
func (l *Log) nextBatch() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, records, size := 0, 0, 0
	for n < len(l.queue) {
		c := l.queue[n]
		if records, size = records+len(c.items), size+c.size; n > 0 && (records > maxBatch || size > maxBatchBytes) {
			break
		}
		c.taken = true
		n++
	}
	batch := append([]*call(nil), l.queue[:n]...)
	l.queue = append(l.queue[:0], l.queue[n:]...)
	l.committing = n > 0
	return batch
}
