package redislog

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// eraseChunk is how many records one script erases.
const eraseChunk = 256

// Erase implements eventlog.Eraser. Other processes let go of what they hold in
// memory within a second, with Config.Wakes at once. What the append-only file of the
// server still has of it goes with its next rewrite: see Compact.
func (l *Log) Erase(ctx context.Context, seqs ...uint64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := l.begin(); err != nil {
		return 0, err
	}
	defer l.work.Done()
	if _, _, err := l.place.state(); err != nil {
		return 0, err
	}
	erased := 0
	for chunk := range slices.Chunk(seqs, eraseChunk) {
		n, err := l.eraseChunk(ctx, chunk)
		if err != nil {
			return erased, fmt.Errorf("redislog: erase: %w", err)
		}
		erased += n
	}
	if erased > 0 { // and out of the memory
		if err := l.look(ctx); err != nil {
			return erased, err
		}
	}
	return erased, nil
}

func (l *Log) eraseChunk(ctx context.Context, seqs []uint64) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	keys := []string{l.keys.head, l.keys.erased, l.keys.answer(randomText())}
	args := []any{l.name, answerLife / time.Millisecond, l.db.Channel(wakeTopic)}
	number := make(map[uint64]int)
	for _, seq := range seqs {
		if seq == 0 || seq > maxSeq {
			continue
		}
		segment, at := placeOf(seq)
		if number[segment] == 0 {
			keys = append(keys, l.keys.bodies(segment))
			number[segment] = len(number) + 1
		}
		args = append(args, number[segment], at, seq)
	}
	if len(number) == 0 {
		return 0, nil
	}
	answer, err := l.db.Write(ctx, l.scripts.erase, keys, args...)
	if err != nil {
		return 0, err
	}
	n, ok := answer.(int64)
	if !ok || n < 0 {
		return 0, fmt.Errorf("%w: there is another log at its place", ErrLost)
	}
	return int(n), nil
}

// Compact lets the server rewrite its append-only file in the background, which
// removes from it what was erased. In a cluster it is that of the log's node;
// its replicas rewrite theirs by themselves.
func (l *Log) Compact(ctx context.Context) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.work.Done()
	if err := l.db.Rewrite(ctx, l.keys.head); err != nil {
		return fmt.Errorf("redislog: compact: %w", err)
	}
	return nil
}
