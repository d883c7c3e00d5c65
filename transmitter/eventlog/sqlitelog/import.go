package sqlitelog

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// importChunk is how many rows one transaction of an import writes.
const importChunk = 1024

var _ eventlog.Importer = (*Log)(nil)

// Create opens the log as Open does; where there is none it makes it with an identity
// in place of one of its own, to take in another's records. Error:
// eventlog.ErrOtherLog if the log that is there has another identity.
func Create(ctx context.Context, cfg Config, id eventlog.Identity) (*Log, error) {
	return open(ctx, cfg, &id)
}

// Import implements eventlog.Importer.
func (l *Log) Import(ctx context.Context, records []eventlog.Stored) error {
	for chunk := range slices.Chunk(records, importChunk) {
		list := make([]*eventlog.Record, len(chunk))
		for i, s := range chunk {
			err := s.Check()
			if err == nil {
				s.ID = l.ids.ID(s.Seq)
				list[i], err = eventlog.Load(s)
			}
			if err != nil {
				return fmt.Errorf("sqlitelog: import: record %d: %w", s.Seq, err)
			}
		}
		if err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error { return l.importTx(tx, list) }); err != nil {
			return fmt.Errorf("sqlitelog: import: %w", err)
		}
	}
	return nil
}

// importTx writes records in a transaction; it may run again.
func (l *Log) importTx(tx *sqlitedb.Tx, list []*eventlog.Record) (err error) {
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
	millis := w.millis
	for _, r := range list {
		if r.Seq <= w.head+uint64(len(w.pending)) {
			err = same(tx, r)
		} else if err = l.importRecord(tx, r, millis); err == nil {
			millis = r.Recorded.UnixMilli()
		}
		if err != nil {
			return err
		}
	}
	kept = true
	w.millis = millis
	tx.OnCommit(w.publish)
	return nil
}

// importRecord writes a record behind the last.
func (l *Log) importRecord(tx *sqlitedb.Tx, r *eventlog.Record, millis int64) error {
	w := &l.writer
	if last := w.head + uint64(len(w.pending)); r.Seq != last+1 || r.Recorded.UnixMilli() < millis {
		return fmt.Errorf("%w: record %d does not follow on %d", eventlog.ErrOtherLog, r.Seq, last)
	}
	var salt, body any
	if !r.Erased {
		salt, body = r.Salt[:], r.Canonical
	}
	if _, err := tx.Exec("INSERT INTO record(seq, recorded, kind, salt, leaf, body) VALUES(?, ?, ?, ?, ?, ?)",
		int64(r.Seq), r.Recorded.UnixMilli(), int64(r.Kind), salt, r.Leaf[:], body); err != nil {
		return err
	}
	w.pending = append(w.pending, r)
	return l.grow(tx, r.Leaf)
}

// same compares a record with the one that the log has at its place.
func same(tx *sqlitedb.Tx, r *eventlog.Record) error {
	var leaf []byte
	if err := tx.QueryRow("SELECT leaf FROM record WHERE seq = ?", int64(r.Seq)).Scan(&leaf); err != nil {
		return err
	}
	if len(leaf) != eventlog.HashSize || eventlog.Hash(leaf) != r.Leaf {
		return fmt.Errorf("%w: record %d differs", eventlog.ErrOtherLog, r.Seq)
	}
	return nil
}

// ImportSourceKeys implements eventlog.Importer.
func (l *Log) ImportSourceKeys(ctx context.Context, keys []eventlog.SourceKey) error {
	for chunk := range slices.Chunk(keys, importChunk) {
		err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			for _, k := range chunk {
				if _, err := tx.Exec("UPDATE record SET key = ?, digest = ? WHERE seq = ?", k.Key[:], k.Digest[:], int64(k.Seq)); err != nil {
					return err
				}
				if _, err := tx.Exec(`INSERT INTO source_key(key, seq, digest) VALUES(?, ?, ?)
					ON CONFLICT(key) DO UPDATE SET seq = excluded.seq, digest = excluded.digest WHERE excluded.seq > seq`,
					k.Key[:], int64(k.Seq), k.Digest[:]); err != nil {
					return err
				}
			}
			_, err := tx.Exec("UPDATE place SET seq = max(seq, ?) WHERE name = 'keys_moved'", int64(chunk[len(chunk)-1].Seq))
			return err
		})
		if err != nil {
			return fmt.Errorf("sqlitelog: import: %w", err)
		}
	}
	return nil
}

// ImportEntryRefs implements eventlog.Importer.
func (l *Log) ImportEntryRefs(ctx context.Context, refs []eventlog.EntryRef) error {
	for chunk := range slices.Chunk(refs, importChunk) {
		err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			for _, r := range chunk {
				if _, err := tx.Exec("INSERT INTO entry_ref(kind, ref, seq) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
					int64(r.Kind), r.Key[:], int64(r.Seq)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlitelog: import: %w", err)
		}
	}
	return nil
}
