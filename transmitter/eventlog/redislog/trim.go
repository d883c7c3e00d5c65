package redislog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Archived returns up to which record the log has been trimmed; 0: it was not.
func (l *Log) Archived(ctx context.Context) (uint64, error) {
	if err := l.begin(); err != nil {
		return 0, err
	}
	defer l.work.Done()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	text, err := l.db.Client().HGet(ctx, l.keys.head, "archived").Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("redislog: archived: %w", err)
	}
	return numberOf(text)
}

// Trim removes the canonical bytes and salts of events from the server that are
// kept in files (package segments), up to a record and behind the last trimming;
// entries keep theirs, since they are found under their keys. Place, time, kind
// and leaf of all stay. Where a trimmed record is read it looks as if erased, also by
// processes that had it in memory.
// Doing it again changes nothing. It returns how many were there.
func (l *Log) Trim(ctx context.Context, upTo uint64) (int, error) {
	after, err := l.Archived(ctx)
	if err != nil {
		return 0, err
	}
	if err := l.begin(); err != nil {
		return 0, err
	}
	defer l.work.Done()
	trimmed := 0
	for after < upTo {
		n, last, err := l.trimPage(ctx, after, upTo)
		if err != nil {
			return trimmed, fmt.Errorf("redislog: trim after %d: %w", after, err)
		}
		trimmed, after = trimmed+n, last
	}
	return trimmed, nil
}

// trimPage trims events behind a record, up to the last that it returns.
func (l *Log) trimPage(ctx context.Context, after, upTo uint64) (n int, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	segment, at := placeOf(after + 1)
	text, err := l.slice(ctx, l.keys.rows(segment), at*rowSize, int(min(upTo-after, uint64(segmentSize-at)))*rowSize)
	if err != nil {
		return 0, 0, err
	}
	rows, err := rowsOf(text)
	if err != nil {
		return 0, 0, err
	}
	if len(rows) == 0 {
		return 0, 0, fmt.Errorf("%w: record %d is missing", ErrDamaged, after+1)
	}
	last = after + uint64(len(rows))
	args := []any{l.name, last, segment * segmentSize, l.db.Channel(wakeTopic)}
	for i := range rows {
		if rows[i].kind == eventlog.KindEvent {
			args = append(args, at+i)
		}
	}
	answer, err := l.db.Write(ctx, l.scripts.trim, []string{l.keys.head, l.keys.erased, l.keys.bodies(segment)}, args...)
	if err != nil {
		return 0, 0, err
	}
	removed, ok := answer.(int64)
	if !ok || removed < 0 {
		return 0, 0, fmt.Errorf("%w: there is another log at its place", ErrLost)
	}
	return int(removed), last, nil
}

// Erasures returns the records that the log says were erased.
func (l *Log) Erasures(ctx context.Context) ([]eventlog.Seqs, error) {
	var erased []eventlog.Seqs
	for _, kind := range []eventlog.Kind{eventlog.KindErasure, eventlog.KindRetention} {
		for after := uint64(0); ; {
			entries, err := l.Entries(ctx, kind, eventlog.RefAll, eventlog.Span{After: after, Max: MaxRead})
			if err != nil {
				return nil, err
			}
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				after = e.Seq
				runs, err := e.Erasures()
				if err != nil {
					return nil, err
				}
				erased = slices.Concat(erased, runs)
			}
		}
	}
	return erased, nil
}
