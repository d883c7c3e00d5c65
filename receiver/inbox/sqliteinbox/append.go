package sqliteinbox

import (
	"context"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/internal/lanes"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// forgetPerMessage is how many remembered identities an append looks at for
// each message it adds: more than one, so that forgetting catches up.
const forgetPerMessage = 2

// Append keeps messages durably, once per (iss, jti).
func (b *Inbox) Append(ctx context.Context, messages ...inbox.Message) ([]inbox.Appended, error) {
	for i := range messages {
		if err := messages[i].Check(); err != nil {
			return nil, err
		}
	}
	n := int64(len(messages))
	room := int64(b.cfg.MaxWaiting) - int64(b.lanes.Total()) - b.arriving.Add(n) + n
	defer b.arriving.Add(-n)

	var result []inbox.Appended
	var added []lanes.Entry
	err := b.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		result, added = make([]inbox.Appended, len(messages)), added[:0] // may run again
		for i := range messages {
			m := &messages[i]
			seq, got, err := b.arrive(tx, m, room-int64(len(added)))
			if err != nil {
				return err
			}
			if result[i] = got; seq > 0 {
				e := lanes.Entry{Seq: seq, Feed: m.Feed}
				lane, ordered := m.Lane()
				e.Lane, e.Ordered = lanes.Key(lane), ordered
				added = append(added, e)
			}
		}
		return b.forget(tx, forgetPerMessage*len(messages))
	})
	if err != nil {
		return nil, err
	}
	b.lanes.Add(added...)
	return result, nil
}

// arrive inserts one message and returns its seq, 0 if it was not kept.
func (b *Inbox) arrive(tx *sqlitedb.Tx, m *inbox.Message, room int64) (uint64, inbox.Appended, error) {
	identity, shared := m.Identity(), m.SharedIdentity()
	if room <= 0 || m.State != nil { // rare: look before anything is written
		if got, err := b.refused(tx, m, room); err != nil || got != (inbox.Appended{}) {
			return 0, got, err
		}
	}
	r, err := tx.Exec("INSERT INTO seen (identity) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM seen WHERE identity IN (?1, ?2))",
		identity[:], shared[:])
	if err != nil {
		return 0, inbox.Appended{}, err
	}
	if r.Changes == 0 {
		return 0, inbox.Appended{Duplicate: true}, nil
	}
	seq, err := b.number(tx, identity)
	if err != nil {
		return 0, inbox.Appended{}, err
	}
	var lane []byte
	if key, ordered := m.Lane(); ordered {
		lane = key[:]
	}
	_, err = tx.Exec("INSERT INTO message (seq, feed, lane, issuer, jti, type, txn, received, token) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		seq, m.Feed, lane, m.Issuer, m.ID, m.Type, m.TransactionID, m.Received.UnixMilli(), m.SET)
	return uint64(seq), inbox.Appended{}, err
}

// refused returns why a message is not kept: it was seen before, there is no room, or
// its state is not outstanding. A state that is outstanding counts as answered.
func (b *Inbox) refused(tx *sqlitedb.Tx, m *inbox.Message, room int64) (inbox.Appended, error) {
	identity, shared := m.Identity(), m.SharedIdentity()
	var known int64
	err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM seen WHERE identity IN (?, ?))", identity[:], shared[:]).Scan(&known)
	switch {
	case err != nil:
		return inbox.Appended{}, err
	case known != 0:
		return inbox.Appended{Duplicate: true}, nil
	case room <= 0:
		return inbox.Appended{Err: inbox.ErrFull}, nil
	}
	r, err := tx.Exec("DELETE FROM state WHERE feed = ? AND value = ? AND expires > ?", m.Feed, *m.State, b.cfg.Now().UnixMilli())
	if err == nil && r.Changes == 0 {
		return inbox.Appended{Err: inbox.ErrUnexpectedState}, nil
	}
	return inbox.Appended{}, err
}

// number gives the next place of arrival.
func (b *Inbox) number(tx *sqlitedb.Tx, identity inbox.Digest) (int64, error) {
	r, err := tx.Exec("INSERT INTO arrival (at, identity) VALUES (?, ?)", b.cfg.Now().UnixMilli(), identity[:])
	return r.LastInsertID, err
}

// forget drops up to max identities that are older than the inbox remembers.
func (b *Inbox) forget(tx *sqlitedb.Tx, max int) error {
	if b.cfg.Remember == 0 {
		return nil
	}
	before := b.cfg.Now().Add(-b.cfg.Remember).UnixMilli()
	if b.oldest.Load() >= before {
		return nil
	}
	for range max {
		var seq, at int64
		var identity []byte
		if err := tx.QueryRow("SELECT seq, at, identity FROM arrival ORDER BY seq LIMIT 1").Scan(&seq, &at, &identity); err != nil {
			return ignoreNoRows(err)
		}
		var last int64
		if err := tx.QueryRow("SELECT max(seq) FROM arrival").Scan(&last); err != nil {
			return err
		}
		if at >= before || seq == last {
			b.oldest.Store(at)
			return nil
		}
		if _, err := tx.Exec("DELETE FROM arrival WHERE seq = ?", seq); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM seen WHERE identity = ?", identity); err != nil {
			return err
		}
	}
	return nil
}
