package sqlitesessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Revoke ends the sessions in scope that began at or before until, durable on return.
func (s *Store) Revoke(ctx context.Context, scope receiver.Scope, until time.Time) error {
	return s.change(ctx, sessions.OpRevoke, scope, "", until)
}

// Deny ends the sessions in scope and lets none be good until Allow, durable on return.
func (s *Store) Deny(ctx context.Context, scope receiver.Scope, by string, at time.Time) error {
	return s.change(ctx, sessions.OpDeny, scope, by, at)
}

// Allow takes back what Deny said at or before at, durable on return.
func (s *Store) Allow(ctx context.Context, scope receiver.Scope, by string, at time.Time) error {
	return s.change(ctx, sessions.OpAllow, scope, by, at)
}

// State returns what checks read.
func (s *Store) State() *sessions.State { return s.state }

func (s *Store) change(ctx context.Context, op sessions.Op, scope receiver.Scope, by string, at time.Time) error {
	now := s.revocations.Now()
	changes, err := sessions.Changes(op, scope, by, at, now)
	if err != nil {
		return err
	}
	if err := s.state.Room(changes); err != nil {
		return err
	}
	if op != sessions.OpAllow { // what closes the gate need not wait for the disk
		for _, c := range changes {
			s.apply(c)
		}
	}
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DELETE FROM mark WHERE clause IN (SELECT clause FROM mark WHERE expires < ? LIMIT ?)", now.UnixMicro(), swept)
		for _, c := range changes {
			if err != nil {
				return err
			}
			err = s.merge(tx, c)
		}
		return err
	})
}

// apply merges one change into memory. Changes are merged again in the order of their
// commits, so that what came last of two at one time is the same in memory and on disk.
func (s *Store) apply(c sessions.Change) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if mark, changed := s.state.Mark(c.Clause).With(c); changed {
		s.state.Apply(c.Clause, mark, 0)
	}
}

// merge keeps one change.
func (s *Store) merge(tx *sqlitedb.Tx, c sessions.Change) error {
	mark := sessions.NoMark()
	row := tx.QueryRow("SELECT coalesce(until, ?), coalesce(since, ?), denied FROM mark WHERE clause = ?",
		int64(sessions.Never), int64(sessions.Never), []byte(c.Clause))
	if err := row.Scan(&mark.Until, &mark.Since, &mark.Denied); err != nil && !errors.Is(err, sqlitedb.ErrNoRows) {
		return err
	}
	mark, changed := mark.With(c)
	if !changed {
		return nil
	}
	_, err := tx.Exec("INSERT OR REPLACE INTO mark (clause, until, since, denied, expires) VALUES (?, ?, ?, ?, ?)",
		[]byte(c.Clause), unlessNever(mark.Until), unlessNever(mark.Since), mark.Denied, unlessNever(mark.Expires(s.revocations.Retention)))
	tx.OnCommit(func() { s.apply(c) })
	return err
}

func unlessNever(at int64) any {
	if at == sessions.Never {
		return nil
	}
	return at
}

// load brings the marks into memory.
func (s *Store) load(ctx context.Context) error {
	return s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT clause, coalesce(until, ?), coalesce(since, ?), denied FROM mark WHERE expires IS NULL OR expires >= ?",
			int64(sessions.Never), int64(sessions.Never), s.revocations.Now().UnixMicro())
		if err != nil {
			return err
		}
		for rows.Next() {
			var clause []byte
			var mark sessions.Mark
			if err := rows.Scan(&clause, &mark.Until, &mark.Since, &mark.Denied); err != nil {
				return err
			}
			if s.state.Len() >= s.revocations.MaxMarks {
				return fmt.Errorf("the file has more marks than Revocations.MaxMarks (%d): %w", s.revocations.MaxMarks, sessions.ErrFull)
			}
			s.state.Apply(sessions.Clause(clause), mark, 0)
		}
		return rows.Err()
	})
}
