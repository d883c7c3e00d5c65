package rediskeeper_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/keeper/rediskeeper"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must come, on a machine that is busy.
const patience = 20 * time.Second

// process is one of several.
type process struct {
	*rediskeeper.Turns
	stop func()
}

func start(t *testing.T, cfg redisdb.Config) *process {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	wakes := redisdb.NewWakes(db, nil)
	turns, err := rediskeeper.New(db, wakes, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = wakes.Run(ctx) })
	running.Go(func() {
		if err := turns.Run(ctx); err != nil {
			t.Errorf("turns: %v", err)
		}
	})
	p := &process{turns, sync.OnceFunc(func() { cancel(); running.Wait(); _ = db.Close() })}
	t.Cleanup(p.stop)
	return p
}

// names are of many transmitters.
func names() (list []string) {
	for n := range 40 {
		list = append(list, fmt.Sprint("issuer-", n))
	}
	return list
}

// table says who has which turn.
type table struct {
	mu  sync.Mutex
	who map[string]string
	t   *testing.T
}

func (b *table) set(name, from, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.who[name] != from {
		b.t.Errorf("%s: got the turn of %q beside that of %q", name, to, b.who[name])
	}
	b.who[name] = to
}

func (b *table) count(who string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.who {
		if w == who {
			n++
		}
	}
	return n
}

func (b *table) until(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within %v; got %v", what, patience, b.who)
		}
	}
}

// One process at a time has the turn of a transmitter; processes share them out, and one
// that ends hands its own on at once.
func TestTurns(t *testing.T) {
	cfg := redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true}
	b := &table{who: map[string]string{}, t: t}
	run := func(who string) (stop func()) {
		p := start(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		for _, name := range names() {
			running.Go(func() {
				p.Of(name).Turn(ctx, func(ctx context.Context) {
					b.set(name, "", who)
					<-ctx.Done()
					b.set(name, who, "")
				})
			})
		}
		stop = sync.OnceFunc(func() { cancel(); running.Wait(); p.stop() })
		t.Cleanup(stop)
		return stop
	}
	stopA := run("a")
	b.until("a has all turns", func() bool { return b.count("a") == len(names()) })
	run("b")
	b.until("b has a share", func() bool { return b.count("b") > 0 && b.count("a") > 0 && b.count("") == 0 })
	began := time.Now()
	stopA()
	b.until("b has all turns", func() bool { return b.count("b") == len(names()) })
	if took := time.Since(began); took > redisdb.DefaultLease {
		t.Errorf("got the turns of who left after %v, want them at once", took)
	}
}

// What one keeps in place of what it knows the others see, and are told; who knows
// something older keeps nothing.
func TestState(t *testing.T) {
	for name, cfg := range map[string]redisdb.Config{
		"single":  {URL: "redis://" + redistest.Start(t).Addr, Volatile: true},
		"cluster": {URL: "redis://" + redistest.StartCluster(t).Addr, Cluster: true, Volatile: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, cfg).Of("okta"), start(t, cfg).Of("okta")
			swap := func(s keeper.Shared, last, next []byte, want bool) {
				t.Helper()
				if kept, err := s.Swap(t.Context(), last, next); err != nil || kept != want {
					t.Errorf("%s for %s: got %v %v, want %v", next, last, kept, err, want)
				}
			}
			if got, err := b.Load(t.Context()); err != nil || got != nil {
				t.Errorf("got %q %v at first, want nothing", got, err)
			}
			swap(a, nil, []byte("one"), true)
			for got := ""; got != "one"; {
				select {
				case <-b.Changed():
				case <-time.After(patience):
					t.Fatal("got no word of the change")
				}
				raw, err := b.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = string(raw)
			}
			swap(b, nil, []byte("two"), false)
			swap(b, []byte("one"), []byte("two"), true)
			swap(b, []byte("one"), []byte("two"), true) // sent twice
			swap(a, []byte("one"), []byte("three"), false)
			if _, err := a.Swap(t.Context(), []byte("two"), []byte(strings.Repeat("x", rediskeeper.MaxStateBytes+1))); err == nil {
				t.Error("got no error for a state that is too long")
			}
			if got, err := a.Load(t.Context()); err != nil || string(got) != "two" {
				t.Errorf("got %q %v, want two", got, err)
			}
		})
	}
}
