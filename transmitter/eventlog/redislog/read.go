package redislog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// pageBytes is how much of bodies one script returns, softly.
const pageBytes = 1 << 20

// Read implements eventlog.Log. At most MaxRead records are returned.
func (l *Log) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	max = min(max, MaxRead)
	if max <= 0 {
		return nil, ctx.Err()
	}
	if err := l.fresh(ctx); err != nil {
		return nil, err
	}
	records, _, held := l.tail.Read(after, max)
	if len(records) > 0 {
		return records, nil
	}
	size := l.place.size()
	if after >= size {
		if err := l.look(ctx); err != nil {
			return nil, err
		}
		if size = l.place.size(); after >= size {
			return nil, nil
		}
	}
	if held {
		return l.fill(ctx, after, max)
	}
	records, _, err := l.pages(ctx, after, min(size, after+uint64(max)))
	return records, err
}

// fill brings the tail behind a record, so that followers share what was read.
func (l *Log) fill(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	select {
	case l.filling <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.filling }()
	if records, _, held := l.tail.Read(after, max); len(records) > 0 || !held {
		return l.orPages(ctx, records, after, max)
	}
	if l.tail.Head() < after {
		l.tail.Reset(after)
	}
	records, erased, err := l.pages(ctx, after, min(l.place.size(), after+uint64(max)))
	if err != nil {
		return nil, err
	}
	l.keep(records, erased)
	return records, nil
}

// orPages returns records, or reads them where there are none.
func (l *Log) orPages(ctx context.Context, records []*eventlog.Record, after uint64, max int) ([]*eventlog.Record, error) {
	if len(records) > 0 {
		return records, nil
	}
	records, _, err := l.pages(ctx, after, min(l.place.size(), after+uint64(max)))
	return records, err
}

// pages reads the records behind one, up to last, from the server until their
// size is enough. erased is how many had been erased ever when it began.
func (l *Log) pages(ctx context.Context, after, last uint64) (records []*eventlog.Record, erased uint64, err error) {
	if err := l.begin(); err != nil {
		return nil, 0, err
	}
	defer l.work.Done()
	for size := 0; after < last && size < maxReadBytes; {
		page, n, err := l.page(ctx, after, int(min(last-after, segmentSize)))
		if err != nil {
			return nil, 0, fmt.Errorf("redislog: read after %d: %w", after, err)
		}
		if len(page) == 0 {
			return nil, 0, fmt.Errorf("%w: record %d is missing", ErrDamaged, after+1)
		}
		if records == nil {
			erased = n
		}
		for i := range page {
			r, err := eventlog.Load(page[i])
			if err != nil {
				return nil, 0, fmt.Errorf("redislog: record %d: %w", page[i].Seq, err)
			}
			records = append(records, r)
			size += len(page[i].Canonical)
		}
		after = page[len(page)-1].Seq
	}
	return records, erased, nil
}

// page reads up to max (at most a segment's) records behind one in one exchange.
func (l *Log) page(ctx context.Context, after uint64, max int) (page []eventlog.Stored, erased uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	segment, at := placeOf(after + 1)
	keys := []string{l.keys.head, l.keys.rows(segment), l.keys.bodies(segment), l.keys.rows(segment + 1), l.keys.bodies(segment + 1)}
	answer, err := l.db.Run(ctx, l.scripts.read, keys, at, max, pageBytes)
	if err != nil {
		return nil, 0, err
	}
	list, err := listOf(answer, 3)
	if err != nil {
		return nil, 0, err
	}
	if erased, err = numberOf(list[0]); err != nil {
		return nil, 0, err
	}
	rows, err := rowsOf(redisdb.Text(list[1]))
	if err != nil {
		return nil, 0, err
	}
	bodies, ok := list[2].([]any)
	if !ok || len(bodies) > len(rows) {
		return nil, 0, errAnswer
	}
	for i, body := range bodies {
		s, err := l.stored(after+1+uint64(i), rows[i], body)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, s)
	}
	return page, erased, nil
}

// Record implements eventlog.Log.
func (l *Log) Record(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	if seq == 0 {
		return nil, eventlog.ErrNotFound
	}
	if err := l.fresh(ctx); err != nil {
		return nil, err
	}
	if records, _, _ := l.tail.Read(seq-1, 1); len(records) > 0 {
		return records[0], nil
	}
	return l.one(ctx, seq)
}

// one reads a record from the server.
func (l *Log) one(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	if seq-1 >= maxSeq {
		return nil, eventlog.ErrNotFound
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	page, _, err := l.page(ctx, seq-1, 1)
	if err != nil {
		return nil, fmt.Errorf("redislog: record %d: %w", seq, err)
	}
	if len(page) == 0 {
		return nil, eventlog.ErrNotFound
	}
	return eventlog.Load(page[0])
}

// maxSeq is beyond every log that can be: numbers stand in 6 bytes.
const maxSeq = 1<<48 - 1

// Get implements eventlog.Log. It asks the server, so that what was erased by
// another process is not returned.
func (l *Log) Get(ctx context.Context, id string) (*eventlog.Record, error) {
	seq, err := l.ids.Seq(id)
	if err == nil && seq == 0 {
		return nil, eventlog.ErrNotFound
	}
	if err == nil {
		return l.one(ctx, seq)
	}
	if decoy, ok := l.ids.Decoy(id, l.tail.Head()); ok {
		if _, failed := l.one(ctx, decoy); failed != nil && !errors.Is(failed, eventlog.ErrNotFound) {
			return nil, failed
		}
	}
	return nil, err
}
