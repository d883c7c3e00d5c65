package figures_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
)

// world is a process with metrics, and a keeper on a file.
type world struct {
	t        *testing.T
	path     string
	registry *prometheus.Registry
	events   *prometheus.CounterVec
	depth    prometheus.Gauge
	took     *prometheus.HistogramVec
	said     strings.Builder
}

func list() []figures.Figure {
	return []figures.Figure{
		{Name: "events", Kind: figures.Count, Metric: "events_total", With: map[string][]string{"outcome": {"accepted", "seen"}}},
		{Name: "depth", Kind: figures.Level, Metric: "depth"},
		{Name: "push", Kind: figures.Spread, Metric: "took_seconds", With: map[string][]string{"method": {"push"}}},
		{Name: "poll", Kind: figures.Spread, Metric: "took_seconds", With: map[string][]string{"method": {"poll"}}},
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "figures.bin")}
	w.begin()
	return w
}

// begin is the start of a process: its metrics are at zero.
func (w *world) begin() {
	w.registry = prometheus.NewRegistry()
	w.events = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events_total"}, []string{"outcome"})
	w.depth = prometheus.NewGauge(prometheus.GaugeOpts{Name: "depth"})
	w.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took_seconds", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12)}, []string{"method"})
	w.registry.MustRegister(w.events, w.depth, w.took)
}

func (w *world) keeper(of ...figures.Figure) *figures.Keeper {
	if of == nil {
		of = list()
	}
	return figures.New(figures.Config{Path: w.path, Gatherer: w.registry, Figures: of, Logger: slog.New(slog.NewTextHandler(&w.said, nil))})
}

// run runs k while fn does something, and to its end.
func run(t *testing.T, k *figures.Keeper, fn func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	synctest.Wait()
	fn()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want figures to end no process", err)
	}
}

func read(t *testing.T, k *figures.Keeper, name string) *figures.Reading {
	t.Helper()
	r, ok := figures.RangeOf(name)
	if !ok {
		t.Fatalf("got no range %q", name)
	}
	return k.Read(r)
}

func known(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > 1e-4*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Counters become rates, of the labels that were chosen alone; of a level the highest
// is kept, of a histogram its quantiles.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.keeper()
		run(t, k, func() {
			for range 12 { // two minutes
				w.events.WithLabelValues("accepted").Add(30)
				w.events.WithLabelValues("seen").Add(10)
				w.events.WithLabelValues("refused").Add(1000)
				for i := range 100 {
					w.took.WithLabelValues("push").Observe(float64(i) / 1000)
					w.took.WithLabelValues("poll").Observe(3)
				}
				w.depth.Add(1)
				<-time.After(10 * time.Second)
				synctest.Wait()
			}
		})
		for name, points := range map[string]int{"15m": 90, "1h": 180, "6h": 180, "24h": 240, "7d": 224, "30d": 240} {
			r := read(t, k, name)
			if len(r.Times) != points || r.Times[1].Sub(r.Times[0]) != r.Range.Step || time.Duration(points)*r.Range.Step != r.Range.Length {
				t.Errorf("%s: got %d points of %v, want %d for %v", name, len(r.Times), r.Range.Step, points, r.Range.Length)
			}
			if end := r.Times[points-1]; time.Since(end) < 0 || time.Since(end) > 2*r.Range.Step {
				t.Errorf("%s: got an end at %v, want about %v", name, end, time.Now())
			}
			for _, rate := range known(r.Rate("events")) {
				near(t, name+": rate", rate, 4)
			}
			near(t, name+": events", r.Total("events"), 480)
			near(t, name+": pushes", r.Total("push"), 1200)
			levels := known(r.Level("depth"))
			near(t, name+": highest level", slices.Max(levels), 12)
			near(t, name+": level now", r.Now("depth"), 12)
			// 100 values spread over 0 to 0.1 s: the bucket that has a quantile is hit.
			p95 := known(r.Quantile("push", 0.95))
			if p95[len(p95)-1] < 0.064 || p95[len(p95)-1] > 0.128 {
				t.Errorf("%s: got a p95 of %v, want it within its bucket", name, p95)
			}
			near(t, name+": p50 of a poll", r.QuantileOfAll(0.5, "poll"), 2.048) // all are above the last bound
		}
		r := read(t, k, "15m")
		if got := len(known(r.Rate("events"))); got != 12 {
			t.Errorf("got %d points that are known, want 12: the rest of the range is a gap", got)
		}
		if got := r.Level("depth"); got[len(got)-12] != 1 || got[len(got)-1] != 12 {
			t.Errorf("got levels %v, want 1 to 12 at the end", known(got))
		}
		near(t, "the last minute", r.Latest("events"), 4)
	})
}

// What was kept is there after a restart, the time between is a gap, and counters that
// begin at zero again make no dent.
func TestFiguresSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		busy := func() {
			for range 30 { // five minutes
				w.events.WithLabelValues("accepted").Add(50)
				w.took.WithLabelValues("push").Observe(0.02)
				w.depth.Set(7)
				<-time.After(10 * time.Second)
				synctest.Wait()
			}
		}
		k := w.keeper()
		run(t, k, busy)
		before := read(t, k, "1h")
		w.begin()
		<-time.After(5 * time.Minute)
		k = w.keeper()
		after := read(t, k, "1h")
		if got, want := known(after.Rate("events")), known(before.Rate("events")); !slices.Equal(got, want) {
			t.Errorf("got %v, want what there was before %v", got, want)
		}
		run(t, k, busy)
		r := read(t, k, "1h")
		near(t, "events", r.Total("events"), 3000)
		near(t, "pushes", r.Total("push"), 60)
		for _, rate := range known(r.Rate("events")) {
			near(t, "rate", rate, 5)
		}
		rates := r.Rate("events")
		gap := rates[len(rates)-30 : len(rates)-15] // 5 min, before the last 5
		if got := known(gap); len(got) > 1 {
			t.Errorf("got %v while nothing ran, want a gap", got)
		}
		if w.said.Len() > 0 {
			t.Errorf("got %s, want nothing said", w.said.String())
		}
	})
}

// A series that ends, as of an issuer that is configured no more, or that begins anew
// at zero makes no dent in the others.
func TestSeriesThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.keeper()
		step := func(accepted, seen float64) {
			w.events.WithLabelValues("accepted").Add(accepted)
			w.events.WithLabelValues("seen").Add(seen)
			<-time.After(10 * time.Second)
			synctest.Wait()
		}
		run(t, k, func() {
			step(1000, 10)
			w.events.DeleteLabelValues("accepted")
			step(0, 10)
			w.events.Reset()
			step(10, 15)
		})
		near(t, "events", read(t, k, "15m").Total("events"), 1000+10+10+10+15)
	})
}

// Figures of a store that cannot be asked are a gap, not zero; those of nobody are too.
func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.keeper()
		run(t, k, func() {
			w.depth.Set(3)
			<-time.After(20 * time.Second)
			synctest.Wait()
			w.registry.Unregister(w.depth)
			<-time.After(20 * time.Second)
		})
		r := read(t, k, "15m")
		if got := known(r.Level("depth")); !slices.Equal(got, []float64{3, 3}) {
			t.Errorf("got %v, want the two samples that had it", got)
		}
		if got := r.Now("depth"); !math.IsNaN(got) {
			t.Errorf("got %v, want nothing known of it now", got)
		}
		if got := known(r.Quantile("push", 0.5)); len(got) > 0 || !math.IsNaN(r.QuantileOfAll(0.5, "push", "poll")) {
			t.Errorf("got quantiles %v of no values, want none", got)
		}
		if got := known(r.Rate("nobody")); len(got) > 0 {
			t.Errorf("got %v, want nothing of a figure that there is not", got)
		}
	})
}

// A month of samples fills the rings and no more; what is older is gone.
func TestRingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.keeper()
		w.events.WithLabelValues("accepted").Add(1e6)
		<-time.After(10 * time.Second)
		k.Sample()
		for range 31 * 24 { // an hour each, as of a process that is looked at rarely
			w.events.WithLabelValues("accepted").Add(3600)
			<-time.After(time.Hour)
			k.Sample()
		}
		r := read(t, k, "30d")
		if got := r.Total("events"); got > 30*24*3600 || got < 30*24*3600-3*3600 { // the newest point has only begun
			t.Errorf("got %v events, want those of a month", got)
		}
		if got := len(known(r.Rate("events"))); got != 240 {
			t.Errorf("got %d points that are known, want all 240", got)
		}
	})
}

// A clock that is set back loses what lies ahead of it and nothing else, and no
// sample comes to nothing.
func TestClockSetBack(t *testing.T) {
	w := newWorld(t)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	k := figures.New(figures.Config{Path: w.path, Gatherer: w.registry, Figures: list(), Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	step := func(by time.Duration, n float64) {
		now = now.Add(by)
		w.events.WithLabelValues("accepted").Add(n)
		k.Sample()
	}
	for range 60 {
		step(10*time.Second, 1)
	}
	now = now.Add(-5 * time.Minute)
	step(0, 0) // told of no time: nothing
	for range 6 {
		step(10*time.Second, 1)
	}
	r := read(t, k, "15m")
	near(t, "events", r.Total("events"), 31+6) // 12:05:00 to 12:05:10 was twice
	if got := r.Times[len(r.Times)-1]; now.Sub(got) > 20*time.Second {
		t.Errorf("got an end at %v, want it near %v", got, now)
	}
}

// A sample costs next to nothing of the time between two; what it costs is printed.
func TestSampleCost(t *testing.T) {
	registry := prometheus.NewRegistry()
	depth := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tocsin_stream_queue_depth"}, []string{"stream_id"})
	delivery := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tocsin_delivery_seconds", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 25)}, []string{"method"})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_http_requests_total"}, []string{"route", "status"})
	registry.MustRegister(depth, delivery, requests)
	for i := range 300 {
		requests.WithLabelValues(fmt.Sprint("/v1/", i/10), fmt.Sprint(200+i%10)).Inc()
		depth.WithLabelValues(fmt.Sprint(i % 20)).Set(1)
	}
	for _, method := range []string{"push", "poll", "webhook"} {
		delivery.WithLabelValues(method).Observe(0.01)
	}
	now := time.Unix(1_800_000_000, 0)
	k := figures.New(figures.Config{Path: filepath.Join(t.TempDir(), "f"), Gatherer: registry, Figures: figures.Transmitter(), Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	const samples = 200
	began := time.Now()
	for range samples {
		now = now.Add(10 * time.Second)
		k.Sample()
	}
	took := time.Since(began) / samples
	t.Logf("a sample of %d series: %v", 300+20+3, took)
	if took > 100*time.Millisecond {
		t.Errorf("got %v a sample, want far less than a hundredth of the 10 s between two", took)
	}
}
