package bench

import (
	"context"
	"slices"
	"time"
)

const (
	lagTime   = 6 * time.Second // of a round
	lagTarget = 2000            // ms
)

// lag has events come in as fast as the index lets them.
func (b *bench) lag(ctx context.Context, w workload) ([]Result, error) {
	var rounds, rates []Round
	var missing int
	err := b.withLog(ctx, openCall{Dir: b.folder(), Index: true}, func(p *peer) (err error) {
		c := lagCall{Writers: senders, For: lagTime}
		if b.Quick {
			c.For /= 3
		}
		rounds, err = b.rounds(ctx, w.name, func(context.Context) (Round, error) {
			var got lagAnswer
			err := p.call("lag", c, &got)
			rates = append(rates, Round{Value: got.Rate})
			return Round{Value: got.Longest}, err
		})
		if err == nil {
			err = p.call("missing", nil, &missing)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	longest := w.result("ms", rounds)
	longest.Value = slices.MaxFunc(rounds, func(a, b Round) int { return int(a.Value - b.Value) }).Value
	longest.Target, longest.Holds = lagTarget, longest.Value <= lagTarget
	rate := workload{name: w.name + "-rate", is: "events a second that came in meanwhile"}.result("events/s", rates[1:])
	rate.Holds = true // stated, not bounded
	return []Result{longest, rate, {
		Name: w.name + "-missing", Value: float64(missing), Unit: "events", Holds: missing == 0,
		Is: "events of the log that the index did not have at the end, each looked for by time, by source and by subject; must be none",
	}}, nil
}
