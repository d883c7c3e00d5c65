package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// maxTake bounds what one Take hands out.
const maxTake = 1024

// Take implements [streams.Queue]. It hands out at most 1,024 items, or about 1 MiB of
// payloads. What it hands out is out for all processes, until its lease ends or, if
// Config.Node is set, this process has ended and begins anew.
func (s *Store) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	return s.take(ctx, of(stream), stream, opts)
}

func (s *Store) take(ctx context.Context, r request, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	if opts.Max < 1 || opts.Lease <= 0 {
		return nil, errors.New("redisstore: take: Max and Lease must be positive")
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rung, leave := s.waits.taker(stream) // before looking
		items, wait, again, err := s.takeNow(ctx, r, stream, opts)
		if err == nil && len(items) == 0 && !again && opts.Wait {
			err = s.wait(ctx, rung, wait)
			again = true
		}
		leave()
		if err != nil || len(items) > 0 || !again {
			return items, err
		}
	}
}

// wait waits for a bell, a time to look again, or an end.
func (s *Store) wait(ctx context.Context, rung <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-rung:
	case <-timer.C:
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// takeNow leases what can be handed out now. It also says for how long nothing comes by
// itself, and whether there is more to look at. It is not cut short: what was handed out is
// lost for a lease if nobody hears of it.
func (s *Store) takeNow(ctx context.Context, r request, stream string, opts streams.TakeOptions) (items []streams.Item, wait time.Duration, again bool, err error) {
	r.once, r.id = true, r.ledger.call("take "+stream)
	answer, err := s.call(context.WithoutCancel(ctx), r, s.scripts.take, stream, min(opts.Max, maxTake), millis(opts.Lease), "")
	if err != nil {
		r.ledger.unanswered("take "+stream, r.id)
		return nil, 0, false, err
	}
	list, err := streamAnswer(answer)
	if err != nil {
		return nil, 0, false, err
	}
	if len(list) != 3 {
		return nil, 0, false, redisdb.ErrAnswer
	}
	items, err = itemsOf(stream, list[2])
	return items, s.untilDue(list[0]), redisdb.Text(list[1]) == "1", err
}

// untilDue returns how long to wait for what a script says is due in so many milliseconds,
// -1 for nothing: not longer than Poll.
func (s *Store) untilDue(ms any) time.Duration {
	if n := redisdb.Number(ms); n >= 0 {
		return min(time.Duration(n)*time.Millisecond, s.cfg.Poll)
	}
	return s.cfg.Poll
}

// Extend implements [streams.Queue].
func (s *Store) Extend(ctx context.Context, stream string, ids []string, lease time.Duration) error {
	for len(ids) > 0 {
		batch := ids[:min(maxBatch, len(ids))]
		ids = ids[len(batch):]
		args := []any{stream, millis(lease)}
		for _, id := range batch {
			args = append(args, id)
		}
		answer, err := s.call(ctx, of(stream), s.scripts.extend, args...)
		if err != nil {
			return err
		}
		if redisdb.Text(answer) == "none" {
			return streams.ErrNotFound
		}
	}
	return nil
}

// More implements [streams.Queue].
func (s *Store) More(ctx context.Context, stream string) (bool, error) {
	for {
		answer, err := s.call(ctx, of(stream), s.scripts.take, stream, 1, 1, "1")
		if err != nil {
			return false, err
		}
		list, err := streamAnswer(answer)
		if err != nil {
			return false, err
		}
		if len(list) != 3 {
			return false, redisdb.ErrAnswer
		}
		if what := redisdb.Text(list[1]); what != "2" { // 2: not known yet
			return what == "1", nil
		}
	}
}
