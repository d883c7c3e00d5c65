package figures

import (
	"math"
	"slices"
	"time"
)

// Range is a part of the past that can be read.
type Range struct {
	// Name names it in URLs: "1h".
	Name string
	// Title is what people read: "last hour".
	Title string
	// Length is how long it is, and Step how long what is told of by one point.
	Length, Step time.Duration

	ring  int // which one has it
	group int // slots of that ring to a point
}

// Ranges are those that can be read, the shortest first. The last hour is the usual one.
func Ranges() []Range {
	return []Range{
		{"15m", "last 15 minutes", 15 * time.Minute, 10 * time.Second, 0, 1},
		{"1h", "last hour", time.Hour, 20 * time.Second, 0, 2},
		{"6h", "last 6 hours", 6 * time.Hour, 2 * time.Minute, 1, 2},
		{"24h", "last 24 hours", 24 * time.Hour, 6 * time.Minute, 1, 6},
		{"7d", "last 7 days", 7 * 24 * time.Hour, 45 * time.Minute, 2, 3},
		{"30d", "last 30 days", 30 * 24 * time.Hour, 3 * time.Hour, 2, 12},
	}
}

// RangeOf returns the range of a name, "" being the usual one.
func RangeOf(name string) (Range, bool) {
	if name == "" {
		name = "1h"
	}
	all := Ranges()
	i := slices.IndexFunc(all, func(r Range) bool { return r.Name == name })
	if i < 0 {
		return Range{}, false
	}
	return all[i], true
}

// Reading is a range of the past as it was when it was read. Its series have a value
// for each of Times; NaN where nothing is known.
type Reading struct {
	Range Range
	// Times are the beginnings of the points, Range.Step apart, oldest first.
	Times []time.Time
	// Sampled is when the metrics were last asked.
	Sampled time.Time

	figures []Figure
	bounds  [][]float64
	seen    []float64   // seconds that are told of, by point
	values  [][]float64 // by figure, by point
	spreads [][][]uint64
}

// Read returns a range of the past.
func (k *Keeper) Read(of Range) *Reading {
	k.mu.Lock()
	defer k.mu.Unlock()
	from := k.kept.rings[of.ring]
	last := from.number(k.cfg.Now())
	if !from.holds(last) || from.seen[from.place(last)] == 0 {
		last-- // it has only begun
	}
	points := int(of.Length / of.Step)
	newest := last / int64(of.group)
	r := &Reading{
		Range: of, Sampled: k.last, figures: k.kept.figures, bounds: slices.Clone(k.kept.bounds), Times: make([]time.Time, points),
		seen: make([]float64, points), values: make([][]float64, len(k.kept.figures)), spreads: make([][][]uint64, len(k.kept.figures)),
	}
	for f := range r.figures {
		r.values[f], r.spreads[f] = slices.Repeat([]float64{math.NaN()}, points), make([][]uint64, points)
	}
	for p := range points {
		first := (newest - int64(points-1-p)) * int64(of.group)
		r.Times[p] = time.Unix(first*int64(from.step/time.Second), 0).UTC()
		for n := first; n < first+int64(of.group); n++ {
			if from.holds(n) && from.seen[from.place(n)] > 0 {
				r.add(p, from, from.place(n))
			}
		}
	}
	return r
}

// add adds the slot at a place of a ring to point p.
func (r *Reading) add(p int, from *ring, at int) {
	r.seen[p] += float64(from.seen[at])
	for f, figure := range r.figures {
		if figure.Kind == Spread {
			r.addSpread(p, f, from, at)
			continue
		}
		value, was := float64(from.values[f][at]), r.values[f][p]
		switch {
		case math.IsNaN(was):
			r.values[f][p] = value
		case math.IsNaN(value):
		case figure.Kind == Level:
			r.values[f][p] = max(was, value)
		default:
			r.values[f][p] = was + value
		}
	}
}

func (r *Reading) addSpread(p, f int, from *ring, at int) {
	width := len(r.bounds[f]) + 1
	if from.spreads[f] == nil {
		return
	}
	if r.spreads[f][p] == nil {
		r.spreads[f][p] = make([]uint64, width)
	}
	for b, n := range from.spreads[f][at*width : (at+1)*width] {
		r.spreads[f][p][b] += uint64(n)
	}
}

// Figure returns the figure of a name.
func (r *Reading) Figure(name string) (Figure, bool) {
	i := r.index(name)
	if i < 0 {
		return Figure{}, false
	}
	return r.figures[i], true
}

// Figures returns all of them.
func (r *Reading) Figures() []Figure { return slices.Clone(r.figures) }

func (r *Reading) index(name string) int {
	return slices.IndexFunc(r.figures, func(f Figure) bool { return f.Name == name })
}

// Rate returns how much a Count grew, or how many values a Spread got, by second.
func (r *Reading) Rate(name string) []float64 {
	out := make([]float64, len(r.Times))
	for p := range out {
		out[p] = r.grown(name, p) / r.seen[p] // 0/0: NaN
	}
	return out
}

// Total returns how much a Count grew, or how many values a Spread got, in all.
func (r *Reading) Total(name string) float64 {
	sum := 0.0
	for p := range r.Times {
		if v := r.grown(name, p); !math.IsNaN(v) {
			sum += v
		}
	}
	return sum
}

// Latest returns the rate of the last minute or, if points are longer than that, of the
// newest one; NaN if nothing is known of it.
func (r *Reading) Latest(name string) float64 {
	sum, seconds := 0.0, 0.0
	for p := len(r.Times) - 1; p >= 0 && p >= len(r.Times)-max(int(time.Minute/r.Range.Step), 1); p-- {
		if v := r.grown(name, p); !math.IsNaN(v) {
			sum, seconds = sum+v, seconds+r.seen[p]
		}
	}
	return sum / seconds
}

// grown returns how much a figure grew in point p; NaN if that is not known.
func (r *Reading) grown(name string, p int) float64 {
	f := r.index(name)
	if f < 0 || r.seen[p] == 0 {
		return math.NaN()
	}
	if r.figures[f].Kind != Spread {
		return r.values[f][p]
	}
	return float64(sumOf(r.spreads[f][p]))
}

// Level returns the highest of a Level in each point.
func (r *Reading) Level(name string) []float64 {
	f := r.index(name)
	if f < 0 {
		return slices.Repeat([]float64{math.NaN()}, len(r.Times))
	}
	return slices.Clone(r.values[f])
}

// Now returns the newest of a Level; NaN if it is not known.
func (r *Reading) Now(name string) float64 {
	all := r.Level(name)
	return all[len(all)-1]
}

// Quantile returns the value below which the part q of a Spread's values lies, in each
// point; NaN where there were none.
func (r *Reading) Quantile(name string, q float64) []float64 {
	out := slices.Repeat([]float64{math.NaN()}, len(r.Times))
	if f := r.index(name); f >= 0 {
		for p := range out {
			out[p] = quantile(r.bounds[f], r.spreads[f][p], q)
		}
	}
	return out
}

// QuantileOfAll is the quantile over the whole range, of several Spreads with the same
// buckets together; NaN if there were no values.
func (r *Reading) QuantileOfAll(q float64, names ...string) float64 {
	var all []uint64
	var bounds []float64
	for _, name := range names {
		f := r.index(name)
		if f < 0 || r.bounds[f] == nil || bounds != nil && !equal(bounds, r.bounds[f]) {
			continue
		}
		if bounds == nil {
			bounds, all = r.bounds[f], make([]uint64, len(r.bounds[f])+1)
		}
		for _, one := range r.spreads[f] {
			for b, n := range one {
				all[b] += n
			}
		}
	}
	return quantile(bounds, all, q)
}
