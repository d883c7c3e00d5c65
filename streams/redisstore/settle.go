package redisstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Settle implements [streams.Queue]. Outcomes are settled in parts of up to 256, each in
// one transaction; the health comes with the last.
func (s *Store) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	return s.settle(ctx, of(stream), stream, outcomes, health)
}

func (s *Store) settle(ctx context.Context, r request, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.once, r.durable = true, true // a settlement that a failover forgets keeps its items out for a lease
	var all []streams.Item
	for first := true; first || len(outcomes) > 0; first = false {
		batch := outcomes[:min(maxBatch, len(outcomes))]
		outcomes = outcomes[len(batch):]
		var with *streams.Health
		if len(outcomes) == 0 {
			with = health
		}
		args, err := s.settleArgs(stream, batch, with)
		if err != nil {
			return nil, err
		}
		answer, err := s.call(ctx, r, s.scripts.settle, args...)
		if err != nil {
			return nil, err
		}
		if redisdb.Text(answer) == "none" {
			return nil, streams.ErrNotFound
		}
		items, err := itemsOf(stream, answer)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	s.waits.ring(r.part, stream)
	return all, nil
}

// settleArgs are the arguments of lua/settle.lua. A time by this process's clock is told
// as what is left until then.
func (s *Store) settleArgs(stream string, outcomes []streams.Outcome, health *streams.Health) ([]any, error) {
	args := []any{stream, flag(health != nil), "", 0}
	if health != nil && *health != (streams.Health{}) {
		document, err := json.Marshal(health)
		if err != nil {
			return nil, fmt.Errorf("redisstore: settle: %w", err)
		}
		args[2] = document
		if !health.NextDue.IsZero() {
			args[3] = max(0, millis(health.NextDue.Sub(s.clock())))
		}
	}
	for i := range outcomes {
		o := &outcomes[i]
		args = append(args, o.ID, int(o.Verdict), o.Code, o.Description, millis(o.After))
	}
	return args, nil
}

// Health implements [streams.Queue].
func (s *Store) Health(ctx context.Context, stream string) (streams.Health, error) {
	return s.healthOf(ctx, of(stream), stream)
}

func (s *Store) healthOf(ctx context.Context, r request, stream string) (streams.Health, error) {
	var h streams.Health
	v, err := s.version(ctx, r, stream)
	if err != nil || len(v.health) == 0 {
		return h, err
	}
	if err := json.Unmarshal(v.health, &h); err != nil {
		return h, fmt.Errorf("redisstore: health: %w", err)
	}
	return h, nil
}
