package sqlitestore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// The statements that find what points at records: json_each reads the numbers.
const (
	sqlPointing = `SELECT ` + itemColumns + ` FROM items WHERE queue = ? AND lane IN (1, 2)
		AND seq IN (SELECT value FROM json_each(?)) AND ref_seq = 0 ORDER BY lane, seq, n LIMIT ?`
	sqlReferring = `SELECT ` + itemColumns + ` FROM items WHERE queue = ? AND ref_seq > 0
		AND ref_seq IN (SELECT value FROM json_each(?)) ORDER BY lane, seq, n LIMIT ?`
	sqlDeadPointing = `SELECT ` + deadColumns + ` FROM dead WHERE stream = ? AND control = 0
		AND iif(ref_seq > 0, ref_seq, seq) IN (SELECT value FROM json_each(?)) ORDER BY num LIMIT ?`
	sqlEarliest = `SELECT coalesce(min(seq), 0) FROM (
		SELECT * FROM (SELECT ref_seq AS seq FROM items WHERE queue = ?1 AND ref_seq > 0 ORDER BY ref_seq LIMIT 1)
		UNION ALL SELECT * FROM (SELECT seq FROM items WHERE queue = ?1 AND lane = 1 ORDER BY seq, n LIMIT 1)
		UNION ALL SELECT * FROM (SELECT seq FROM items WHERE queue = ?1 AND lane = 2 ORDER BY seq, n LIMIT 1))`
)

// Pointing implements [streams.Eraser].
func (s *Store) Pointing(ctx context.Context, records []uint64, max int) (queued, dead []streams.Item, err error) {
	if len(records) == 0 || max < 1 {
		return nil, nil, ctx.Err()
	}
	list, err := json.Marshal(records)
	if err != nil {
		return nil, nil, failure("pointing", err)
	}
	for _, st := range s.index.snapshot() {
		if st.items.Load() == 0 && st.dead.Load() == 0 {
			continue
		}
		some, letters, err := s.pointing(ctx, st, string(list), max-len(queued), max-len(dead))
		if err != nil {
			return nil, nil, failure("pointing", err)
		}
		queued, dead = append(queued, some...), append(dead, letters...)
	}
	return queued, dead, nil
}

// pointing is Pointing of one stream.
func (s *Store) pointing(ctx context.Context, st *stream, records string, maxQueued, maxDead int) (queued, dead []streams.Item, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return nil, nil, nil
	}
	err = s.db.Read(ctx, func(v *view) error {
		for _, sql := range []string{sqlPointing, sqlReferring} {
			rows, err := v.Query(sql, st.queue, records, maxQueued-len(queued))
			if err != nil {
				return err
			}
			for rows.Next() {
				e, err := scanItem(rows, st.id)
				if err != nil {
					return err
				}
				queued = append(queued, e.item)
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		rows, err := v.Query(sqlDeadPointing, st.num, records, maxDead)
		if err != nil {
			return err
		}
		for rows.Next() {
			l, err := scanLetter(rows, st.id)
			if err != nil {
				return err
			}
			dead = append(dead, l.e.item)
		}
		return rows.Err()
	})
	return queued, dead, err
}

// Scrub implements [streams.Eraser]: what was deleted is overwritten in the
// file, and the write-ahead log is emptied.
func (s *Store) Scrub(ctx context.Context) error {
	if err := s.db.Checkpoint(ctx, true); err != nil {
		return failure("scrub", err)
	}
	return nil
}

// Earliest implements [streams.Eraser].
func (s *Store) Earliest(ctx context.Context) (uint64, error) {
	var first uint64
	for _, st := range s.index.snapshot() {
		if st.items.Load() == 0 {
			continue
		}
		var seq uint64
		st.mu.Lock()
		queue := st.queue
		st.mu.Unlock()
		if err := s.db.Read(ctx, func(v *view) error { return v.QueryRow(sqlEarliest, queue).Scan(&seq) }); err != nil {
			return 0, failure("earliest", err)
		}
		if seq != 0 && (first == 0 || seq < first) {
			first = seq
		}
	}
	return first, nil
}

// sqlNaming finds who registered a subject. The canonical form of an identifier
// stands as it is in that of every other that has it as a member, and nowhere
// else. There is no index by member: all are looked at, which only Forget does.
const sqlNaming = `SELECT stream, kind, canonical FROM subjects WHERE instr(canonical, ?) > 0`

// registered is an entry or exclusion of a stream.
type registered struct {
	kind int
	id   subject.Identifier
}

// Forget implements [streams.Eraser].
func (s *Store) Forget(ctx context.Context, owner string, id subject.Identifier) (int, error) {
	found, err := s.naming(ctx, id)
	if err != nil {
		return 0, failure("forget", err)
	}
	n := 0
	for _, st := range s.index.snapshot() {
		list := found[st.num]
		if len(list) == 0 || owner != "" && owner != st.owner {
			continue
		}
		err := s.changeSubjects(ctx, st.id, func(t *tx, st *stream, c *subjectChange) error {
			for _, r := range list {
				if _, err := erase(t, st.num, r.id, r.kind, c); err != nil {
					return err
				}
			}
			return nil
		})
		if errors.Is(err, streams.ErrNotFound) {
			continue // deleted meanwhile, and its subjects with it
		}
		if err != nil {
			return n, err
		}
		n += len(list)
	}
	return n, nil
}

// naming returns what streams registered that is the identifier or has it as a
// member, by the streams' numbers.
func (s *Store) naming(ctx context.Context, id subject.Identifier) (map[int64][]registered, error) {
	found := make(map[int64][]registered)
	err := s.db.Read(ctx, func(v *view) error {
		rows, err := v.Query(sqlNaming, id.Canonical())
		if err != nil {
			return err
		}
		for rows.Next() {
			var num int64
			var r registered
			var canonical []byte
			if err := rows.Scan(&num, &r.kind, &canonical); err != nil {
				return err
			}
			if r.id, err = subject.Parse(canonical); err != nil {
				return err
			}
			if r.id.Contains(id) {
				found[num] = append(found[num], r)
			}
		}
		return rows.Err()
	})
	return found, err
}
