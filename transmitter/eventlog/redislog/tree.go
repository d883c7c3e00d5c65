package redislog

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Tile implements eventlog.Prover. It asks the server: full tiles never change,
// and that at the edge has what others appended.
func (l *Log) Tile(ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
	if level < 0 || level > eventlog.MaxTileLevel || width < 1 || width > eventlog.TileWidth || n > maxSeq {
		return nil, eventlog.ErrNotFound
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	tile, err := l.tile(ctx, level, n, 0, width)
	if err != nil {
		return nil, fmt.Errorf("redislog: tile %d/%d: %w", level, n, err)
	}
	if len(tile) < width {
		return nil, eventlog.ErrNotFound
	}
	return tile, nil
}

// tile reads up to width hashes of a tile from one on, as many as there are.
func (l *Log) tile(ctx context.Context, level int, n uint64, from, width int) ([]eventlog.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if level == 0 {
		text, err := l.slice(ctx, l.keys.rows(n), from*rowSize, width*rowSize)
		if err != nil {
			return nil, err
		}
		rows, err := rowsOf(text)
		if err != nil {
			return nil, err
		}
		tile := make([]eventlog.Hash, len(rows))
		for i := range rows {
			tile[i] = rows[i].leaf
		}
		return tile, nil
	}
	text, err := l.slice(ctx, l.keys.nodes(level, n), from*eventlog.HashSize, width*eventlog.HashSize)
	if err != nil {
		return nil, err
	}
	if len(text)%eventlog.HashSize != 0 {
		return nil, errAnswer
	}
	tile := make([]eventlog.Hash, len(text)/eventlog.HashSize)
	for i := range tile {
		copy(tile[i][:], text[i*eventlog.HashSize:])
	}
	return tile, nil
}

// slice reads a part of a string; what is not there is left out.
func (l *Log) slice(ctx context.Context, key string, from, n int) (string, error) {
	text, err := l.db.Client().GetRange(ctx, key, int64(from), int64(from+n-1)).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return text, err
}

// loadEdge reads the right edge of the tree as it was at a head. Error:
// ErrDamaged if a part of it is not there.
func (l *Log) loadEdge(ctx context.Context, h head) (*eventlog.Edge, error) {
	edge, err := eventlog.LoadEdge(h.size, func(level int, from uint64, width int) ([]eventlog.Hash, error) {
		tile, err := l.tile(ctx, level, from/eventlog.TileWidth, 0, width)
		if err == nil && len(tile) < width {
			err = fmt.Errorf("%w: hash %d of level %d is missing", ErrDamaged, from+uint64(len(tile)), level)
		}
		return tile, err
	})
	if err != nil || h.size == 0 {
		return edge, err
	}
	segment, at := placeOf(h.size)
	last, err := l.tile(ctx, 0, segment, at, 1)
	if err != nil {
		return nil, err
	}
	if len(last) != 1 || last[0] != h.leaf {
		return nil, fmt.Errorf("%w: record %d is not the one at the head", ErrDamaged, h.size)
	}
	return edge, nil
}

// Stored implements eventlog.Archive. At most MaxRead are returned.
func (l *Log) Stored(ctx context.Context, after uint64, max int) ([]eventlog.Stored, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	if max < 1 || after >= maxSeq {
		return nil, nil
	}
	// One page is at most a megabyte of bodies beside the largest event.
	page, _, err := l.page(ctx, after, min(max, segmentSize))
	if err != nil {
		return nil, fmt.Errorf("redislog: stored after %d: %w", after, err)
	}
	return page, nil
}

// StoredNodes implements eventlog.Archive.
func (l *Log) StoredNodes(ctx context.Context, level int, from uint64, max int) ([]eventlog.Hash, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.work.Done()
	var nodes []eventlog.Hash
	for len(nodes) < max {
		at := from + uint64(len(nodes))
		within := int(at % eventlog.TileWidth)
		width := min(eventlog.TileWidth-within, max-len(nodes))
		part, err := l.tile(ctx, level, at/eventlog.TileWidth, within, width)
		if err != nil {
			return nil, fmt.Errorf("redislog: nodes of level %d: %w", level, err)
		}
		nodes = append(nodes, part...)
		if len(part) < width {
			break
		}
	}
	return nodes, nil
}
