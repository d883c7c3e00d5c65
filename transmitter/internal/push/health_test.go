package push_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

func (w *world) update(change func(*streams.Stream)) {
	w.t.Helper()
	_, err := w.store.Update(w.t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
		change(s)
		return nil, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) health() streams.Health {
	w.t.Helper()
	h, err := w.store.Health(w.t.Context(), "s")
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// oneLine is the order key of SETs that travel one after the other.
func oneLine(int) string { return "alice" }

// A stream that is enabled, or sent elsewhere, is due at once, whatever the
// back-off was.
func TestChangeEndsTheBackOff(t *testing.T) {
	for name, change := range map[string]func(*world){
		"new endpoint": func(w *world) {
			w.update(func(s *streams.Stream) { s.Delivery.EndpointURL = "https://new.example/s" })
		},
		"new authorization": func(w *world) {
			w.update(func(s *streams.Stream) { s.Delivery.AuthorizationHeader = "Bearer new" })
		},
		"paused and enabled": func(w *world) {
			w.update(func(s *streams.Stream) { s.Status = streams.Paused })
			w.update(func(s *streams.Stream) { s.Status = streams.Enabled })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mended := false
				w := newWorld(t, func(post) *http.Response {
					if mended {
						return reply(202, "")
					}
					return reply(500, "")
				}, nil)
				w.put("s", 1, nil)
				after(9 * time.Hour) // the next try is hours away
				mended = true
				change(w)
				after(time.Second)
				if d := w.depth(); d.Items != 0 {
					t.Errorf("got %d queued, due in %v; want it delivered at once", d.Items, time.Until(w.health().NextDue))
				}
			})
		})
	}
}

// A stream that was given up and is enabled again has the whole time anew.
func TestGiveUpBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(500, "") }, nil)
		w.put("s", 1, nil)
		after(6 * 24 * time.Hour)
		if len(w.paused) != 1 {
			t.Fatalf("pauses: got %d, want 1", len(w.paused))
		}
		w.update(func(s *streams.Stream) { s.Status = streams.Enabled })
		after(4 * 24 * time.Hour)
		if len(w.paused) != 1 {
			t.Errorf("pauses four days after it was enabled: got %d, want the one before", len(w.paused))
		}
		after(2 * 24 * time.Hour)
		if len(w.paused) != 2 {
			t.Errorf("pauses six days after it was enabled: got %d, want 2", len(w.paused))
		}
	})
}

// What an endpoint answers after the stream has left it counts against neither
// the stream nor the new endpoint.
func TestVerdictOfALeftEndpoint(t *testing.T) {
	for _, status := range []int{410, 500, 400} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			w := newWorld(t, func(post) *http.Response {
				if n++; n == 1 {
					<-time.After(10 * time.Second)
					return reply(status, "")
				}
				return reply(202, "")
			}, nil)
			w.put("s", 1, nil)
			after(5 * time.Second)
			w.update(func(s *streams.Stream) { s.Delivery.EndpointURL = "https://new.example/s" })
			after(6 * time.Second)
			if d := w.depth(); d.Items+d.Dead != 0 || len(w.paused) != 0 || w.health() != (streams.Health{}) {
				t.Errorf("%d: got %+v, %d pauses, health %+v; want it sent to the new endpoint", status, d, len(w.paused), w.health())
			}
		})
	}
}

// SETs refused in a row pause the stream also when they were in flight beside
// one that was accepted.
func TestRefusalsInAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		w := newWorld(t, func(p post) *http.Response {
			if p.jti == "s1" { // the first answer: refusals count from here
				return reply(202, "")
			}
			<-time.After(time.Duration(n.Add(1)) * time.Millisecond)
			return reply(400, `{"err":"invalid_audience"}`)
		}, nil)
		w.put("s", 1000, nil)
		after(time.Hour)
		// The window of 32 that was under way ends.
		if d := w.depth(); len(w.paused) != 1 || d.Dead < 20 || d.Dead > 20+32 {
			t.Errorf("got %d pauses, %d dead letters; want one pause at 20", len(w.paused), d.Dead)
		}
	})
}

// Attempts that failed otherwise leave a SET all its tries at invalid_key.
func TestInvalidKeyIsCountedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w := newWorld(t, func(post) *http.Response {
			switch n++; {
			case n <= 2:
				return reply(503, "")
			case n <= 4:
				return reply(400, `{"err":"invalid_key"}`)
			}
			return reply(202, "")
		}, nil)
		w.put("s", 1, nil)
		after(time.Hour)
		if d := w.depth(); d.Items+d.Dead != 0 || n != 5 {
			t.Errorf("got %+v after %d attempts, want it delivered at the fifth", d, n)
		}
	})
}

// SSF-8.1.2.1-04, SSF-8.1.1.5-02: of a window that was taken before the change
// nothing more begins to leave.
func TestChangeHoldsTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		key    func(int) string
	}{
		"disabled": {func(w *world) { w.update(func(s *streams.Stream) { s.Status = streams.Disabled; s.Epoch++ }) }, oneLine},
		"paused":   {func(w *world) { w.update(func(s *streams.Stream) { s.Status = streams.Paused }) }, oneLine},
		"deleted":  {func(w *world) { _ = w.store.Delete(context.Background(), "s") }, oneLine},
		"polled": {func(w *world) {
			w.update(func(s *streams.Stream) {
				s.Delivery = streams.Delivery{Method: delivery.MethodPoll, EndpointURL: "https://t.example/poll"}
			})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(post) *http.Response {
					<-time.After(10 * time.Second)
					return reply(202, "")
				}, nil)
				w.put("s", 64, c.key)
				after(5 * time.Second)
				before := len(w.jtis())
				c.change(w)
				after(time.Hour)
				if n := len(w.jtis()) - before; before == 0 || n > 0 {
					t.Errorf("got %d before and %d after, want some and none", before, n)
				}
			})
		})
	}
}

// idle is a store without work for whoever is not asked about.
type idle struct{ push.Store }

func (idle) Ready(ctx context.Context, _ int) ([]string, error) { <-ctx.Done(); return nil, ctx.Err() }

// An orderly end begins no request, waits for those under way and is no
// failure of the receiver's.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg push.Config
		w := newWorldOn(t, func(s push.Store) push.Store { return idle{s} }, func(post) *http.Response {
			<-time.After(10 * time.Second)
			return reply(202, "")
		}, func(c *push.Config) { cfg = *c })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- push.New(cfg).Run(ctx, w.store) }()
		w.put("s", 32, oneLine)
		after(5 * time.Second)
		before, began := len(w.jtis()), time.Now()
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v", err)
		}
		if n, took := len(w.jtis())-before, time.Since(began); before != 1 || n != 0 || took > 6*time.Second {
			t.Errorf("got %d requests before, %d after the end, which took %v; want 1, 0, 5s", before, n, took)
		}
		if h, d := w.health(), w.depth(); h != (streams.Health{}) || d.Items != 31 || d.Leased != 0 {
			t.Errorf("got health %+v, depth %+v; want none, 31 in their places", h, d)
		}
	})
}

// A run that ends while a stream is woken leaves nothing behind that keeps the next one
// from its work.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg push.Config
		w := newWorldOn(t, func(s push.Store) push.Store { return idle{s} }, func(post) *http.Response {
			<-time.After(10 * time.Second)
			return reply(202, "")
		}, func(c *push.Config) { cfg = *c })
		p := push.New(cfg)
		run := func() (end func()) {
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- p.Run(ctx, w.store) }()
			return func() {
				stop()
				if err := <-done; err != nil {
					t.Errorf("Run: got %v", err)
				}
			}
		}
		end := run()
		w.put("s", 1, nil)
		after(5 * time.Second)
		w.put("s", 2, nil) // wakes the worker, whose request is under way
		after(time.Second)
		end()
		w.put("s", 3, nil)
		end = run()
		after(time.Minute)
		end()
		if d := w.depth(); d.Items != 0 {
			t.Errorf("got %d items left, want none", d.Items)
		}
	})
}

// While nothing can be signed the SETs wait: no attempt and no failure is counted against
// the receiver, nothing is asked over and over, and all leaves in order once it can be.
func TestNothingIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(202, "") }, nil, "t")
		w.signing(false)
		w.put("s", 40, oneLine)
		after(30 * 24 * time.Hour)
		if d := w.depth(); d.Items != 40 || d.Dead != 0 || len(w.jtis()) != 0 {
			t.Errorf("unsigned: got %+v and %d posts, want all to wait", d, len(w.jtis()))
		}
		if h := w.health(); h != (streams.Health{}) {
			t.Errorf("unsigned: got the health %+v, want none that is bad", h)
		}
		w.signing(true)
		after(time.Second)
		got := w.jtis()
		if d := w.depth(); d.Items != 0 || len(got) != 40 || got[0] != "s1" || got[39] != "s40" {
			t.Errorf("signed: got %d left and %q, want all in order", d.Items, got)
		}
		// It may go away at any moment, with what was taken, and while the stream ends.
		w.leaves = 6
		w.put("t", 20, oneLine)
		after(time.Hour)
		h, err := w.store.Health(t.Context(), "t")
		if got := w.jtis(); err != nil || len(got) != 45 || h != (streams.Health{}) {
			t.Errorf("gone amid: got %d posts and the health %+v (%v), want 5 more and none that is bad", len(got), h, err)
		}
		w.signing(true)
		after(time.Second)
		if got := w.jtis(); len(got) != 60 || got[45] != "t6" || got[59] != "t20" {
			t.Errorf("back: got %q, want all in order", got[40:])
		}
		w.signing(false)
		w.put("s", 41, nil)
		after(time.Second)
		w.update(func(s *streams.Stream) { s.Status = streams.Paused })
		w.signing(true)
		after(time.Hour)
		if got := w.jtis(); len(got) != 60 {
			t.Errorf("paused meanwhile: got %d posts, want 60", len(got))
		}
	})
}
