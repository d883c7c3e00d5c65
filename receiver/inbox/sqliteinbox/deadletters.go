package sqliteinbox

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/internal/lanes"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// DeadLetters returns a page of the feed's dead letters.
func (b *Inbox) DeadLetters(ctx context.Context, feed string, after uint64, max int) ([]inbox.DeadLetter, error) {
	max = min(max, inbox.MaxPage)
	var page []inbox.DeadLetter
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(`SELECT seq, feed, issuer, jti, type, txn, received, attempts, at, reason, token
FROM dead WHERE feed = ? AND seq > ? ORDER BY seq LIMIT ?`, feed, int64(after), max)
		if err != nil {
			return err
		}
		for rows.Next() {
			var d inbox.DeadLetter
			var received, at int64
			err := rows.Scan(&d.Seq, &d.Feed, &d.Issuer, &d.ID, &d.Type, &d.TransactionID, &received, &d.Attempts, &at, &d.Reason, &d.SET)
			if err != nil {
				return err
			}
			d.Received, d.At = time.UnixMilli(received), time.UnixMilli(at)
			page = append(page, d)
		}
		return rows.Err()
	})
	return page, err
}

// Resend makes a dead letter wait again, in no order.
func (b *Inbox) Resend(ctx context.Context, issuer, id string) error {
	var entry lanes.Entry
	err := b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		old, feed, err := find(tx, issuer, id)
		if err != nil {
			return err
		}
		seq, err := b.number(tx, (&inbox.Message{Feed: feed, Issuer: issuer, ID: id}).Identity())
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO message (seq, feed, issuer, jti, type, txn, received, token)
SELECT ?, feed, issuer, jti, type, txn, received, token FROM dead WHERE seq = ?`, seq, old)
		if err != nil {
			return err
		}
		entry = lanes.Entry{Seq: uint64(seq), Feed: feed}
		return remove(tx, old, feed)
	})
	if err == nil {
		b.lanes.Add(entry)
	}
	return err
}

// Drop erases a dead letter.
func (b *Inbox) Drop(ctx context.Context, issuer, id string) error {
	return b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		seq, feed, err := find(tx, issuer, id)
		if err != nil {
			return err
		}
		return remove(tx, seq, feed)
	})
}

func find(tx *sqlitedb.Tx, issuer, id string) (seq int64, feed string, err error) {
	err = tx.QueryRow("SELECT seq, feed FROM dead WHERE issuer = ? AND jti = ? ORDER BY seq LIMIT 1", issuer, id).Scan(&seq, &feed)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		err = inbox.ErrNotFound
	}
	return seq, feed, err
}

func remove(tx *sqlitedb.Tx, seq int64, feed string) error {
	if _, err := tx.Exec("DELETE FROM dead WHERE seq = ?", seq); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE dead_count SET n = n - 1 WHERE feed = ?", feed)
	return err
}
