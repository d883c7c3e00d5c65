package bench

import (
	"context"
	"math"
	"slices"
)

// rounds runs one round to warm up and then those that count.
func (b *bench) rounds(ctx context.Context, name string, one func(ctx context.Context) (Round, error)) ([]Round, error) {
	var rounds []Round
	for i := range Rounds + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := one(ctx)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue
		}
		if r.Floor == 0 {
			b.say("%s %d/%d: %.4g", name, i, Rounds, r.Value)
		} else {
			b.say("%s %d/%d: %.4g, floor %.4g, ratio %.2f", name, i, Rounds, r.Value, r.Floor, ratio(r))
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// atMost judges rounds by an upper bound of their ratio.
func (w workload) atMost(target float64, unit string, rounds []Round) Result {
	r := w.result(unit, rounds)
	r.Target, r.Holds = target, r.Ratio <= target
	return r
}

// atLeast judges rounds by a lower bound of their ratio.
func (w workload) atLeast(target float64, unit string, rounds []Round) Result {
	r := w.result(unit, rounds)
	r.Target, r.AtLeast, r.Holds = target, true, r.Ratio >= target
	return r
}

func (w workload) result(unit string, rounds []Round) Result {
	var values, floors, ratios []float64
	for _, r := range rounds {
		values, floors, ratios = append(values, r.Value), append(floors, r.Floor), append(ratios, ratio(r))
	}
	return Result{
		Name: w.name, Is: w.is, Unit: unit, Rounds: rounds,
		Value: median(values), Floor: median(floors), Ratio: median(ratios),
	}
}

func ratio(r Round) float64 {
	if r.Floor == 0 {
		return 0
	}
	return r.Value / r.Floor
}

func median(values []float64) float64 { return percentile(values, 50) }

// percentile returns the least value that p percent of the values do not
// exceed; 0 of none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
