package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// updateTries bounds how often an Update begins anew because others were quicker, and
// updatePause is the most that it waits in between.
const (
	updateTries = 100
	updatePause = 20 * time.Millisecond
)

// Update implements [streams.Registry]. change sees the stream of a version, and is run
// again if another update came between. It returns streams.ErrFullControl if the control
// lane has MaxControl items, stream-updated ones apart.
func (s *Store) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	for range updateTries {
		out, again, err := s.updateOnce(ctx, id, change)
		if err != nil || !again {
			return out, err
		}
		timer := time.NewTimer(mathrand.N(updatePause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return streams.Stream{}, ctx.Err()
		}
	}
	return streams.Stream{}, errors.New("redisstore: update: others change the stream all the time")
}

func (s *Store) updateOnce(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, bool, error) {
	var none streams.Stream
	old, err := s.version(ctx, of(id), id)
	if err != nil {
		return none, false, err
	}
	cfg := old.Clone()
	items, err := change(&cfg)
	if err != nil {
		return none, false, err
	}
	cfg = cfg.Clone()
	if err := checkUpdate(&old.Stream, &cfg, items); err != nil {
		return none, false, err
	}
	args, err := updateArgs(&old, &cfg, items)
	if err != nil {
		return none, false, err
	}
	r := of(id)
	r.durable = true
	answer, err := s.call(ctx, r, s.scripts.update, args...)
	if err != nil {
		return none, false, err
	}
	switch redisdb.Text(answer) {
	case "ok":
		s.waits.ring(r.part, id)
		return cfg, false, nil
	case "again":
		return none, true, nil
	case "none":
		return none, false, streams.ErrNotFound
	case "full":
		return none, false, streams.ErrFullControl
	}
	return none, false, redisdb.ErrAnswer
}

func checkUpdate(old, cfg *streams.Stream, items []streams.Item) error {
	if cfg.ID != old.ID || cfg.Owner != old.Owner || !cfg.Created.Equal(old.Created) {
		return errors.New("redisstore: update: ID, Owner and Created cannot be changed")
	}
	if cfg.Epoch < old.Epoch {
		return errors.New("redisstore: update: the epoch cannot be lowered")
	}
	if len(items) > maxBatch {
		return fmt.Errorf("redisstore: update: %d items, want at most %d", len(items), maxBatch)
	}
	for i := range items {
		if items[i].Lane != streams.LaneControl {
			return errors.New("redisstore: update: items must be of the control lane")
		}
	}
	return nil
}

// updateArgs are the arguments of lua/update.lua.
func updateArgs(old *version, cfg *streams.Stream, items []streams.Item) ([]any, error) {
	document, err := form.EncodeStream(cfg)
	if err != nil {
		return nil, fmt.Errorf("redisstore: update: %w", err)
	}
	f, err := factsOf(cfg)
	if err != nil {
		return nil, err
	}
	healthy := cfg.Status == streams.Enabled && old.Status != streams.Enabled || cfg.Delivery != old.Delivery
	active := int64(-1)
	if !cfg.Active.Equal(old.Active) {
		active = form.Nanos(cfg.Active)
	}
	args := []any{cfg.ID, old.number, rand.Text(), document, flag(cfg.Epoch != old.Epoch), flag(healthy), MaxControl}
	args = append(args, f.args(active)...)
	for i := range items {
		it := items[i]
		it.Epoch = cfg.Epoch
		kept, err := encodeItem(&it)
		if err != nil {
			return nil, err
		}
		args = append(args, laneOf(&it), kept)
	}
	return args, nil
}
