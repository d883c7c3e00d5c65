package policy_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// slow is a hook that heeds its context.
func slow(ctx context.Context, _ hooks.Action) (hooks.Outcome, error) {
	<-ctx.Done()
	return hooks.Outcome{}, ctx.Err()
}

// Each hook has its share of the deadline, so that all come to their turn: of six
// hooks, one at once, one that is slow costs the others nothing.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		w := newWorld(t, "", func(cfg *policy.Config) {
			cfg.Parallel = 1
			cfg.Hooks["a"], cfg.Hooks["c"] = hooks.Func(slow), hooks.Func(slow)
		}, names...)
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		begun := time.Now()
		if err := w.Handle(ctx, revoked("x")); err == nil || ctx.Err() != nil {
			t.Errorf("got error %v and %v, want one before the deadline", err, ctx.Err())
		}
		w.wants(t, "x", "a end failed", "b end done", "c end failed", "d end done", "e end done", "f end done")
		if took := time.Since(begun); took < time.Second || took > 2*time.Second {
			t.Errorf("got %v for two slow hooks of six in 6 s, want a share of less than a second each", took)
		}
	})
}

// No more than Parallel run at once, and that many do.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		busy := hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			now.Add(-1)
			return hooks.Outcome{}, nil
		})
		names := []string{"a", "b", "c", "d", "e"}
		w := newWorld(t, "", func(cfg *policy.Config) {
			cfg.Parallel = 2
			for _, name := range names {
				cfg.Hooks[name] = busy
			}
		}, names...)
		begun := time.Now()
		w.done(t, revoked("x"))
		if took := time.Since(begun); most.Load() != 2 || took != 3*time.Second {
			t.Errorf("got %d at once and %v, want 2 and 3s", most.Load(), took)
		}
	})
}

// A hook that does not heed its context is left to itself: it fails, the others do
// their part, and it is not asked any more while too many of its calls still run.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		hang := hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) {
			calls.Add(1)
			<-release
			return hooks.Outcome{}, nil
		})
		w := newWorld(t, "", func(cfg *policy.Config) {
			cfg.HookTimeout, cfg.Hooks["a"] = time.Second, hang
		}, "a", "b")
		for n := range 10 {
			begun := time.Now()
			err := w.Handle(t.Context(), revoked("x"))
			if err == nil || time.Since(begun) > time.Second {
				t.Errorf("attempt %d: got error %v after %v, want one within a second", n, err, time.Since(begun))
			}
			want := "did not answer within 1s"
			if n >= 8 {
				want = "8 calls did not end"
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("attempt %d: got error %v, want %q", n, err, want)
			}
		}
		w.wants(t, "x", "a end failed", "b end done")
		if n := calls.Load(); n != 8 {
			t.Errorf("got %d calls, want 8", n)
		}
		close(release)
		synctest.Wait()
		w.done(t, revoked("x"))
	})
}

// What a shutdown interrupts is no failure of the hook.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", func(cfg *policy.Config) { cfg.Hooks["a"] = hooks.Func(slow) }, "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := w.Handle(ctx, revoked("x")); err == nil {
			t.Error("got no error, want one")
		}
		w.wants(t, "x", "b end done")
	})
}

// The observer is told of every asking, with labels that are bounded.
func TestObserver(t *testing.T) {
	seen := &observer{}
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.Observer = seen }, "a")
	w.done(t, revoked("x"))
	w.done(t, revoked("x")) // nobody is asked
	w.hooks["a"].answer = fails(9, hooks.ErrNotApplicable)
	w.done(t, revoked("y"))
	want := "a end done\na end skipped\n end unmet\n"
	if got := seen.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// observer writes down what it is told.
type observer struct{ strings.Builder }

func (o *observer) Asked(hook string, effect hooks.Effect, verdict journal.Verdict, _ time.Duration) {
	o.WriteString(hook + " " + string(effect) + " " + string(verdict) + "\n")
}
