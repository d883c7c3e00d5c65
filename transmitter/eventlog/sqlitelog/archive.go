package sqlitelog

import (
	"context"
	"fmt"
	"os"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// archive implements eventlog.Archive on a file.
type archive struct{ db *sqlitedb.DB }

// File is a log's file that is only looked into, whatever became of it: where
// Open refuses a damaged log it can still be checked.
type File struct{ archive }

var (
	_ eventlog.Archive = (*Log)(nil)
	_ eventlog.Archive = (*File)(nil)
)

// OpenFile opens the file of a log, which must exist; its folder is locked as
// for Open. Close it at the end.
func OpenFile(ctx context.Context, path string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("sqlitelog: %w", err)
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: path, ApplicationID: applicationID, Synchronous: sqlitedb.Full, Migrations: migrations(), ReadConns: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: %w", err)
	}
	return &File{archive{db}}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.db.Close() }

// Head implements eventlog.Archive.
func (a archive) Head(ctx context.Context) (head uint64, err error) {
	err = a.db.Read(ctx, func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT ifnull(max(seq), 0) FROM record").Scan(&head)
	})
	if err != nil {
		return 0, fmt.Errorf("sqlitelog: head: %w", err)
	}
	return head, nil
}

// Stored implements eventlog.Archive. At most MaxRead are returned.
func (a archive) Stored(ctx context.Context, after uint64, max int) ([]eventlog.Stored, error) {
	var records []eventlog.Stored
	err := a.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT seq, recorded, kind, salt, leaf, body FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
			int64(after), min(max, MaxRead))
		if err != nil {
			return err
		}
		for size := 0; size < maxStoredBytes && rows.Next(); {
			var s eventlog.Stored
			var kind int
			if err := rows.Scan(&s.Seq, &s.RecordedMillis, &kind, &s.Salt, &s.Leaf, &s.Canonical); err != nil {
				return err
			}
			s.Kind = eventlog.Kind(kind)
			records = append(records, s)
			size += len(s.Canonical) + storedOverhead
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: stored after %d: %w", after, err)
	}
	return records, nil
}

// maxStoredBytes bounds, softly, what Stored returns, so that it fits into an
// answer of the admin API beside the largest event.
const (
	maxStoredBytes = 1 << 20
	storedOverhead = 256
)

// StoredNodes implements eventlog.Archive.
func (a archive) StoredNodes(ctx context.Context, level int, from uint64, max int) ([]eventlog.Hash, error) {
	var nodes []eventlog.Hash
	err := a.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT n, hash FROM tree_node WHERE level = ? AND n >= ? ORDER BY n LIMIT ?", level, int64(from), max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var n uint64
			var hash []byte
			if err := rows.Scan(&n, &hash); err != nil {
				return err
			}
			if n != from+uint64(len(nodes)) || len(hash) != eventlog.HashSize {
				break
			}
			nodes = append(nodes, eventlog.Hash(hash))
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: nodes of level %d: %w", level, err)
	}
	return nodes, nil
}

// Stored implements eventlog.Archive.
func (l *Log) Stored(ctx context.Context, after uint64, max int) ([]eventlog.Stored, error) {
	return archive{l.db}.Stored(ctx, after, max)
}

// StoredNodes implements eventlog.Archive.
func (l *Log) StoredNodes(ctx context.Context, level int, from uint64, max int) ([]eventlog.Hash, error) {
	return archive{l.db}.StoredNodes(ctx, level, from, max)
}
