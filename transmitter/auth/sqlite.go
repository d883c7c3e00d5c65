package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// pruneMost bounds the rows that one revocation clears away.
const pruneMost = 100

// SQLite is a [Backend] in admin.db (synchronous FULL), of one process.
type SQLite struct {
	db *sqlitedb.DB
	// stamp counts what may have ended a token that was good before.
	stamp atomic.Uint64
}

var _ Backend = (*SQLite)(nil)

// OpenSQLite opens admin.db at path, makes it if it does not exist, and brings its
// schema up to date. The file holds private keys: its mode is set to 0600.
//
// Errors: as of [sqlitedb.Open].
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: path, ApplicationID: applicationID, Synchronous: sqlitedb.Full, Migrations: migrations(),
	})
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if err := os.Chmod(db.Path(), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("auth: %w", err), db.Close())
	}
	b := &SQLite{db: db}
	b.stamp.Store(1)
	return b, nil
}

// Close closes admin.db.
func (b *SQLite) Close() error { return b.db.Close() }

// Watch has nobody to watch: the process is the only one.
func (b *SQLite) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

// Read runs fn on a snapshot.
func (b *SQLite) Read(ctx context.Context, fn func(*Tx) error) error {
	return b.db.Read(ctx, func(v *sqlitedb.View) error {
		return fn(sqliteTx(&sqliteConn{reader: v, exec: func(string, ...any) (sqlitedb.Result, error) {
			return sqlitedb.Result{}, errors.New("auth: nothing can be changed in Read")
		}}))
	})
}

// Write runs fn in a transaction.
func (b *SQLite) Write(ctx context.Context, fn func(*Tx) error) error {
	c := new(sqliteConn)
	defer func() { // whatever the outcome
		if c.changed {
			b.stamp.Add(1)
		}
	}()
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		c.reader, c.exec = tx, tx.Exec
		return fn(sqliteTx(c))
	})
}

// Holder asks the file only if something may have changed.
func (b *SQLite) Holder(ctx context.Context, c Credential, known uint64) (Holder, error) {
	stamp := b.stamp.Load() // before the file is read: a change meanwhile makes it stale at once
	if known == stamp {
		return Holder{Same: true}, nil
	}
	h := Holder{Stamp: stamp}
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		query, arg := registrationColumns+" WHERE id = ?", any(c.Client)
		if c.Static != nil {
			query, arg = registrationColumns+" WHERE static_hash = ?1 OR old_static_hash = ?1", c.Static
		}
		var unknown, err error
		h.Registration, unknown = scanRegistration(v.QueryRow(query, arg))
		if unknown != nil && !errors.Is(unknown, sqlitedb.ErrNoRows) {
			return unknown
		}
		// Who is not known costs the same questions.
		if h.Audience, err = audience(v, h.Application); err != nil {
			return err
		}
		if err := v.QueryRow("SELECT profile, encryption FROM applications WHERE id = ?", h.Application).Scan(&h.Profile, &h.Encryption); unknown != nil || err != nil {
			return cmp.Or(unknown, err)
		}
		if c.TokenID != "" {
			h.Revoked, err = exists(v, "SELECT 1 FROM revoked_tokens WHERE jti = ?", c.TokenID)
		}
		return err
	})
	if err != nil {
		return Holder{}, notFound(err)
	}
	return h, nil
}

// Revoke also clears away some that have expired.
func (b *SQLite) Revoke(ctx context.Context, jti string, expires, now time.Time) error {
	defer b.stamp.Add(1)
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM revoked_tokens WHERE jti IN
			(SELECT jti FROM revoked_tokens WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)`,
			now.UnixMilli(), pruneMost); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO revoked_tokens (jti, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
			jti, expires.UnixMilli())
		return err
	})
}

// UseAssertion also clears away some that have expired.
func (b *SQLite) UseAssertion(ctx context.Context, client string, assertion []byte, expires, now time.Time) error {
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM used_assertions WHERE (client, assertion) IN
			(SELECT client, assertion FROM used_assertions WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)`,
			now.UnixMilli(), pruneMost); err != nil {
			return err
		}
		used, err := exists(tx, "SELECT 1 FROM used_assertions WHERE client = ? AND assertion = ?", client, assertion)
		if err != nil {
			return err
		}
		if used {
			return ErrUsed
		}
		var good int
		if err := tx.QueryRow("SELECT count(*) FROM used_assertions WHERE client = ? AND expires_ms > ?", client, now.UnixMilli()).Scan(&good); err != nil {
			return err
		}
		if good >= MaxAssertions {
			return ErrTooMany
		}
		_, err = tx.Exec("INSERT INTO used_assertions (client, assertion, expires_ms) VALUES (?, ?, ?)", client, assertion, expires.UnixMilli())
		return err
	})
}

// SavePlace keeps the place of a vendor's source.
func (b *SQLite) SavePlace(ctx context.Context, name, registration string, place []byte) error {
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("UPDATE vendor_sources SET place = ? WHERE name = ? AND registration = ?", string(place), name, registration)
		if err == nil && done.Changes == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// notFound turns the lack of a row into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// reader is what a snapshot and a transaction are read with.
type reader interface {
	QueryRow(sql string, args ...any) sqlitedb.Row
	Query(sql string, args ...any) (*sqlitedb.Rows, error)
}

// sqliteConn is a snapshot or a transaction.
type sqliteConn struct {
	reader
	exec    func(sql string, args ...any) (sqlitedb.Result, error)
	changed bool // an application or a client that may have been in use
}

// exists reports whether the query has a row.
func exists(v reader, sql string, args ...any) (bool, error) {
	var one int
	err := v.QueryRow(sql, args...).Scan(&one)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// row is one row of an answer.
type row interface{ Scan(dest ...any) error }

// scanOne and scanAll read rows as scan does.
func scanOne[T any](v reader, scan func(row) (T, error), sql string, args ...any) (T, error) {
	got, err := scan(v.QueryRow(sql, args...))
	if err != nil {
		return *new(T), notFound(err)
	}
	return got, nil
}

func scanAll[T any](v reader, scan func(row) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := v.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	var list []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
