package sqlitelog

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Keys of idempotency are written with their record and held in memory; from
// there they move to a table of their own in large sorted batches. Keys are
// random, so writing each at once would cost a page of the write-ahead log
// per event, which is more than the record itself does.
const (
	// moveAt is how many keys are held before they move.
	moveAt = 8192
	// moveChunk is how many keys are written, or forgotten, in one
	// transaction, so that appends come in between.
	moveChunk = 512
)

type (
	key    = eventlog.Key
	digest = eventlog.Digest
)

// entry is what is known of a key.
type entry struct {
	seq    uint64
	millis int64 // when it was recorded
	digest digest
}

// keyring holds the keys that have not moved to their table yet. Like writer
// it belongs to the running write.
type keyring struct {
	secret eventlog.Secret
	recent map[key]entry
	moving bool
}

// lookUp returns the first event under a key, unless that is longer ago than
// keys are remembered.
func (l *Log) lookUp(tx *sqlitedb.Tx, k key, now int64) (entry, bool, error) {
	e, ok := l.keys.recent[k]
	if !ok {
		var sum []byte
		err := tx.QueryRow("SELECT seq, digest FROM source_key WHERE key = ?", k[:]).Scan(&e.seq, &sum)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return entry{}, false, nil
		}
		if err != nil {
			return entry{}, false, err
		}
		copy(e.digest[:], sum)
		if err := tx.QueryRow("SELECT recorded FROM record WHERE seq = ?", e.seq).Scan(&e.millis); err != nil {
			return entry{}, false, err
		}
	}
	return e, now-e.millis < l.memory.Milliseconds(), nil
}

// loadRecentKeys reads the keys that have not moved.
func (l *Log) loadRecentKeys(ctx context.Context) error {
	return l.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(`SELECT seq, recorded, key, digest FROM record
			WHERE seq > (SELECT seq FROM place WHERE name = 'keys_moved') AND key IS NOT NULL ORDER BY seq`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var e entry
			var k, d []byte
			if err := rows.Scan(&e.seq, &e.millis, &k, &d); err != nil {
				return err
			}
			copy(e.digest[:], d)
			if len(k) != len(key{}) {
				return errors.New("a key has the wrong length")
			}
			l.keys.recent[key(k)] = e
		}
		return rows.Err()
	})
}

// moved is a key on its way to the table.
type moved struct {
	key   key
	entry entry
}

// moveKeys starts the mover if there is enough to do. It runs in the
// background until the keys are in their table and Close waits for it.
func (l *Log) moveKeys() {
	if l.keys.moving || len(l.keys.recent) < moveAt {
		return
	}
	l.starting.Lock()
	defer l.starting.Unlock()
	if l.background.Err() != nil {
		return
	}
	l.keys.moving = true
	all := make([]moved, 0, len(l.keys.recent))
	for k, e := range l.keys.recent {
		all = append(all, moved{k, e})
	}
	upTo, millis := l.writer.head, l.writer.millis
	l.moving.Go(func() {
		ctx := l.background
		err := l.writeKeys(ctx, all)
		if err == nil {
			err = l.pruneKeys(ctx, millis-l.memory.Milliseconds())
		}
		l.finishMove(ctx, all, upTo, err)
	})
}

// writeKeys puts sorted keys into the table; doing it again changes nothing.
func (l *Log) writeKeys(ctx context.Context, all []moved) error {
	slices.SortFunc(all, func(a, b moved) int { return bytes.Compare(a.key[:], b.key[:]) })
	for chunk := range slices.Chunk(all, moveChunk) {
		err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			for i := range chunk {
				m := &chunk[i]
				_, err := tx.Exec(`INSERT INTO source_key(key, seq, digest) VALUES(?, ?, ?)
					ON CONFLICT(key) DO UPDATE SET seq = excluded.seq, digest = excluded.digest WHERE excluded.seq > seq`,
					m.key[:], int64(m.entry.seq), m.entry.digest[:])
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// finishMove lets go of the keys that moved. After a failure they stay, and
// the next append tries again.
func (l *Log) finishMove(ctx context.Context, all []moved, upTo uint64, failed error) {
	done := func() { l.keys.moving = false }
	err := failed
	if err == nil {
		err = l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			tx.OnCommit(func() {
				for _, m := range all {
					if l.keys.recent[m.key].seq == m.entry.seq {
						delete(l.keys.recent, m.key)
					}
				}
				done()
			})
			_, err := tx.Exec("UPDATE place SET seq = ? WHERE name = 'keys_moved'", int64(upTo))
			return err
		})
	}
	if err != nil {
		// The flag belongs to the writer; with a store that refuses even
		// this, keys stay in memory until the log is opened again.
		_ = l.db.Write(ctx, func(tx *sqlitedb.Tx) error { tx.OnCommit(done); return nil })
	}
}

// pruneKeys forgets the keys of records before a time. It walks those records
// alone, from where it stopped the last time.
func (l *Log) pruneKeys(ctx context.Context, before int64) error {
	for {
		n, err := l.pruneChunk(ctx, before)
		if err != nil || n < moveChunk {
			return err
		}
	}
}

// pruneChunk returns how many records it looked at.
func (l *Log) pruneChunk(ctx context.Context, before int64) (int, error) {
	n := 0
	err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		n = 0
		var last uint64
		if err := tx.QueryRow("SELECT seq FROM place WHERE name = 'keys_pruned'").Scan(&last); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT seq, recorded, key FROM record WHERE seq > ? ORDER BY seq LIMIT ?`, int64(last), moveChunk)
		if err != nil {
			return err
		}
		for rows.Next() {
			var seq uint64
			var millis int64
			var k []byte
			if err := rows.Scan(&seq, &millis, &k); err != nil {
				return err
			}
			if millis > before {
				break
			}
			n, last = n+1, seq
			if k == nil {
				continue
			}
			if _, err := tx.Exec("DELETE FROM source_key WHERE key = ? AND seq = ?", k, int64(seq)); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec("UPDATE place SET seq = ? WHERE name = 'keys_pruned'", int64(last))
		return err
	})
	return n, err
}
