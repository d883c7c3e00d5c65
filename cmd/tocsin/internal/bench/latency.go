package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	slowEvents = 4500
	slowWindow = 32 // --push-window
	slowTarget = 0.6

	idleEvents = 150
	idleGap    = 10 * time.Millisecond

	isolated     = 20 // receivers
	isolationGap = 40 * time.Millisecond
	// hangTime is longer than all rounds: in each of them the receiver holds
	// on to a whole window, and the stream does not back off yet.
	hangTime = time.Hour
	// isolationEvents of a round; each goes to all receivers.
	isolationEvents = 240
)

func (b *bench) slowReceiver(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		s, err := r.serve(ctx, "--algorithm", "EdDSA", "--push-window", fmt.Sprint(slowWindow))
		if err != nil {
			return err
		}
		if _, err := s.stream(ctx, r.endpoint(pathSlow, 0), typeWanted); err != nil {
			return err
		}
		rounds, err = b.rounds(ctx, w.name, func(context.Context) (Round, error) {
			_, got, err := r.deliver(s.events(b.count(slowEvents)), b.count(slowEvents), false)
			return Round{float64(got.SETs-1) / got.Seconds, slowWindow / slowTime.Seconds()}, err
		})
		return err
	})
	return []Result{w.atLeast(slowTarget, "SETs/s", rounds)}, err
}

func (b *bench) idleLatency(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		s, err := r.serve(ctx, "--algorithm", "RS256")
		if err != nil {
			return err
		}
		if _, err := s.stream(ctx, r.endpoint(pathPrompt, 0), typeWanted); err != nil {
			return err
		}
		n := b.count(idleEvents)
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			floor, err := b.floor.chain(ctx, n, idleGap)
			if err != nil {
				return Round{}, err
			}
			c := s.events(n)
			c.Senders, c.Gap = 1, idleGap
			_, got, err := r.deliver(c, n, true)
			return Round{got.P50, floor}, err
		})
		return err
	})
	return []Result{w.atMost(2, "µs p50", rounds)}, err
}

// isolation compares two servers with the same receivers, but that one of
// them hangs on one of the servers.
func (b *bench) isolation(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		with, err := r.isolated(ctx, pathHang)
		if err != nil {
			return err
		}
		without, err := r.isolated(ctx, pathPrompt)
		if err != nil {
			return err
		}
		n := b.count(isolationEvents)
		rounds, err = b.rounds(ctx, w.name, func(context.Context) (Round, error) {
			p99 := func(s *server, receivers int) (float64, error) {
				c := s.events(n)
				c.Senders, c.Gap = 1, isolationGap
				_, got, err := r.deliver(c, n*receivers, true)
				return got.P99, err
			}
			floor, err := p99(without, isolated)
			if err != nil {
				return Round{}, err
			}
			value, err := p99(with, isolated-1)
			return Round{value, floor}, err
		})
		return err
	})
	return []Result{w.atMost(2, "µs p99", rounds)}, err
}

// isolated serves receivers of which the last is of a kind.
func (r *rig) isolated(ctx context.Context, last string) (*server, error) {
	s, err := r.serve(ctx, "--algorithm", "EdDSA", "--push-timeout", hangTime.String())
	if err != nil {
		return nil, err
	}
	for i := range isolated {
		path := pathPrompt
		if i == isolated-1 {
			path = last
		}
		if _, err := s.stream(ctx, r.endpoint(path, i), typeWanted); err != nil {
			return nil, err
		}
	}
	return s, nil
}
