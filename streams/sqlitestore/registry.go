package sqlitestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

const (
	sqlInsertStream = `INSERT INTO streams (num, id, owner, active, config) VALUES (?, ?, ?, ?, ?)`
	sqlInsertState  = `INSERT INTO states (stream, queue, high_seq, high_n, entries, exclusions) VALUES (?, ?, 0, 0, 0, 0)`
	sqlUpdateStream = `UPDATE streams SET active = ?, config = ? WHERE num = ?`
	sqlUseID        = `INSERT OR IGNORE INTO ids (id) VALUES (?)`
	// The stream-updated items of a purged queue go on to the next one.
	sqlKeepUpdated = `UPDATE items SET queue = ? WHERE queue = ? AND lane = 0 AND type = ?`
)

// Create implements [streams.Registry].
func (s *Store) Create(ctx context.Context, in streams.Stream, limit int) error {
	cfg := in.Clone()
	config, err := form.EncodeStream(&cfg)
	if err != nil {
		return fmt.Errorf("sqlitestore: create: %w", err)
	}
	if err := s.index.reserve(cfg.Owner, limit); err != nil {
		return err
	}
	defer s.index.release(cfg.Owner)
	st := &stream{num: s.lastStream.Add(1), id: cfg.ID, owner: cfg.Owner, queue: s.lastQueue.Add(1)}
	st.facts.Store(factsOf(&cfg))
	st.active.Store(form.Nanos(cfg.Active))
	err = s.db.WriteFull(ctx, func(t *tx) error {
		r, err := t.Exec(sqlUseID, cfg.ID)
		if err != nil {
			return err
		}
		if r.Changes == 0 {
			return streams.ErrExists
		}
		if _, err := t.Exec(sqlInsertStream, st.num, st.id, st.owner, st.active.Load(), string(config)); err != nil {
			return err
		}
		_, err = t.Exec(sqlInsertState, st.num, st.queue)
		return err
	})
	if err != nil {
		return failure("create", err)
	}
	st.mu.Lock()
	s.configs.keep(st, &cfg)
	st.mu.Unlock()
	s.index.add(st)
	s.idle.watch(st, st.facts.Load())
	return nil
}

// Stream implements [streams.Registry].
func (s *Store) Stream(ctx context.Context, id string) (streams.Stream, error) {
	st, err := s.index.find(id)
	if err != nil {
		return streams.Stream{}, err
	}
	return s.read(ctx, st)
}

// Streams implements [streams.Registry].
func (s *Store) Streams(ctx context.Context, owner string) ([]streams.Stream, error) {
	var list []streams.Stream
	for _, st := range s.index.of(owner) {
		one, err := s.read(ctx, st)
		if errors.Is(err, streams.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Owners implements [streams.Registry].
func (s *Store) Owners(context.Context) ([]string, error) { return s.index.owning(), nil }

// read returns a copy of the stream.
func (s *Store) read(ctx context.Context, st *stream) (streams.Stream, error) {
	cfg := st.config.Load()
	if cfg == nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		var err error
		if cfg, err = s.readLocked(ctx, st); err != nil {
			return streams.Stream{}, err
		}
	}
	out := cfg.Clone()
	out.Active = form.Instant(st.active.Load())
	return out, nil
}

// readLocked returns the configuration, from the disk if need be. Needs st.mu.
func (s *Store) readLocked(ctx context.Context, st *stream) (*streams.Stream, error) {
	if st.gone {
		return nil, streams.ErrNotFound
	}
	if cfg := st.config.Load(); cfg != nil {
		return cfg, nil
	}
	var config []byte
	err := s.db.Read(ctx, func(v *view) error {
		return v.QueryRow(`SELECT config FROM streams WHERE num = ?`, st.num).Scan(&config)
	})
	if err != nil {
		return nil, failure("read stream", err)
	}
	cfg, err := form.DecodeStream(config)
	if err != nil {
		return nil, failure("read stream", err)
	}
	s.configs.keep(st, &cfg)
	return &cfg, nil
}

// Update implements [streams.Registry]. It returns streams.ErrFullControl if the
// control lane has MaxControl items, stream-updated ones apart.
func (s *Store) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	st, err := s.index.find(id)
	if err != nil {
		return streams.Stream{}, err
	}
	st.put.Lock()
	defer st.put.Unlock()
	old, err := s.read(ctx, st)
	if err != nil {
		return streams.Stream{}, err
	}
	cfg := old.Clone()
	items, err := change(&cfg)
	if err != nil {
		return streams.Stream{}, err
	}
	if cfg.ID != old.ID || cfg.Owner != old.Owner || !cfg.Created.Equal(old.Created) {
		return streams.Stream{}, errors.New("sqlitestore: update: ID, Owner and Created cannot be changed")
	}
	if cfg.Epoch < old.Epoch {
		return streams.Stream{}, errors.New("sqlitestore: update: the epoch cannot be lowered")
	}
	for i := range items {
		if items[i].Lane != streams.LaneControl {
			return streams.Stream{}, errors.New("sqlitestore: update: items must be of the control lane")
		}
	}
	cfg = cfg.Clone()
	if err := s.commitUpdate(ctx, st, &old, &cfg, items); err != nil {
		return streams.Stream{}, failure("update", err)
	}
	out := cfg.Clone()
	out.Active = form.Instant(st.active.Load())
	return out, nil
}

// commitUpdate writes cfg and items and makes them count. Needs st.put.
func (s *Store) commitUpdate(ctx context.Context, st *stream, old, cfg *streams.Stream, items []streams.Item) error {
	config, err := form.EncodeStream(cfg)
	if err != nil {
		return err
	}
	active := st.active.Load()
	if !cfg.Active.Equal(old.Active) {
		active = form.Nanos(cfg.Active)
	}
	purge := cfg.Epoch != old.Epoch
	queue := st.queue
	if purge {
		queue = s.lastQueue.Add(1)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	var added []*entry
	var kept int64
	var healthy *streams.Health // not nil: the stream is due at once
	if cfg.Status == streams.Enabled && old.Status != streams.Enabled || cfg.Delivery != old.Delivery {
		healthy = &streams.Health{}
	}
	err = s.db.WriteFull(ctx, func(t *tx) error {
		if _, err := t.Exec(sqlUpdateStream, active, string(config), st.num); err != nil {
			return err
		}
		if purge {
			var err error
			if kept, err = moveQueue(t, st, queue, true); err != nil {
				return err
			}
		}
		if err := saveHealth(t, st, healthy); err != nil {
			return err
		}
		var over int
		if added, over, err = putControl(t, st, queue, items); err == nil && over > 0 {
			err = streams.ErrFullControl
		}
		return err
	})
	if err != nil {
		return err
	}
	st.active.Store(active)
	if st.config.Load() != nil {
		st.config.Store(cfg)
	}
	if purge {
		s.emptied(st, queue, int(kept))
	}
	if healthy != nil {
		st.health = *healthy
	}
	s.keepControl(st, added)
	f := factsOf(cfg)
	s.index.change(st, f)
	s.idle.watch(st, f)
	st.wakeTakers()
	s.ready.add(st)
	if purge {
		s.sweep()
	}
	return nil
}

// Delete implements [streams.Registry].
func (s *Store) Delete(ctx context.Context, id string) error {
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
	err = s.db.WriteFull(ctx, func(t *tx) error {
		for _, sql := range []string{
			`DELETE FROM streams WHERE num = ?`,
			`DELETE FROM health WHERE stream = ?`,
			`INSERT INTO garbage_queues SELECT queue FROM states WHERE stream = ?`,
			`DELETE FROM states WHERE stream = ?`,
			`INSERT INTO garbage_streams (stream) VALUES (?)`,
		} {
			if _, err := t.Exec(sql, st.num); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failure("delete", err)
	}
	st.gone = true
	s.emptied(st, st.queue, 0)
	st.dead.Store(0)
	st.config.Store(nil)
	s.index.remove(st)
	st.wakeTakers()
	s.sweep()
	return nil
}

// failure wraps a failure of the store; errors of the contract stay as they are.
func failure(what string, err error) error {
	for _, known := range []error{
		streams.ErrNotFound, streams.ErrExists, streams.ErrConflict, streams.ErrFull,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("sqlitestore: %s: %w", what, err)
}
