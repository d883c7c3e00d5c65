package plot

import (
	"math"
	"time"
)

// scale is the axis of values, from 0 to beyond the highest.
type scale struct {
	max   float64
	ticks []float64
	text  func(float64) string
}

func (s scale) y(v float64) float64 {
	return height - bottom - min(max(v/s.max, 0), 1)*(height-top-bottom)
}

// maxTicks is how many steps an axis of values has at most.
const maxTicks = 5

func (p Plot) scale() scale {
	most := 0.0
	for _, s := range p.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				most = max(most, v)
			}
		}
	}
	step := stepOf(most, p.Unit)
	s := scale{max: step * math.Max(1, math.Ceil(most/step-1e-9))}
	for i := 0; float64(i)*step <= s.max*(1+1e-9); i++ {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	s.text = func(v float64) string { return tickText(v, step, s.max, p.Unit) }
	return s
}

// stepOf returns a round step that divides most into at most maxTicks.
func stepOf(most float64, u Unit) float64 {
	least := most / maxTicks
	if u == Seconds && least >= 1 {
		for _, step := range []float64{
			1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 5 * 86400, 10 * 86400,
		} {
			if step >= least {
				return step
			}
		}
	}
	switch {
	case u == Number && least < 0.2: // things are whole
		return 1
	case least <= 0 && u == PerSecond:
		return 1
	case least <= 0 && u == Seconds:
		return 0.001
	}
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step := m * power; step >= least*(1-1e-9) && (u != Number || step >= 1) {
			return step
		}
	}
	return 10 * power
}

// tick is a time on the axis.
type tick struct {
	at   time.Time
	text string
}

// timeTicks returns three to seven round times of a span, in UTC.
func timeTicks(from, to time.Time) []tick {
	const day = 24 * time.Hour
	steps := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, day, 2 * day, 7 * day, 30 * day}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if to.Sub(from)/s <= 7 {
			step = s
			break
		}
	}
	layout := "15:04"
	if step >= day {
		layout = "2 Jan"
	}
	var out []tick
	first := from.UTC().Truncate(step)
	for at := first; at.Before(to); at = at.Add(step) {
		// Those at the very ends would be cut off.
		if at.Sub(from) >= to.Sub(from)/25 && to.Sub(at) >= to.Sub(from)/25 {
			out = append(out, tick{at, at.Format(layout)})
		}
	}
	return out
}
