package sqliteinbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/internal/lanes"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Take hands out up to max messages that are due.
func (b *Inbox) Take(ctx context.Context, feed string, max int) ([]inbox.Message, error) {
	if max < 1 {
		return nil, fmt.Errorf("sqliteinbox: Take of %d messages, want at least 1", max)
	}
	taken, err := b.lanes.Take(ctx, feed, max)
	if err != nil {
		return nil, err
	}
	if len(taken) == 0 {
		return nil, inbox.ErrClosed
	}
	messages, err := b.read(ctx, taken)
	if err != nil {
		for _, e := range taken {
			b.lanes.Return(e.Seq, time.Time{}, false)
		}
		return nil, err
	}
	return messages, nil
}

func (b *Inbox) read(ctx context.Context, taken []lanes.Entry) ([]inbox.Message, error) {
	messages := make([]inbox.Message, len(taken))
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		for i, e := range taken {
			m := &messages[i]
			var received int64
			err := v.QueryRow("SELECT seq, feed, issuer, jti, type, txn, received, attempts, token FROM message WHERE seq = ?", int64(e.Seq)).
				Scan(&m.Seq, &m.Feed, &m.Issuer, &m.ID, &m.Type, &m.TransactionID, &received, &m.Attempts, &m.SET)
			if err != nil {
				return fmt.Errorf("sqliteinbox: message %d: %w", e.Seq, err)
			}
			m.Received = time.UnixMilli(received)
		}
		return nil
	})
	return messages, err
}

// Settle keeps the outcomes of messages that are out.
func (b *Inbox) Settle(ctx context.Context, outcomes ...inbox.Outcome) error {
	out := make([]inbox.Outcome, 0, len(outcomes))
	released := true
	for _, o := range outcomes {
		if b.lanes.Out(o.Seq) {
			out = append(out, o)
			released = released && o.Verdict == inbox.Released
		}
	}
	if !released {
		err := b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			for _, o := range out {
				if err := b.settle(tx, o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, o := range out {
		switch o.Verdict {
		case inbox.Done, inbox.SetAside:
			b.lanes.Remove(o.Seq)
		case inbox.Again:
			b.lanes.Return(o.Seq, o.Due, true)
		case inbox.Released:
			b.lanes.Return(o.Seq, time.Time{}, false)
		}
	}
	return nil
}

func (b *Inbox) settle(tx *sqlitedb.Tx, o inbox.Outcome) error {
	seq := int64(o.Seq)
	switch o.Verdict {
	case inbox.Done:
		_, err := tx.Exec("DELETE FROM message WHERE seq = ?", seq)
		return err
	case inbox.Again:
		_, err := tx.Exec("UPDATE message SET attempts = attempts + 1, due = ? WHERE seq = ?", o.Due.UnixMilli(), seq)
		return err
	case inbox.SetAside:
		return b.setAside(tx, o)
	case inbox.Released:
		return nil
	}
	return fmt.Errorf("sqliteinbox: unknown verdict %d", o.Verdict)
}

func (b *Inbox) setAside(tx *sqlitedb.Tx, o inbox.Outcome) error {
	seq := int64(o.Seq)
	_, err := tx.Exec(`INSERT INTO dead (seq, feed, issuer, jti, type, txn, received, attempts, at, reason, token)
SELECT seq, feed, issuer, jti, type, txn, received, attempts + 1, ?, ?, token FROM message WHERE seq = ?`,
		b.cfg.Now().UnixMilli(), inbox.CutReason(o.Reason), seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO dead_count (feed, n) SELECT feed, 1 FROM message WHERE seq = ?
ON CONFLICT (feed) DO UPDATE SET n = n + 1`, seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM message WHERE seq = ?", seq)
	return err
}

func ignoreNoRows(err error) error {
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return nil
	}
	return err
}
