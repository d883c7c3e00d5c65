package sqlitestore

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Cursor implements [streams.Cursors].
func (s *Store) Cursor(ctx context.Context, follower string) (uint64, error) {
	var seq uint64
	err := s.db.Read(ctx, func(v *view) error {
		err := v.QueryRow(`SELECT seq FROM cursors WHERE follower = ?`, follower).Scan(&seq)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			seq, err = 0, nil
		}
		return err
	})
	if err != nil {
		return 0, failure("cursor", err)
	}
	return seq, nil
}

// Highest implements [streams.Cursors].
func (s *Store) Highest(ctx context.Context) (uint64, error) {
	var highest uint64
	err := s.db.Read(ctx, func(v *view) error {
		return v.QueryRow(`SELECT coalesce(max(seq), 0) FROM cursors`).Scan(&highest)
	})
	if err != nil {
		return 0, failure("highest", err)
	}
	for _, st := range s.index.snapshot() {
		st.mu.Lock()
		highest = max(highest, st.high.Seq, st.facts.Load().from)
		st.mu.Unlock()
	}
	return highest, nil
}

// SaveCursor implements [streams.Cursors].
func (s *Store) SaveCursor(ctx context.Context, follower string, seq uint64) error {
	if seq > maxSeq {
		return errRange
	}
	err := s.db.Write(ctx, func(t *tx) error {
		_, err := t.Exec(`INSERT INTO cursors (follower, seq) VALUES (?, ?)
			ON CONFLICT (follower) DO UPDATE SET seq = excluded.seq`, follower, int64(seq))
		return err
	})
	if err != nil {
		return failure("save cursor", err)
	}
	return nil
}
