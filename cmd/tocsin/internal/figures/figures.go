// Package figures keeps what a process did over the last hour, day and month: figures
// chosen from its own metrics, sampled every 10 s into rings of fixed size and kept in
// one small file, so that the console has a past without a monitoring system beside it.
//
// What is kept is bounded by the list of figures alone: no figure has a series per
// stream, issuer or source. Where several nodes share a Redis, what is counted is what
// this node did; levels of the queues are those of all.
//
//	k := figures.New(figures.Config{Path: …, Gatherer: registry, Figures: figures.Transmitter(), Logger: logger})
//	go k.Run(ctx)
//	r := k.Read(figures.LastHour)
//	r.Rate("events"), r.Level("waiting"), r.Quantile("push", 0.95)
//
// docs/operations/figures.md describes the figures and the file.
package figures

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind says what is made of a metric.
type Kind uint8

// The kinds. They are numbers in the file, which do not change.
const (
	// Count: a counter. What is kept is how much it grew.
	Count Kind = 1
	// Level: a gauge. What is kept is the highest value that was seen.
	Level Kind = 2
	// Spread: a histogram. What is kept is how many values fell into each bucket.
	Spread Kind = 3
)

// Figure is one thing that is kept, chosen from the metrics.
type Figure struct {
	// Name is unique, and the figure's in the file.
	Name string
	// Title is what it is called in a legend: "events accepted".
	Title string
	Kind  Kind
	// Metric is the name of the metric. Of its series those with the labels of With are
	// taken together: added, or of a Level with Highest the highest is taken.
	Metric  string
	With    map[string][]string // label → values, one of which it has; nil: all
	Highest bool
	// Unit is what a value is in: "" for things that are counted, "s" for seconds.
	Unit string
}

// Config says what is kept and where.
type Config struct {
	// Path is the file; its folder exists. Required.
	Path string
	// Gatherer has the metrics. Required.
	Gatherer prometheus.Gatherer
	// Figures are what is kept. Required.
	Figures []Figure
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told of a file that cannot be read or written. Required.
	Logger *slog.Logger
}

const (
	// sampleEvery is also the step of the finest ring.
	sampleEvery = 10 * time.Second
	saveEvery   = time.Minute
)

// Keeper keeps figures. Safe for concurrent use.
type Keeper struct {
	cfg    Config
	source *source

	mu    sync.Mutex // guards what follows
	kept  kept
	last  time.Time // of the last sample, at first of New
	fault string    // why the file could not be written; "": it could
}

// kept is all that is kept: the figures' buckets and the rings.
type kept struct {
	figures []Figure
	bounds  [][]float64 // by figure: upper bounds of a Spread's buckets, nil until known
	rings   []*ring     // finest first
}

// New returns a keeper that starts nothing. It reads the file: one that is torn, or not
// of this format, is put aside, and the past begins anew.
func New(cfg Config) *Keeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k := &Keeper{cfg: cfg, source: newSource(cfg.Gatherer, cfg.Figures), last: cfg.Now()}
	k.kept = newKept(cfg.Figures)
	k.load()
	return k
}

// newKept returns empty rings: 10 s for an hour, 1 min for a day, 15 min for 30 days.
func newKept(figures []Figure) kept {
	return kept{figures: figures, bounds: make([][]float64, len(figures)), rings: []*ring{
		newRing(sampleEvery, 360, figures),
		newRing(time.Minute, 24*60, figures),
		newRing(15*time.Minute, 30*24*4, figures),
	}}
}

// Run samples and saves until ctx ends, and once more then. It returns nil: figures are
// no reason for a process to end.
func (k *Keeper) Run(ctx context.Context) error {
	saved := k.cfg.Now()
	for {
		timer := time.NewTimer(k.untilNext())
		select {
		case <-ctx.Done():
			timer.Stop()
			k.Sample()
			k.save(context.WithoutCancel(ctx))
			return nil
		case <-timer.C:
		}
		k.Sample()
		if now := k.cfg.Now(); now.Sub(saved) >= saveEvery {
			k.save(ctx)
			saved = now
		}
	}
}

// untilNext returns how long it is to the end of the step that runs: samples are taken
// there, so that each falls whole into its slot.
func (k *Keeper) untilNext() time.Duration {
	now := k.cfg.Now()
	wait := now.Truncate(sampleEvery).Add(sampleEvery).Sub(now)
	if wait < sampleEvery/10 { // a timer that was a little early
		wait += sampleEvery
	}
	return wait
}

// Sample asks the metrics and adds what they say to the rings. Run calls it.
func (k *Keeper) Sample() {
	sample := k.source.sample()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Now()
	sample.seconds = now.Sub(k.last).Seconds() // by the monotonic clock
	k.last = now
	if sample.seconds <= 0 {
		return
	}
	// It tells of the time since the one before: it belongs where the middle of that is.
	middle := now.Add(-time.Duration(min(sample.seconds, sampleEvery.Seconds()) / 2 * float64(time.Second)))
	for i, s := range sample.spreads {
		if s != nil {
			k.kept.adopt(i, s.bounds)
		}
	}
	for _, r := range k.kept.rings {
		r.add(middle, sample)
	}
}

// adopt takes the bounds of a figure's buckets. Where they were others, as before an
// upgrade, what was kept of it says nothing any more.
func (k *kept) adopt(figure int, bounds []float64) {
	if equal(k.bounds[figure], bounds) {
		return
	}
	k.bounds[figure] = bounds
	for _, r := range k.rings {
		r.spreads[figure] = make([]uint32, r.slots()*(len(bounds)+1))
	}
}

func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}
