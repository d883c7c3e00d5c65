package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Store keeps applications, clients, revoked tokens, vendors' sources and webhooks:
// the rules of what may be kept, on a [Backend]. Changes are durable on return. Safe
// for concurrent use; several processes have one where the backend lets them.
type Store struct {
	backend Backend
	// vendors wakes those who wait for a change of the vendors' sources.
	vendors struct {
		mu      sync.Mutex
		changed chan struct{} // nil: nobody waits
	}
}

// NewStore returns the store on a backend, which is closed with it.
func NewStore(backend Backend) *Store { return &Store{backend: backend} }

// Open opens the store in an admin.db at path: see [OpenSQLite]. It belongs to one
// process; the folder's lock keeps others out (contracts.md §7).
func Open(ctx context.Context, path string) (*Store, error) {
	backend, err := OpenSQLite(ctx, path)
	if err != nil {
		return nil, err
	}
	return NewStore(backend), nil
}

// Run follows what other processes change, until ctx ends; then it returns nil. Without
// it, only [Store.VendorsChanged] is wanting.
func (s *Store) Run(ctx context.Context) error { return s.backend.Watch(ctx, s.vendorsChange) }

// DB is the open admin.db, for the key ring (transmitter/keys) and the checkpoints,
// whose tables are part of the same schema; nil for another backend. It is closed with
// the store.
func (s *Store) DB() *sqlitedb.DB {
	backend := s.backend
	if within, ok := backend.(sealed); ok {
		backend = within.Backend
	}
	if b, ok := backend.(*SQLite); ok {
		return b.db
	}
	return nil
}

// Backup writes a copy of admin.db, private keys included, to path (mode 0600),
// which must not exist. Another backend than SQLite is backed up by its own means.
func (s *Store) Backup(ctx context.Context, path string) error {
	db := s.DB()
	if db == nil {
		return errors.New("auth: backup: there is no admin.db")
	}
	return db.Backup(ctx, path)
}

// Close closes the backend. A second call does nothing.
func (s *Store) Close() error { return s.backend.Close() }

// there reports whether a table has the key.
func there[T any](t Table[T], key string) (bool, error) {
	_, err := t.Get(key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ignore returns err unless it is of the kind.
func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// get returns the one of a key, and list those of an index, in a reading of their own.
func get[T any](ctx context.Context, s *Store, of func(*Tx) Table[T], key string) (one T, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) error {
		one, err = of(tx).Get(key)
		return err
	})
	if err != nil {
		return *new(T), err
	}
	return one, nil
}

func list[T any](ctx context.Context, s *Store, of func(*Tx) Table[T], by Index, value string) (all []T, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) error {
		all, err = of(tx).List(by, value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func inApplications(tx *Tx) Table[Application] { return tx.Applications }
func inClients(tx *Tx) Table[Registration]     { return tx.Clients }
func inVendors(tx *Tx) Table[Vendor]           { return tx.Vendors }
func inWebhooks(tx *Tx) Table[Webhook]         { return tx.Webhooks }

// created is the time to keep: now unless the caller knows better.
func created(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.Truncate(time.Millisecond).UTC()
}
