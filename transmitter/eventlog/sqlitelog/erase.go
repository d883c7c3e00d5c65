package sqlitelog

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// eraseChunk is how many records are erased in one transaction, so that
// appends come in between.
const eraseChunk = 256

// Erase implements eventlog.Eraser. What was deleted is overwritten in the
// file (secure_delete), and the write-ahead log is emptied before it returns.
func (l *Log) Erase(ctx context.Context, seqs ...uint64) (int, error) {
	erased := 0
	for chunk := range slices.Chunk(seqs, eraseChunk) {
		n := 0
		err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			n = 0
			for _, seq := range chunk {
				r, err := tx.Exec("UPDATE record SET salt = NULL, body = NULL WHERE seq = ? AND body IS NOT NULL", int64(seq))
				if err != nil {
					return err
				}
				n += int(r.Changes)
			}
			tx.OnCommit(func() { l.tail.Erase(chunk) })
			return nil
		})
		if err != nil {
			return erased, fmt.Errorf("sqlitelog: erase: %w", err)
		}
		erased += n
	}
	if len(seqs) > 0 {
		if err := l.db.Checkpoint(ctx, true); err != nil {
			return erased, fmt.Errorf("sqlitelog: erase: %w", err)
		}
	}
	return erased, nil
}
