package sqlitelog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Leaves are a column of their records. Of the nodes above, the table has
// those at every eighth height, which are what tiles are made of: one row for
// 256 records, written with the last of them. The rest is computed of them.

// growChunk is how many leaves are read for one transaction of a tree that is
// made for a log that has none.
const growChunk = 64 * eventlog.TileWidth

// ErrDamaged: the records in the file are not those that its tree is of.
var ErrDamaged = errors.New("sqlitelog: the log is damaged (tocsin event verify-log says where)")

// tree is the right edge over what was committed.
type tree struct {
	mu   sync.RWMutex
	edge *eventlog.Edge
}

const insertNode = "INSERT INTO tree_node(level, n, hash) VALUES(?, ?, ?)"

// grow adds a leaf in a transaction.
func (l *Log) grow(tx *sqlitedb.Tx, leaf eventlog.Hash) (err error) {
	l.writer.edge.Add(leaf, func(n eventlog.Node) {
		if err == nil {
			_, err = tx.Exec(insertNode, n.Level, int64(n.N), n.Hash[:])
		}
	})
	return err
}

// regrow takes the leaves beyond the first pending ones back.
func (l *Log) regrow(records int) {
	w := &l.writer
	if w.edge.Size() == w.head+uint64(records) {
		return
	}
	w.edge = l.tree.edge.Clone() // only the writer changes it
	for _, r := range w.pending[:records] {
		w.edge.Add(r.Leaf, func(eventlog.Node) {}) // in the table already
	}
}

// publish shows the leaves of committed records.
func (t *tree) publish(records []*eventlog.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range records {
		t.edge.Add(r.Leaf, func(eventlog.Node) {})
	}
}

// Tree implements eventlog.Prover.
func (l *Log) Tree(ctx context.Context) (eventlog.Tree, error) {
	l.tree.mu.RLock()
	defer l.tree.mu.RUnlock()
	return l.tree.edge.Tree(), ctx.Err()
}

// Tile implements eventlog.Prover.
func (l *Log) Tile(ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
	if level < 0 || level > eventlog.MaxTileLevel || width < 1 || width > eventlog.TileWidth {
		return nil, eventlog.ErrNotFound
	}
	if tile, err := l.edgeTile(level, n, width); tile != nil || err != nil {
		return tile, err
	}
	var tile []eventlog.Hash
	err := l.db.Read(ctx, func(v *sqlitedb.View) (err error) {
		tile, err = readNodes(v, level, n*eventlog.TileWidth, width)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: tile %d/%d: %w", level, n, err)
	}
	return tile, nil
}

// edgeTile returns a tile that is in memory; nil: it is in the file.
func (l *Log) edgeTile(level int, n uint64, width int) ([]eventlog.Hash, error) {
	l.tree.mu.RLock()
	defer l.tree.mu.RUnlock()
	count := l.tree.edge.Size() >> (eventlog.TileHeight * level)
	full := count / eventlog.TileWidth
	switch {
	case n < full:
		return nil, nil
	case n > full || uint64(width) > count%eventlog.TileWidth:
		return nil, eventlog.ErrNotFound
	}
	return append([]eventlog.Hash(nil), l.tree.edge.Tile(level)[:width]...), nil
}

// queryer reads in a transaction or on a snapshot.
type queryer interface {
	Query(sql string, args ...any) (*sqlitedb.Rows, error)
}

// readNodes returns consecutive nodes of a level from one number on. Error:
// ErrDamaged if one is not there.
func readNodes(q queryer, level int, from uint64, width int) ([]eventlog.Hash, error) {
	var rows *sqlitedb.Rows
	var err error
	first, end := int64(from), int64(from)+int64(width)
	if level == 0 { // record seq is leaf seq-1
		rows, err = q.Query("SELECT seq - 1, leaf FROM record WHERE seq > ? AND seq <= ? ORDER BY seq", first, end)
	} else {
		rows, err = q.Query("SELECT n, hash FROM tree_node WHERE level = ? AND n >= ? AND n < ? ORDER BY n", level, first, end)
	}
	if err != nil {
		return nil, err
	}
	nodes := make([]eventlog.Hash, 0, width)
	for rows.Next() {
		var n uint64
		var hash []byte
		if err := rows.Scan(&n, &hash); err != nil {
			return nil, err
		}
		if n != from+uint64(len(nodes)) || len(hash) != eventlog.HashSize {
			return nil, missing(level, from+uint64(len(nodes)))
		}
		nodes = append(nodes, eventlog.Hash(hash))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(nodes) < width {
		return nil, missing(level, from+uint64(len(nodes)))
	}
	return nodes, nil
}

func missing(level int, n uint64) error {
	if level == 0 {
		return fmt.Errorf("%w: record %d is missing", ErrDamaged, n+1)
	}
	return fmt.Errorf("%w: hash %d of level %d is missing", ErrDamaged, n, level)
}

// loadTree reads the right edge, and makes what the file does not have of the
// tree, as in a log that was written before there was one. progress may be nil.
func (l *Log) loadTree(ctx context.Context, head uint64, progress func(done, total uint64)) error {
	edge, err := l.storedEdge(ctx, head)
	if err != nil {
		return err
	}
	first := edge.Size()
	for edge.Size() < head {
		if err := l.growStored(ctx, edge, min(head-edge.Size(), growChunk)); err != nil {
			return err
		}
		if progress != nil && head-first > growChunk {
			progress(edge.Size()-first, head-first)
		}
	}
	l.tree.edge, l.writer.edge = edge, edge.Clone()
	return nil
}

// storedEdge returns the edge over the records that the stored nodes are of.
func (l *Log) storedEdge(ctx context.Context, head uint64) (edge *eventlog.Edge, err error) {
	err = l.db.Read(ctx, func(v *sqlitedb.View) error {
		var full uint64
		err := v.QueryRow("SELECT ifnull(max(n) + 1, 0) FROM tree_node WHERE level = 1").Scan(&full)
		if err != nil {
			return err
		}
		if full > head/eventlog.TileWidth {
			return fmt.Errorf("%w: it ends at record %d and its tree has %d or more", ErrDamaged, head, full*eventlog.TileWidth)
		}
		edge, err = eventlog.LoadEdge(full*eventlog.TileWidth, func(level int, from uint64, width int) ([]eventlog.Hash, error) {
			return readNodes(v, level, from, width)
		})
		return err
	})
	return edge, err
}

// growStored adds the next leaves to the edge, and writes the nodes that they
// complete.
func (l *Log) growStored(ctx context.Context, edge *eventlog.Edge, count uint64) error {
	var leaves []eventlog.Hash
	err := l.db.Read(ctx, func(v *sqlitedb.View) (err error) {
		leaves, err = readNodes(v, 0, edge.Size(), int(count))
		return err
	})
	if err != nil {
		return err
	}
	var nodes []eventlog.Node
	for _, leaf := range leaves {
		edge.Add(leaf, func(n eventlog.Node) { nodes = append(nodes, n) })
	}
	if len(nodes) == 0 {
		return nil
	}
	return l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for _, n := range nodes {
			if _, err := tx.Exec(insertNode, n.Level, int64(n.N), n.Hash[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
