package sqlitestore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

// load reads what is always in memory: of every stream what decides about its
// events, and how much waits. It costs one pass over the streams and over the
// index of the queues, none over the items.
func (s *Store) load(ctx context.Context) error {
	return s.db.Read(ctx, func(v *view) error {
		queues, err := s.loadStreams(v)
		if err != nil {
			return err
		}
		for _, step := range []func(*view, map[int64]*stream) error{
			s.loadCounts, s.loadDead, s.loadHealth, s.loadNumbers,
		} {
			if err := step(v, queues); err != nil {
				return err
			}
		}
		if err := s.subjects.load(v); err != nil {
			return err
		}
		for _, st := range queues {
			if st.items.Load() > 0 {
				s.ready.add(st)
			}
		}
		return nil
	})
}

// loadStreams returns the streams by the number of their queue.
func (s *Store) loadStreams(v *view) (map[int64]*stream, error) {
	rows, err := v.Query(`SELECT s.num, s.id, s.owner, s.active, s.config, q.queue, q.high_seq, q.high_n, q.high_ref_seq, q.high_ref_n, q.entries, q.exclusions
		FROM streams s JOIN states q ON q.stream = s.num ORDER BY s.num`)
	if err != nil {
		return nil, err
	}
	queues := make(map[int64]*stream)
	types := make(map[string]string)
	for rows.Next() {
		st := &stream{}
		var active, entries, exclusions int64
		var config []byte
		if err := rows.Scan(&st.num, &st.id, &st.owner, &active, &config, &st.queue, &st.high.Seq, &st.high.N,
			&st.highRef.Seq, &st.highRef.N, &entries, &exclusions); err != nil {
			return nil, err
		}
		cfg, err := form.DecodeStream(config)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", st.id, err)
		}
		f := factsOf(&cfg)
		for i, t := range f.types { // share the texts
			if _, ok := types[t]; !ok {
				types[t] = t
			}
			f.types[i] = types[t]
		}
		st.facts.Store(f)
		st.active.Store(active)
		st.entries.Store(entries)
		st.exclusions.Store(exclusions)
		s.subjects.count(entries, exclusions)
		s.index.add(st)
		s.idle.watch(st, f)
		queues[st.queue] = st
	}
	return queues, rows.Err()
}

func (s *Store) loadCounts(v *view, queues map[int64]*stream) error {
	rows, err := v.Query(`SELECT queue, count(*), sum(lane = 0) FROM items INDEXED BY items_jti GROUP BY queue`)
	if err != nil {
		return err
	}
	for rows.Next() {
		var queue, n int64
		var control int
		if err := rows.Scan(&queue, &n, &control); err != nil {
			return err
		}
		if st := queues[queue]; st != nil {
			st.items.Store(n)
			st.control = control
		}
	}
	return rows.Err()
}

func (s *Store) loadDead(v *view, _ map[int64]*stream) error {
	rows, err := v.Query(`SELECT stream, count(*) FROM dead GROUP BY stream`)
	if err != nil {
		return err
	}
	for rows.Next() {
		var num, n int64
		if err := rows.Scan(&num, &n); err != nil {
			return err
		}
		if st := s.index.numbered(num); st != nil {
			st.dead.Store(n)
		}
	}
	return rows.Err()
}

func (s *Store) loadHealth(v *view, _ map[int64]*stream) error {
	rows, err := v.Query(`SELECT stream, state FROM health`)
	if err != nil {
		return err
	}
	for rows.Next() {
		var num int64
		var state []byte
		if err := rows.Scan(&num, &state); err != nil {
			return err
		}
		var h streams.Health
		if err := json.Unmarshal(state, &h); err != nil {
			return fmt.Errorf("health of stream %d: %w", num, err)
		}
		if st := s.index.numbered(num); st != nil {
			st.health = h
		}
	}
	return rows.Err()
}

// loadNumbers reads the highest numbers ever given out that still matter.
func (s *Store) loadNumbers(v *view, _ map[int64]*stream) error {
	var num, queue int64
	err := v.QueryRow(`SELECT
		max((SELECT coalesce(max(num), 0) FROM streams), (SELECT coalesce(max(stream), 0) FROM garbage_streams)),
		max((SELECT coalesce(max(queue), 0) FROM states), (SELECT coalesce(max(queue), 0) FROM garbage_queues))`).Scan(&num, &queue)
	s.lastStream.Store(num)
	s.lastQueue.Store(queue)
	return err
}
