package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Ready implements [streams.Queue], for the partitions that this process holds.
func (s *Store) Ready(ctx context.Context, max int) ([]string, error) { return s.ready(ctx, nil, max) }

// ready is Ready for all partitions that are held, or for one, for its holder.
func (s *Store) ready(ctx context.Context, holder *request, max int) ([]string, error) {
	only := -1
	if holder != nil {
		only = holder.part
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		look, next, changed := s.waits.toLook(only, s.cfg.Poll)
		var ids []string
		for part, token := range look {
			if len(ids) >= max { // left for the next
				s.waits.look(part)
				continue
			}
			r := request{part: part, token: token}
			if holder != nil {
				r = *holder
			}
			some, wait, again, err := s.readyNow(ctx, r, max-len(ids))
			if errors.Is(err, streams.ErrNotHeld) && only < 0 {
				s.waits.letGo(part, token)
				continue
			}
			if err != nil {
				for part := range look {
					s.waits.look(part)
				}
				return nil, err
			}
			if again {
				s.waits.look(part)
			}
			at := time.Now().Add(wait)
			s.waits.due(part, at)
			if at.Before(next) {
				next = at
			}
			ids = append(ids, some...)
		}
		if len(ids) > 0 {
			return ids, nil
		}
		if err := s.wait(ctx, changed, time.Until(next)); err != nil {
			return nil, err
		}
	}
}

// readyNow returns what is ready now in a partition. Like a Take it is not cut short: what
// it is told of is told once.
func (s *Store) readyNow(ctx context.Context, r request, max int) (ids []string, wait time.Duration, again bool, err error) {
	r.once, r.id = true, r.ledger.call("ready")
	answer, err := s.call(context.WithoutCancel(ctx), r, s.scripts.ready, max)
	if err != nil {
		r.ledger.unanswered("ready", r.id)
		return nil, 0, false, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list) != 3 {
		return nil, 0, false, redisdb.ErrAnswer
	}
	found, err := redisdb.List(list[2])
	if err != nil {
		return nil, 0, false, err
	}
	for _, id := range found {
		ids = append(ids, redisdb.Text(id))
	}
	return ids, s.untilDue(list[0]), redisdb.Text(list[1]) == "1", nil
}
