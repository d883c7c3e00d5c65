//go:build linux

// Package soak_test runs a transmitter and receivers of it under a steady load while one
// fault after the other, drawn from a seed that is told, is done to them and to what is
// between them, and then asks whether anything was lost, changed, left behind or told.
package soak_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// How long each half of a soak is: in which processes die, and in which they live on.
// TOCSIN_SOAK gives another, such as 30m; TOCSIN_SOAK_SEED does the same faults again.
const (
	shortSoak = 3 * time.Second
	longSoak  = 90 * time.Second
	senders   = 3
)

func TestSoak(t *testing.T) {
	t.Parallel()
	soak(t, false)
}

func TestSoakOnRedis(t *testing.T) {
	t.Parallel()
	soak(t, true)
}

func soak(t *testing.T, onRedis bool) {
	half, seed := shortSoak, rand.Uint64()
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		half = longSoak
	}
	if text := os.Getenv("TOCSIN_SOAK"); text != "" {
		var err error
		if half, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("TOCSIN_SOAK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TOCSIN_SOAK_SEED=%d", seed)
	w := newWorld(t, onRedis)
	f := &faults{world: w, Rand: rand.New(rand.NewPCG(seed, 8936)), long: half >= longSoak}

	f.during(half, deaths())
	w.arrived()
	before := w.atRest()
	f.during(half, troubles())
	w.arrived()
	after := w.atRest()

	for _, l := range w.receivers {
		w.load.JudgeTold(t, l.told(t))
	}
	w.judgeLevels(before, after)
	w.judgeFiles()
	w.judgeLog()
	t.Logf("faults: %v", f.done)
}

// during lets the senders send for so long, and does one fault after the other meanwhile;
// at its end all is well again, and every sender knows the fate of its events.
func (f *faults) during(half time.Duration, kinds []kind) {
	f.Helper()
	ctx, stop := context.WithCancel(f.Context())
	defer stop()
	var sending sync.WaitGroup
	for i := range senders {
		f.senders++
		name := f.senders*10 + i // subjects and ids of its own
		sending.Go(func() { f.load.SendAll(ctx, name) })
	}
	for end := time.Now().Add(half); time.Now().Before(end); {
		f.one(kinds[f.IntN(len(kinds))])
		proctest.Pause(time.Duration(20+f.IntN(150)) * time.Millisecond)
	}
	f.heal()
	stop()
	sending.Wait()
}
