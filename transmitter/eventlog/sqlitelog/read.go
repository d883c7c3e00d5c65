package sqlitelog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Read implements eventlog.Log. At most MaxRead records are returned.
func (l *Log) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	max = min(max, MaxRead)
	if max <= 0 {
		return nil, ctx.Err()
	}
	records, head, held := l.tail.Read(after, max)
	if held {
		return records, ctx.Err()
	}
	last := min(head, after+uint64(max))
	err := l.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT seq, recorded, kind, salt, leaf, body FROM record WHERE seq > ? AND seq <= ? ORDER BY seq",
			int64(after), int64(last))
		if err != nil {
			return err
		}
		records, err = l.scan(rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: read after %d: %w", after, err)
	}
	return records, nil
}

// scan makes records of rows, until their size is enough.
func (l *Log) scan(rows *sqlitedb.Rows) ([]*eventlog.Record, error) {
	var records []*eventlog.Record
	for size := 0; size < maxReadBytes && rows.Next(); {
		var s eventlog.Stored
		var kind int
		if err := rows.Scan(&s.Seq, &s.RecordedMillis, &kind, &s.Salt, &s.Leaf, &s.Canonical); err != nil {
			return nil, err
		}
		s.ID, s.Kind = l.ids.ID(s.Seq), eventlog.Kind(kind)
		r, err := eventlog.Load(s)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", s.Seq, err)
		}
		records = append(records, r)
		size += len(s.Canonical)
	}
	return records, rows.Err()
}

// Wait implements eventlog.Log. Error beside ctx's: ErrClosed.
func (l *Log) Wait(ctx context.Context, after uint64) error {
	return l.tail.Wait(ctx, after, ErrClosed)
}

// Head implements eventlog.Log.
func (l *Log) Head(ctx context.Context) (uint64, error) {
	return l.tail.Head(), ctx.Err()
}

// Record implements eventlog.Log.
func (l *Log) Record(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	if seq == 0 {
		return nil, eventlog.ErrNotFound
	}
	records, err := l.Read(ctx, seq-1, 1)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].Seq != seq {
		return nil, eventlog.ErrNotFound
	}
	return records[0], nil
}

// Get implements eventlog.Log.
func (l *Log) Get(ctx context.Context, id string) (*eventlog.Record, error) {
	seq, err := l.ids.Seq(id)
	if err == nil {
		return l.Record(ctx, seq)
	}
	if decoy, ok := l.ids.Decoy(id, l.tail.Head()); ok {
		if _, failed := l.Record(ctx, decoy); failed != nil && !errors.Is(failed, eventlog.ErrNotFound) {
			return nil, failed
		}
	}
	return nil, err
}
