package sqliteindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Crash points.
const (
	CrashBeforeCommit = "index.before-commit"
	CrashAfterCommit  = "index.after-commit"
)

const (
	// busy and gather: where records come faster than one by one, a moment's
	// wait lets many of them share a transaction. Searches read the log
	// meanwhile, so nobody waits for it.
	busy   = 4
	gather = 50 * time.Millisecond
	// retryFirst and retryMost bound the pause after a failure.
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Run implements eventlog.Index. Failures are retried with growing pauses; a
// file that turns out to be damaged is built anew.
func (x *Index) Run(ctx context.Context) error {
	wait := retryFirst
	for {
		err := x.follow(ctx, func() { wait = retryFirst })
		if ctx.Err() != nil {
			return nil
		}
		x.cfg.Logger.ErrorContext(ctx, "indexing failed, trying again", "err", err, "pause", wait)
		if sqlitedb.IsCorrupt(err) || errors.Is(err, errBroken) {
			if err := x.Rebuild(ctx); err != nil {
				x.cfg.Logger.ErrorContext(ctx, "the search index could not be built anew", "err", err)
			}
		}
		x.pause(ctx, wait)
		wait = min(2*wait, retryMost)
	}
}

// pause returns after d, when somebody waits for the index, or when ctx ends.
func (x *Index) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-x.hurry:
	}
}

// follow works until a failure or the end of ctx; done is called after each batch.
func (x *Index) follow(ctx context.Context, done func()) error {
	for {
		if err := x.wait(ctx); err != nil {
			return fmt.Errorf("sqliteindex: waiting for the log: %w", err)
		}
		if x.broken.Load() {
			return errBroken
		}
		n, err := x.step(ctx)
		if err != nil {
			return err
		}
		done()
		if n >= busy && n < minBatch && x.waiting.Load() == 0 {
			x.pause(ctx, gather)
		}
	}
}

// wait waits for a record after the place, or for the index to be emptied.
func (x *Index) wait(ctx context.Context) error {
	moved, place := x.moved.wait(), x.place.Load()
	until, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-moved:
			cancel()
		case <-until.Done():
		}
	}()
	if x.broken.Load() {
		return nil
	}
	err := x.log.Wait(until, place)
	if (x.place.Load() != place || x.broken.Load()) && ctx.Err() == nil {
		return nil
	}
	return err
}

// step indexes the next records of the log and returns how many.
func (x *Index) step(ctx context.Context) (int, error) {
	x.work.Lock()
	defer x.work.Unlock()
	start, place := time.Now(), x.place.Load()
	head, err := x.log.Head(ctx)
	if err != nil {
		return 0, err
	}
	records, err := x.next(ctx, place, head)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	b, err := x.prepare(ctx, records)
	if err != nil {
		return 0, err
	}
	last := records[len(records)-1]
	if err := x.write(ctx, func(tx *sqlitedb.Tx) error {
		if err := b.put(tx); err != nil {
			return err
		}
		x.cfg.Crash(CrashBeforeCommit)
		_, err := tx.Exec("UPDATE place SET seq = ?, leaf = ?", int64(last.Seq), last.Leaf[:])
		return err
	}); err != nil {
		return 0, fmt.Errorf("sqliteindex: indexing: %w", err)
	}
	x.cfg.Crash(CrashAfterCommit)
	x.place.Store(last.Seq)
	if head-last.Seq < minTrail {
		x.building.Store(false)
	}
	took := time.Since(start)
	x.measure(len(records), took)
	if x.cfg.Observe != nil {
		x.cfg.Observe(len(records), took)
	}
	x.moved.tell()
	return len(records), nil
}

// next reads a batch, the larger the more there is.
func (x *Index) next(ctx context.Context, place, head uint64) ([]*eventlog.Record, error) {
	want := int(min(max(head-place, minBatch), maxBatch))
	var records []*eventlog.Record
	for size := 0; len(records) < want && size < maxBatchBytes; {
		some, err := x.log.Read(ctx, place, want-len(records))
		if err != nil {
			return nil, fmt.Errorf("sqliteindex: reading the log: %w", err)
		}
		if len(some) == 0 {
			break
		}
		for _, r := range some {
			size += len(r.Canonical)
		}
		records = append(records, some...)
		place = some[len(some)-1].Seq
	}
	return records, nil
}

// batch is what a transaction writes.
type batch struct {
	added   []*entry
	changed []*entry // events that were annotated
}

// prepare computes what the records become. An event that was annotated in
// the batch, or before, is put as it is after all of its annotations.
func (x *Index) prepare(ctx context.Context, records []*eventlog.Record) (*batch, error) {
	b := &batch{added: make([]*entry, 0, len(records))}
	t := terms{secret: &x.secrets.terms}
	var ids []string
	for _, r := range records {
		if r.Erased {
			continue
		}
		switch r.Kind {
		case eventlog.KindEvent:
			b.added = append(b.added, t.entryOf(r, &r.Attributes))
		case eventlog.KindAnnotation:
			a, err := eventlog.AnnotationOf(r)
			if err != nil {
				x.cfg.Logger.ErrorContext(ctx, "an annotation could not be read", "seq", r.Seq, "err", err)
				continue
			}
			ids = append(ids, a.Event)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		r, said, err := x.annotated(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("sqliteindex: reading annotations: %w", err)
		}
		if r != nil {
			b.changed = append(b.changed, t.annotatedEntry(r, said))
		}
	}
	return b, nil
}

// annotated returns an event and what was said of it; nil if there is no such
// event any more.
func (x *Index) annotated(ctx context.Context, id string) (*eventlog.Record, []eventlog.Annotation, error) {
	r, err := x.log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrMalformedID) {
		return nil, nil, nil
	}
	if err != nil || r.Kind != eventlog.KindEvent || r.Erased {
		return nil, nil, err
	}
	said, _, err := eventlog.Annotations(ctx, x.log, r.Seq)
	return r, said, err
}

// posting is a row of a term's list.
type posting struct {
	key  term
	at   int64
	seq  uint64
	kind int64
}

// The statements that write an event. A row that is there already was written
// before a kill, or by somebody who was faster; it is the same.
const (
	insertEvent   = "INSERT INTO event(seq, at, score, addr, noted, keys) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
	insertPosting = "INSERT INTO posting(key, at, seq, type) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING"
	insertMention = "INSERT INTO mention(key, seq) VALUES(?, ?) ON CONFLICT DO NOTHING"
	deletePosting = "DELETE FROM posting WHERE key = ? AND at = ? AND seq = ?"
	deleteMention = "DELETE FROM mention WHERE key = ? AND seq = ?"
)

// put writes the batch; the lists in their order, which is what a tree likes.
func (b *batch) put(tx *sqlitedb.Tx) error {
	if err := putEntries(tx, b.added); err != nil {
		return err
	}
	for _, e := range b.changed {
		there, err := remove(tx, e.seq)
		if err != nil {
			return err
		}
		if !there {
			continue // it was forgotten
		}
		if err := putEntries(tx, []*entry{e}); err != nil {
			return err
		}
	}
	return nil
}

func putEntries(tx *sqlitedb.Tx, entries []*entry) error {
	var lists, mentions []posting
	for _, e := range entries {
		if _, err := tx.Exec(insertEvent, int64(e.seq), e.at, e.score, e.addr, e.noted, e.keys()); err != nil {
			return err
		}
		for _, k := range e.posted {
			lists = append(lists, posting{k, e.at, e.seq, e.kind})
		}
		for _, k := range e.mentions {
			mentions = append(mentions, posting{key: k, seq: e.seq})
		}
	}
	order := func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	}
	slices.SortFunc(lists, order)
	for _, p := range lists {
		if _, err := tx.Exec(insertPosting, int64(p.key), p.at, int64(p.seq), p.kind); err != nil {
			return err
		}
	}
	slices.SortFunc(mentions, order)
	for _, p := range mentions {
		if _, err := tx.Exec(insertMention, int64(p.key), int64(p.seq)); err != nil {
			return err
		}
	}
	return nil
}
