package sqlitesessions

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Add keeps a session, durable on return.
func (s *Store) Add(ctx context.Context, session sessions.Session) error {
	if err := session.Check(); err != nil {
		return err
	}
	bearer, now, deadline := session.Bearer(), s.index.Now().UnixMicro(), s.index.Deadline(session).UnixMicro()
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if err := sweepSessions(tx, now); err != nil {
			return err
		}
		if err := remove(tx, []byte(session.ID)); err != nil || deadline <= now {
			return err
		}
		_, err := tx.Exec("INSERT INTO session (id, digests, begun, expires, deadline) VALUES (?, ?, ?, ?, ?)",
			[]byte(session.ID), join(bearer.Keys()), session.Begun.UnixMicro(), optional(session.Expires), deadline)
		for _, d := range bearer.Keys() {
			if err != nil {
				return err
			}
			_, err = tx.Exec("INSERT INTO member (digest, id) VALUES (?, ?)", d[:], []byte(session.ID))
		}
		return err
	})
}

// Find returns sessions in scope, in the order of their IDs, without their Members.
func (s *Store) Find(ctx context.Context, scope receiver.Scope, until time.Time, after string, max int) ([]sessions.Session, error) {
	clauses, err := sessions.FindClauses(scope, max)
	if err != nil {
		return nil, err
	}
	var found []sessions.Session
	err = s.db.Read(ctx, func(v *sqlitedb.View) error {
		found = nil
		for _, c := range clauses {
			page, err := s.findClause(v, c, until, after, max)
			if err != nil {
				return err
			}
			found = append(found, page...)
		}
		return nil
	})
	return sessions.Page(found, max), err
}

func (s *Store) findClause(v *sqlitedb.View, c sessions.Clause, until time.Time, after string, max int) ([]sessions.Session, error) {
	first := c.Digests()[0]
	rows, err := v.Query(`SELECT s.id, s.digests, s.begun, s.expires FROM member m JOIN session s ON s.id = m.id
		WHERE m.digest = ? AND m.id > ? AND s.begun <= ? AND s.deadline > ? ORDER BY m.id`,
		first[:], []byte(after), until.UnixMicro(), s.index.Now().UnixMicro())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []sessions.Session
	for len(page) < max && rows.Next() {
		id, bearer, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		if bearer.Meets(c) {
			page = append(page, sessions.Session{ID: id, Begun: bearer.Begun(), Expires: bearer.Expires()})
		}
	}
	return page, rows.Err()
}

// Lookup returns whose a session is.
func (s *Store) Lookup(ctx context.Context, id string) (bearer sessions.Bearer, err error) {
	err = s.db.Read(ctx, func(v *sqlitedb.View) error {
		row := v.QueryRow("SELECT id, digests, begun, expires FROM session WHERE id = ? AND deadline > ?", []byte(id), s.index.Now().UnixMicro())
		_, bearer, err = scan(row.Scan)
		return err
	})
	if errors.Is(err, sqlitedb.ErrNoRows) {
		err = sessions.ErrUnknown
	}
	return bearer, err
}

// Remove forgets sessions, durable on return.
func (s *Store) Remove(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for _, id := range ids {
			if err := remove(tx, []byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

func remove(tx *sqlitedb.Tx, id []byte) error {
	var digests []byte
	switch err := tx.QueryRow("SELECT digests FROM session WHERE id = ?", id).Scan(&digests); {
	case errors.Is(err, sqlitedb.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	for _, d := range split(digests) {
		if _, err := tx.Exec("DELETE FROM member WHERE digest = ? AND id = ?", d[:], id); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM session WHERE id = ?", id)
	return err
}

// sweepSessions removes some of the sessions that are over.
func sweepSessions(tx *sqlitedb.Tx, now int64) error {
	rows, err := tx.Query("SELECT id FROM session WHERE deadline <= ? LIMIT ?", now, swept)
	if err != nil {
		return err
	}
	var ids [][]byte
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		if err := remove(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// scan reads id, digests, begun, expires.
func scan(from func(...any) error) (string, sessions.Bearer, error) {
	var id, digests []byte
	var begun int64
	var expires any
	if err := from(&id, &digests, &begun, &expires); err != nil {
		return "", sessions.Bearer{}, err
	}
	var end time.Time
	if at, ok := expires.(int64); ok {
		end = time.UnixMicro(at)
	}
	return string(id), sessions.NewBearer(split(digests), time.UnixMicro(begun), end), nil
}

// optional is the microseconds of a time, null for none.
func optional(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func join(digests []sessions.Digest) []byte {
	var all []byte
	for _, d := range digests {
		all = append(all, d[:]...)
	}
	return all
}

func split(digests []byte) []sessions.Digest { return sessions.Clause(digests).Digests() }
