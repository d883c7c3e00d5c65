package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	manyStreams  = 10_000
	manySubjects = 1_000 // of the one stream that wants the events
	manyEvents   = 6_000

	fanoutStreams = 1_000
	fanoutEvents  = 6 // of a round, each to all streams
	fanoutGap     = 700 * time.Millisecond
	postGap       = 10 * time.Millisecond // between the events whose POST is timed

	historyEvents = 200_000
	historyBatch  = 500
	historyRound  = 9_000
	historyTarget = 0.9
)

// manyNone compares a server with one stream of many subjects with one that
// has also 10,000 streams of one other subject each.
func (b *bench) manyNone(ctx context.Context, w workload) ([]Result, error) {
	return b.many(ctx, w, "NONE", typeWanted, manySubjects)
}

// manyAll does the same with streams of all subjects but another event type.
func (b *bench) manyAll(ctx context.Context, w workload) ([]Result, error) {
	return b.many(ctx, w, "ALL", typeOther, 0)
}

func (b *bench) many(ctx context.Context, w workload, subjects, others string, pool int) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		one, err := r.wanted(ctx, "", subjects, pool)
		if err != nil {
			return err
		}
		all, err := r.wanted(ctx, "", subjects, pool)
		if err != nil {
			return err
		}
		b.say("%s: making %d streams", w.name, manyStreams)
		err = each(ctx, manyStreams-1, func(ctx context.Context, i int) error {
			made, err := all.stream(ctx, r.endpoint(pathPrompt, i+1), others)
			if err != nil || pool == 0 {
				return err
			}
			return all.addSubject(ctx, made.ID, fmt.Sprint("other", i, subjectHost))
		})
		if err != nil {
			return err
		}
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			return r.compare(ctx, one, all, func(s *server) (float64, error) {
				c := s.events(b.count(manyEvents))
				c.Pool = pool
				return r.cost(ctx, s, c)
			})
		})
		return err
	})
	return []Result{w.atMost(1.2, perSET, rounds)}, err
}

// compare measures base and then other.
func (r *rig) compare(ctx context.Context, base, other *server, one func(*server) (float64, error)) (Round, error) {
	floor, err := one(base)
	if err != nil {
		return Round{}, err
	}
	value, err := one(other)
	return Round{value, floor}, err
}

// wanted serves one stream that wants the events: pool subjects, or all if that
// is 0. The data folder is dir, or a new one.
func (r *rig) wanted(ctx context.Context, dir, subjects string, pool int) (*server, error) {
	s, err := r.serveIn(ctx, dir, "--algorithm", "EdDSA", "--default-subjects", subjects)
	if err != nil {
		return nil, err
	}
	made, err := s.stream(ctx, r.endpoint(pathPrompt, 0), typeWanted)
	if err != nil {
		return nil, err
	}
	return s, each(ctx, pool, func(ctx context.Context, i int) error { return s.addSubject(ctx, made.ID, pooled(i)) })
}

// fanout times the POST of events that no stream wants while others go to one
// stream, or to 1,000, and states what one SET of those costs.
func (b *bench) fanout(ctx context.Context, w workload) ([]Result, error) {
	var rounds, costs []Round
	err := b.withRig(ctx, func(r *rig) error {
		second, err := r.peer(ctx, RoleLoad)
		if err != nil {
			return err
		}
		var servers [2]*server
		for i, n := range []int{1, fanoutStreams} {
			if servers[i], err = r.serve(ctx, "--algorithm", "EdDSA"); err != nil {
				return err
			}
			if err := each(ctx, n, func(ctx context.Context, j int) error {
				_, err := servers[i].stream(ctx, r.endpoint(pathPrompt, j), typeWanted)
				return err
			}); err != nil {
				return err
			}
		}
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			floor, _, err := r.fanRound(ctx, servers[0], second, 1)
			if err != nil {
				return Round{}, err
			}
			p99, us, err := r.fanRound(ctx, servers[1], second, fanoutStreams)
			costs = append(costs, Round{Value: us})
			return Round{p99, floor}, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	item := workload{name: w.name + "-item", is: "server CPU per SET of an event that goes to 1,000 streams, the timed events with it"}
	cost := item.result(perSET, costs[1:])
	cost.Holds = true // stated, not bounded
	return []Result{w.atMost(2, "µs p99", rounds), cost}, nil
}

// fanRound returns the p99 of the timed POSTs and the CPU time per SET.
func (r *rig) fanRound(ctx context.Context, s *server, second *peer, streams int) (p99, us float64, err error) {
	wide := s.events(fanoutEvents)
	wide.Senders, wide.Gap = 1, fanoutGap
	timed := s.events(int(fanoutEvents * fanoutGap / postGap))
	timed.Senders, timed.Gap, timed.Type = 1, postGap, typeOther
	total, err := s.cpu(ctx, func() error {
		var sent sendAnswer
		done := make(chan error, 1)
		go func() { done <- second.call("send", timed, &sent) }()
		_, _, err := r.deliver(wide, fanoutEvents*streams, false)
		if other := <-done; err == nil {
			err = other
		}
		p99 = sent.P99
		return err
	})
	return p99, total / float64(fanoutEvents*streams), err
}

// history compares an empty store with one that has seen 200,000 events.
func (b *bench) history(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withRig(ctx, func(r *rig) error {
		empty, err := r.wanted(ctx, "", "ALL", 0)
		if err != nil {
			return err
		}
		full, err := r.wanted(ctx, "", "ALL", 0)
		if err != nil {
			return err
		}
		b.say("%s: storing and delivering %d events", w.name, historyEvents)
		const step = historyEvents / 10
		for range historyEvents / step {
			c := full.events(step)
			c.Batch = historyBatch
			if _, _, err := r.deliver(c, step, false); err != nil {
				return err
			}
		}
		rounds, err = b.deliveries(ctx, w, r, empty, full)
		return err
	})
	return []Result{w.atLeast(historyTarget, "SETs/s", rounds)}, err
}

// deliveries compares how fast two servers deliver.
func (b *bench) deliveries(ctx context.Context, w workload, r *rig, empty, full *server) ([]Round, error) {
	return b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
		return r.compare(ctx, empty, full, func(s *server) (float64, error) {
			n := b.count(historyRound)
			_, got, err := r.deliver(s.events(n), n, false)
			return float64(got.SETs-1) / got.Seconds, err
		})
	})
}
