package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// sqliteStore keeps the data key in the table vault of admin.db.
type sqliteStore struct{ db *sqlitedb.DB }

// NewStore returns the store in db, an admin.db as opened by transmitter/auth, whose
// schema has the table. It does not close db.
func NewStore(db *sqlitedb.DB) Store { return sqliteStore{db} }

func (s sqliteStore) Header(ctx context.Context) (stored []byte, err error) {
	err = s.db.Read(ctx, func(v *sqlitedb.View) error {
		err := v.QueryRow("SELECT header FROM vault").Scan(&stored)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vault: read: %w", err)
	}
	return stored, nil
}

func (s sqliteStore) Replace(ctx context.Context, from, to []byte) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var done sqlitedb.Result
		var err error
		if from == nil {
			done, err = tx.Exec("INSERT INTO vault(one, header) VALUES(1, ?) ON CONFLICT DO NOTHING", to)
		} else {
			done, err = tx.Exec("UPDATE vault SET header = ? WHERE header = ?", to, from)
		}
		if err == nil && done.Changes == 0 {
			err = ErrChanged
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("vault: write: %w", err)
	}
	// The data key under the secret before shall be gone from the write-ahead log too. A
	// reader in the way puts that off until the next checkpoint.
	_ = s.db.Checkpoint(ctx, true)
	return nil
}
