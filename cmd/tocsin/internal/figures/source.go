package figures

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// maxBuckets bounds the buckets of a histogram that are kept.
const maxBuckets = 64

// source reads metrics. Counters become what they grew by since the sample before:
// each series by itself, so that one that ended, or began anew at zero, falsifies none.
type source struct {
	gatherer prometheus.Gatherer
	figures  []Figure
	before   []map[string][]float64 // by figure, by labels: a counter, or a histogram's counts by bucket
}

// sample is what the metrics said at one time.
type sample struct {
	seconds float64   // since the sample before
	levels  []bool    // by figure: it is a Level
	values  []float64 // by figure: growth, or the level, NaN where it is not known
	spreads []*spread // by figure; nil where nothing is known of it
}

// spread is the growth of a histogram by bucket; the last one has no upper bound.
type spread struct {
	bounds []float64
	counts []uint64
}

func newSource(g prometheus.Gatherer, figures []Figure) *source {
	s := &source{gatherer: g, figures: figures, before: make([]map[string][]float64, len(figures))}
	return s
}

// sample asks for the metrics. What cannot be told at the moment, as where a store is
// away, is missing from what they say.
func (s *source) sample() sample {
	families, _ := s.gatherer.Gather()
	byName := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		byName[f.GetName()] = f
	}
	out := sample{levels: make([]bool, len(s.figures)), values: make([]float64, len(s.figures)), spreads: make([]*spread, len(s.figures))}
	for i, f := range s.figures {
		var series []*dto.Metric
		for _, m := range byName[f.Metric].GetMetric() {
			if f.takes(m) {
				series = append(series, m)
			}
		}
		switch f.Kind {
		case Count:
			out.values[i] = s.growth(i, series)
		case Level:
			out.levels[i], out.values[i] = true, level(series, f.Highest)
		case Spread:
			out.spreads[i] = s.spread(i, series)
		}
	}
	return out
}

// takes reports whether a series is one of the figure's.
func (f Figure) takes(m *dto.Metric) bool {
	for label, values := range f.With {
		at := slices.IndexFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label })
		if at < 0 || !slices.Contains(values, m.GetLabel()[at].GetValue()) {
			return false
		}
	}
	return true
}

func labelsOf(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.GetLabel() {
		b.WriteString(l.GetValue())
		b.WriteByte(0)
	}
	return b.String()
}

func level(series []*dto.Metric, highest bool) float64 {
	if len(series) == 0 {
		return math.NaN()
	}
	sum, most := 0.0, math.Inf(-1)
	for _, m := range series {
		v := m.GetGauge().GetValue()
		sum, most = sum+v, max(most, v)
	}
	if highest {
		return most
	}
	return sum
}

// growth returns what the counters of a figure grew by together.
func (s *source) growth(figure int, series []*dto.Metric) float64 {
	now, sum := make(map[string][]float64, len(series)), 0.0
	for _, m := range series {
		key, value := labelsOf(m), m.GetCounter().GetValue()
		now[key] = []float64{value}
		sum += grown(s.before[figure][key], 0, value)
	}
	s.before[figure] = now
	return sum
}

// grown returns by how much value i is more than it was before: all of it where it is
// less, for then it began at zero.
func grown(before []float64, i int, value float64) float64 {
	if i >= len(before) || value < before[i] {
		return value
	}
	return value - before[i]
}

// spread returns what the histograms of a figure grew by together; nil if there are
// none. Series with other bounds than the first are left out.
func (s *source) spread(figure int, series []*dto.Metric) *spread {
	var out *spread
	now := make(map[string][]float64, len(series))
	for _, m := range series {
		bounds, counts := buckets(m.GetHistogram())
		if len(bounds) == 0 || len(bounds) > maxBuckets {
			continue
		}
		if out == nil {
			out = &spread{bounds, make([]uint64, len(counts))}
		}
		if !equal(out.bounds, bounds) {
			continue
		}
		key := labelsOf(m)
		before := s.before[figure][key]
		if began(before, counts) {
			before = nil
		}
		for i, n := range counts {
			out.counts[i] += uint64(grown(before, i, n))
		}
		now[key] = counts
	}
	s.before[figure] = now
	return out
}

// began reports whether a histogram began anew: a count is less than it was.
func began(before, counts []float64) bool {
	for i := range min(len(before), len(counts)) {
		if counts[i] < before[i] {
			return true
		}
	}
	return false
}

// buckets returns the upper bounds of a histogram and how many values are in each
// bucket alone, with those above the last bound at the end.
func buckets(h *dto.Histogram) (bounds, counts []float64) {
	below := uint64(0)
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		bounds = append(bounds, b.GetUpperBound())
		counts = append(counts, float64(b.GetCumulativeCount()-below))
		below = b.GetCumulativeCount()
	}
	return bounds, append(counts, float64(h.GetSampleCount()-below))
}
