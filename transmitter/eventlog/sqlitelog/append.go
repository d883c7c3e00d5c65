package sqlitelog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// writer is the state of the running transaction. Only functions that run
// inside of a write or its OnCommit touch it, and those run one at a time.
type writer struct {
	head    uint64 // committed
	millis  int64  // time of the last record, pending ones included
	number  uint64 // of the transaction that pending and added belong to
	pending []*eventlog.Record
	added   []change
	edge    *eventlog.Edge // of the tree, pending records included
	publish func()         // Log.publish as a value, made once
}

// change is a key that the transaction put into the keyring.
type change struct {
	key  key
	prev entry // what stood there
	had  bool
}

// item is one event of an Append with what can be made before its turn.
type item struct {
	draft  *eventlog.Draft
	refs   []string // of an entry
	keyed  bool
	key    key
	digest digest
}

// Append implements eventlog.Log. Errors beside those of the contract:
// eventlog.ErrEvent if one of the events cannot be kept; ErrClosed.
func (l *Log) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Appended, error) {
	if len(events) == 0 {
		return nil, ctx.Err()
	}
	items := make([]item, len(events))
	for i := range events {
		d, err := eventlog.NewDraft(&events[i])
		if err != nil {
			return nil, err
		}
		items[i].draft = d
		if e := d.Event(); e.SourceID != "" {
			items[i].keyed = true
			items[i].key, items[i].digest = l.keys.secret.Of(e)
		}
	}
	return l.appendItems(ctx, items)
}

func (l *Log) appendItems(ctx context.Context, items []item) ([]eventlog.Appended, error) {
	done := make([]eventlog.Appended, len(items))
	err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error { return l.appendTx(tx, items, done) })
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: append: %w", err)
	}
	return done, nil
}

// appendTx writes the items in a transaction; it may run again.
func (l *Log) appendTx(tx *sqlitedb.Tx, items []item, done []eventlog.Appended) (err error) {
	w := &l.writer
	if w.number != tx.Number() {
		l.undo(0, 0) // of a transaction that was rolled back
		w.number = tx.Number()
	}
	records, keys, kept := len(w.pending), len(w.added), false
	defer func() { // also in a panic
		if !kept {
			l.undo(records, keys)
		}
	}()
	millis := max(l.now().UnixMilli(), w.millis)
	for i := range items {
		if done[i], err = l.appendItem(tx, &items[i], millis); err != nil {
			return err
		}
	}
	kept = true
	w.millis = millis
	tx.OnCommit(w.publish)
	return nil
}

// The statements that write a record. Whether the table knows the key is
// asked in the insert itself: a look-up of its own costs three times as much.
const (
	insertRecord = "INSERT INTO record(seq, recorded, kind, salt, leaf, body, key, digest) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
	insertUnseen = "INSERT INTO record(seq, recorded, kind, salt, leaf, body, key, digest) SELECT ?, ?, ?, ?, ?, ?, ?, ?" +
		" WHERE NOT EXISTS (SELECT 1 FROM source_key WHERE key = ?)"
)

// appendItem writes one event, unless its key was seen before.
func (l *Log) appendItem(tx *sqlitedb.Tx, it *item, millis int64) (eventlog.Appended, error) {
	w := &l.writer
	seq := w.head + uint64(len(w.pending)) + 1
	rec := it.draft.Record(seq, l.ids.ID(seq), time.UnixMilli(millis))
	args := [...]any{int64(seq), millis, int64(rec.Kind), rec.Salt[:], rec.Leaf[:], rec.Canonical, nil, nil, nil}
	plain := args[:len(args)-1]
	if !it.keyed {
		if _, err := tx.Exec(insertRecord, plain...); err != nil {
			return eventlog.Appended{}, err
		}
		w.pending = append(w.pending, rec)
		return eventlog.Appended{ID: rec.ID, Seq: seq}, errors.Join(l.grow(tx, rec.Leaf), l.appendRefs(tx, rec, it.refs))
	}
	args[6], args[7], args[8] = it.key[:], it.digest[:], it.key[:]
	prev, had := l.keys.recent[it.key]
	written := false
	if !had {
		r, err := tx.Exec(insertUnseen, args[:]...)
		if err != nil {
			return eventlog.Appended{}, err
		}
		written = r.Changes == 1
	}
	if !written {
		first, seen, err := l.lookUp(tx, it.key, millis)
		if err != nil {
			return eventlog.Appended{}, err
		}
		if seen {
			return l.again(first, it), nil
		}
		if _, err := tx.Exec(insertRecord, plain...); err != nil {
			return eventlog.Appended{}, err
		}
	}
	w.pending = append(w.pending, rec)
	w.added = append(w.added, change{it.key, prev, had})
	l.keys.recent[it.key] = entry{seq: seq, millis: millis, digest: it.digest}
	return eventlog.Appended{ID: rec.ID, Seq: seq}, l.grow(tx, rec.Leaf)
}

// again answers for an event whose key was seen before.
func (l *Log) again(first entry, it *item) eventlog.Appended {
	a := eventlog.Appended{ID: l.ids.ID(first.seq), Seq: first.seq, Duplicate: first.digest == it.digest}
	if !a.Duplicate {
		a.Err = &eventlog.ConflictError{FirstID: a.ID}
	}
	return a
}

// undo takes back what stands in memory beyond the given numbers of records
// and keys.
func (l *Log) undo(records, keys int) {
	w := &l.writer
	for i := len(w.added) - 1; i >= keys; i-- {
		c := w.added[i]
		if c.had {
			l.keys.recent[c.key] = c.prev
		} else {
			delete(l.keys.recent, c.key)
		}
	}
	w.added = w.added[:keys]
	l.regrow(records)
	clear(w.pending[records:])
	w.pending = w.pending[:records]
}

// publish shows what was committed to readers. The first call after a commit
// does it for all of its writes.
func (l *Log) publish() {
	w := &l.writer
	if len(w.pending) == 0 {
		return
	}
	w.head += uint64(len(w.pending))
	l.tree.publish(w.pending)
	l.tail.Add(w.pending)
	clear(w.pending)
	w.pending, w.added = w.pending[:0], w.added[:0]
	l.moveKeys()
}
