package bench

import "context"

// Events of a round.
const (
	eventsRS256 = 3000
	eventsEdDSA = 9000
	pollBatch   = 100
)

const perSET = "µs CPU/SET"

func (b *bench) pushRS256(ctx context.Context, w workload) ([]Result, error) {
	return b.push(ctx, w, "RS256", eventsRS256, 1.25, b.floor.signRS256)
}

func (b *bench) pushEdDSA(ctx context.Context, w workload) ([]Result, error) {
	return b.push(ctx, w, "EdDSA", eventsEdDSA, 2, b.floor.signEdDSA, b.floor.syncedAppend, b.floor.post)
}

func (b *bench) push(ctx context.Context, w workload, alg string, n int, target float64, floors ...func() (float64, error)) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		s, err := r.serve(ctx, "--algorithm", alg)
		if err != nil {
			return err
		}
		if _, err := s.stream(ctx, r.endpoint(pathPrompt, 0), typeWanted); err != nil {
			return err
		}
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			floor, err := sum(floors...)
			if err != nil {
				return Round{}, err
			}
			us, err := r.cost(ctx, s, s.events(b.count(n)))
			return Round{us, floor}, err
		})
		return err
	})
	return []Result{w.atMost(target, perSET, rounds)}, err
}

func (b *bench) pollEdDSA(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		s, err := r.serve(ctx, "--algorithm", "EdDSA")
		if err != nil {
			return err
		}
		made, err := s.stream(ctx, "", typeWanted)
		if err != nil {
			return err
		}
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			floor, err := sum(b.floor.signEdDSA, b.floor.syncedAppend)
			if err != nil {
				return Round{}, err
			}
			n := b.count(eventsEdDSA) / pollBatch * pollBatch
			us, err := s.cpu(ctx, func() error {
				if err := r.load.call("send", s.events(n), nil); err != nil {
					return err
				}
				if err := pause(ctx, quietTime); err != nil { // the last of them reach the queue
					return err
				}
				return r.sink.call("poll", pollCall{URL: made.Poll, Token: s.reader, SETs: n, Batch: pollBatch}, nil)
			})
			return Round{us / float64(n), floor}, err
		})
		return err
	})
	return []Result{w.atMost(3, perSET, rounds)}, err
}
