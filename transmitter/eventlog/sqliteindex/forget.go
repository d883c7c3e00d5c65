package sqliteindex

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// forgetChunk is how many records are forgotten in one transaction.
const forgetChunk = 256

// Forget implements eventlog.Index. No batch that read a record before it was
// erased is written after it: they take turns.
func (x *Index) Forget(ctx context.Context, seqs ...uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	x.work.Lock()
	defer x.work.Unlock()
	for chunk := range slices.Chunk(seqs, forgetChunk) {
		if err := x.write(ctx, func(tx *sqlitedb.Tx) error {
			for _, seq := range chunk {
				if _, err := remove(tx, seq); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("sqliteindex: forget: %w", err)
		}
	}
	x.files.RLock()
	defer x.files.RUnlock()
	if x.db == nil {
		return sqlitedb.ErrClosed
	}
	if err := x.db.Checkpoint(ctx, true); err != nil {
		return fmt.Errorf("sqliteindex: forget: %w", err)
	}
	return nil
}

// remove removes all rows of an event; false if there were none.
func remove(tx *sqlitedb.Tx, seq uint64) (bool, error) {
	var at int64
	var keys []byte
	err := tx.QueryRow("SELECT at, keys FROM event WHERE seq = ?", int64(seq)).Scan(&at, &keys)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for ; len(keys) >= 8; keys = keys[8:] {
		key := int64(binary.BigEndian.Uint64(keys))
		if _, err := tx.Exec(deletePosting, key, at, int64(seq)); err != nil {
			return false, err
		}
		if _, err := tx.Exec(deleteMention, key, int64(seq)); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec("DELETE FROM event WHERE seq = ?", int64(seq))
	return true, err
}
