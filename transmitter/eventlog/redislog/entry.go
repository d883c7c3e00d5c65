package redislog

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// entriesAtOnce is how many entries are read in one exchange.
const entriesAtOnce = 64

// Entries implements eventlog.Journal. At most MaxRead are returned.
func (l *Log) Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	seqs, err := l.entrySeqs(ctx, kind, l.secret.Ref(kind, ref), span)
	if err != nil {
		return nil, fmt.Errorf("redislog: entries: %w", err)
	}
	if len(seqs) == 0 && span.Alike {
		_, _ = l.scattered(ctx, []uint64{1}) // whatever is there
	}
	var records []*eventlog.Record
	for size := 0; len(records) < len(seqs) && size < maxReadBytes; {
		some := seqs[len(records):]
		some = some[:min(len(some), entriesAtOnce)]
		part, err := l.scattered(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("redislog: entries: %w", err)
		}
		for _, r := range part {
			size += len(r.Canonical)
		}
		records = append(records, part...)
	}
	return records, nil
}

// entrySeqs returns the numbers of the entries that are wanted, in their order.
func (l *Log) entrySeqs(ctx context.Context, kind eventlog.Kind, key eventlog.Key, span eventlog.Span) ([]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	by := &redis.ZRangeBy{
		Min: "(" + string(appendRef(nil, kind, key, span.After)), Max: "[" + string(appendRef(nil, kind, key, 1<<64-1)),
		Count: int64(max(0, min(span.Max, MaxRead))),
	}
	if span.Before > 0 {
		by.Max = "(" + string(appendRef(nil, kind, key, span.Before))
	}
	if by.Count == 0 {
		return nil, nil
	}
	list, find := []string(nil), l.db.Client().ZRangeByLex
	if span.Newest {
		find = l.db.Client().ZRevRangeByLex
	}
	list, err := find(ctx, l.keys.refs, by).Result()
	if err != nil {
		return nil, err
	}
	seqs := make([]uint64, len(list))
	for i, member := range list {
		if len(member) != refSize {
			return nil, errAnswer
		}
		seqs[i] = binary.BigEndian.Uint64([]byte(member[refSize-8:]))
	}
	return seqs, nil
}

// scattered reads some records in one exchange.
func (l *Log) scattered(ctx context.Context, seqs []uint64) ([]*eventlog.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	pipe := l.db.Client().Pipeline()
	rows, bodies := make([]*redis.StringCmd, len(seqs)), make([]*redis.SliceCmd, len(seqs))
	for i, seq := range seqs {
		segment, at := placeOf(seq)
		rows[i] = pipe.GetRange(ctx, l.keys.rows(segment), int64(at*rowSize), int64((at+1)*rowSize-1))
		bodies[i] = pipe.HMGet(ctx, l.keys.bodies(segment), decimal(uint64(at)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	records := make([]*eventlog.Record, len(seqs))
	for i, seq := range seqs {
		row, err := rowsOf(rows[i].Val())
		if err != nil || len(row) != 1 || len(bodies[i].Val()) != 1 {
			return nil, fmt.Errorf("%w: record %d is missing", ErrDamaged, seq)
		}
		s, err := l.stored(seq, row[0], bodies[i].Val()[0])
		if err != nil {
			return nil, err
		}
		if records[i], err = eventlog.Load(s); err != nil {
			return nil, fmt.Errorf("record %d: %w", seq, err)
		}
	}
	return records, nil
}
