package sqlitestore

import (
	"context"
	"errors"
	"strconv"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// The lane of a dead letter is the one it would be resent in.
const (
	deadColumns = `1 - control, seq, n, jti, epoch, type, key, subject, payload, added, attempts, control, resent, ref_seq, ref_n, num, code, text, at`
	sqlDeadPage = `SELECT ` + deadColumns + ` FROM dead WHERE stream = ? AND num > ? ORDER BY num LIMIT ?`
	sqlDeadByID = `SELECT ` + deadColumns + ` FROM dead WHERE stream = ? AND hash = ? AND jti = ?`
	sqlDropDead = `DELETE FROM dead WHERE num = ?`
)

// letter is a dead letter with its number.
type letter struct {
	e          *entry
	num        int64
	code, text string
	at         int64
}

func scanLetter(rows interface{ Scan(...any) error }, stream string) (letter, error) {
	var l letter
	var err error
	l.e, err = scanItem(rows, stream, &l.num, &l.code, &l.text, &l.at)
	return l, err
}

// DeadLetters implements [streams.DeadLetters].
func (s *Store) DeadLetters(ctx context.Context, id, after string, max int) ([]streams.DeadLetter, string, error) {
	st, err := s.index.find(id)
	if err != nil {
		return nil, "", err
	}
	var from int64
	if after != "" {
		if from, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, "", streams.ErrPlace
		}
	}
	if max < 1 {
		return nil, "", errors.New("sqlitestore: dead letters: max must be positive")
	}
	var page []letter
	err = s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(sqlDeadPage, st.num, from, max+1)
		if err != nil {
			return err
		}
		for rows.Next() {
			l, err := scanLetter(rows, st.id)
			if err != nil {
				return err
			}
			page = append(page, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", failure("dead letters", err)
	}
	next := ""
	if len(page) > max {
		page = page[:max]
		next = strconv.FormatInt(page[max-1].num, 10)
	}
	out := make([]streams.DeadLetter, len(page))
	for i, l := range page {
		out[i] = streams.DeadLetter{Item: l.e.item, Code: l.code, Description: l.text, At: form.Instant(l.at)}
	}
	return out, next, nil
}

// Resend implements [streams.DeadLetters]. The item counts as added now, so
// that it does not expire at once, and belongs to the stream's epoch.
func (s *Store) Resend(ctx context.Context, id, jti string) error {
	st, err := s.index.find(id)
	if err != nil {
		return err
	}
	st.put.Lock()
	defer st.put.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return streams.ErrNotFound
	}
	var l letter
	err = s.db.WriteFull(ctx, func(t *tx) error {
		var err error
		l, err = scanLetter(t.QueryRow(sqlDeadByID, st.num, hashOf(jti), jti), st.id)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return streams.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := s.revive(t, st, l.e); err != nil {
			return err
		}
		_, err = t.Exec(sqlDropDead, l.num)
		return err
	})
	if err != nil {
		return failure("resend", err)
	}
	st.dead.Add(-1)
	if l.e.lane == laneControl {
		s.keepControl(st, []*entry{l.e})
	} else {
		w := st.window()
		st.items.Add(1)
		st.aged(l.e.item.Added)
		if w.insert(l.e, false) {
			s.windows.grown(1)
		}
		s.windows.keep(st)
	}
	st.wakeTakers()
	s.ready.add(st)
	return nil
}

// revive writes the item of a dead letter to the queue. Needs st.mu.
func (s *Store) revive(t *tx, st *stream, e *entry) error {
	e.item.Resent, e.item.OrderKey = true, ""
	e.item.Epoch = st.facts.Load().epoch
	e.item.Added = form.Instant(form.Nanos(s.now()))
	if e.lane == laneControl {
		var last int64
		if err := t.QueryRow(sqlArrivals, st.queue).Scan(&last); err != nil {
			return err
		}
		e.at = place{Seq: uint64(max(last, st.arrivals)) + 1}
	}
	return insertItem(t, st.queue, e)
}

// Drop implements [streams.DeadLetters].
func (s *Store) Drop(ctx context.Context, id, jti string) error {
	st, err := s.index.find(id)
	if err != nil {
		return err
	}
	err = s.db.WriteFull(ctx, func(t *tx) error {
		n, err := change(t, sqlUnbury, st.num, hashOf(jti), jti)
		if err == nil && n == 0 {
			err = streams.ErrNotFound
		}
		return err
	})
	if err != nil {
		return failure("drop", err)
	}
	st.dead.Add(-1)
	return nil
}
