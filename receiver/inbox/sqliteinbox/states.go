package sqliteinbox

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Expect keeps a verification state until it is answered or expires.
func (b *Inbox) Expect(ctx context.Context, feed, state string, expires time.Time) error {
	if len(state) > inbox.MaxStateBytes {
		return fmt.Errorf("sqliteinbox: state of %d bytes, want at most %d", len(state), inbox.MaxStateBytes)
	}
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DELETE FROM state WHERE feed = ? AND expires <= ?", feed, b.cfg.Now().UnixMilli())
		if err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM state WHERE feed = ? AND value <> ?", feed, state).Scan(&n); err != nil {
			return err
		}
		if n >= inbox.MaxStates {
			return inbox.ErrFull
		}
		_, err = tx.Exec("INSERT OR REPLACE INTO state (feed, value, expires) VALUES (?, ?, ?)", feed, state, expires.UnixMilli())
		return err
	})
}

// Outstanding returns the feed's states that still wait.
func (b *Inbox) Outstanding(ctx context.Context, feed string) ([]inbox.State, error) {
	var states []inbox.State
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT value, expires FROM state WHERE feed = ? AND expires > ? ORDER BY expires, value", feed, b.cfg.Now().UnixMilli())
		if err != nil {
			return err
		}
		for rows.Next() {
			var s inbox.State
			var expires int64
			if err := rows.Scan(&s.Value, &expires); err != nil {
				return err
			}
			s.Expires = time.UnixMilli(expires)
			states = append(states, s)
		}
		return rows.Err()
	})
	return states, err
}
