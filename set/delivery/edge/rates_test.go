package edge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// clock is a time that stands still until it is moved.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// Ten seconds' worth may come at once, then so many a second; what was refused is told
// when to come again, and is let in then. One key costs no other.
func TestRates(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	r := edge.NewRates[string](5, c.now)
	for i := range 50 {
		if _, ok := r.Take("a"); !ok {
			t.Fatalf("request %d: got it refused, want 50 at once", i)
		}
	}
	wait, ok := r.Take("a")
	if ok || wait <= 0 || wait > 200*time.Millisecond {
		t.Errorf("the 51st: got allowed %t, wait %v, want it refused for at most 200 ms", ok, wait)
	}
	if _, spent := r.Spent("a"); !spent {
		t.Error("got it not spent")
	}
	if _, ok := r.Take("b"); !ok {
		t.Error("another key: got it refused")
	}
	c.at = c.at.Add(wait)
	if _, spent := r.Spent("a"); spent {
		t.Error("after the wait: got it spent")
	}
	if _, ok := r.Take("a"); !ok {
		t.Error("after the wait: got it refused")
	}
	if _, ok := r.Take("a"); ok {
		t.Error("right behind it: got it allowed")
	}
}

// Off is no limit at all.
func TestRatesOff(t *testing.T) {
	for _, perSecond := range []float64{0, -1} {
		r := edge.NewRates[string](perSecond, nil)
		for range 100_000 {
			if _, ok := r.Take("a"); !ok {
				t.Fatal("got a request refused")
			}
		}
		if _, spent := r.Spent("a"); spent {
			t.Error("got it spent")
		}
	}
}

// However many keys there are, what is remembered is bounded; who comes again and again
// meanwhile is not forgotten.
func TestRatesMemory(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	r := edge.NewRates[netip.Addr](1, c.now)
	busy := netip.MustParseAddr("203.0.113.1")
	for range 10 {
		r.Take(busy)
	}
	for i := range 1 << 18 {
		r.Take(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}))
		if i%10_000 == 0 {
			if _, ok := r.Take(busy); ok {
				t.Fatalf("after %d others: got it allowed, want it remembered", i)
			}
		}
	}
	if got := r.Known(); got > 1<<15 {
		t.Errorf("got %d keys kept, want at most %d", got, 1<<15)
	}
}

// Callers may come at the same time.
func TestRatesTogether(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	r := edge.NewRates[string](10, c.now)
	var mu sync.Mutex
	allowed := 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				r.Spent(fmt.Sprint(i))
				if _, ok := r.Take("a"); ok {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if allowed != 100 {
		t.Errorf("got %d allowed, want 100", allowed)
	}
}

// What fails is counted by address; what succeeds never is, and others are not held up.
func TestFailing(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	asked, limited := 0, 0
	h := edge.Failing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/bad":
			w.WriteHeader(http.StatusBadRequest)
		case "/ours":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}), edge.NewRates[netip.Prefix](1, c.now), func() { limited++ })
	do := func(path, from string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for range 100 {
		if got := do("/good", "[2001:db8::1]:1").StatusCode; got != http.StatusAccepted {
			t.Fatalf("good: got %d", got)
		}
		if got := do("/ours", "[2001:db8::1]:1").StatusCode; got != http.StatusServiceUnavailable {
			t.Fatalf("a failure of ours: got %d", got)
		}
	}
	for range 10 {
		if got := do("/bad", "[2001:db8::1]:1").StatusCode; got != http.StatusBadRequest {
			t.Fatalf("bad: got %d, want 400", got)
		}
	}
	before := asked
	resp := do("/good", "[2001:db8::ffff]:2") // another address of the same network
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" || asked != before {
		t.Errorf("got %d, Retry-After %q, asked %d times more, want 429 after 1 s without asking", resp.StatusCode, resp.Header.Get("Retry-After"), asked-before)
	}
	if limited != 1 {
		t.Errorf("got %d times told, want once", limited)
	}
	for _, from := range []string{"[2001:db8:0:1::1]:1", "203.0.113.1:1", "@"} {
		if got := do("/good", from).StatusCode; got != http.StatusAccepted {
			t.Errorf("%s: got %d, want 202", from, got)
		}
	}
	c.at = c.at.Add(time.Second)
	if got := do("/good", "[2001:db8::1]:1").StatusCode; got != http.StatusAccepted {
		t.Errorf("a second later: got %d, want 202", got)
	}
}

// What is refused is not counted, also of many who come at once: when the storm is over the
// next is let in as soon as if nobody had been refused.
func TestRatesStorm(t *testing.T) {
	now := time.Now()
	rates := edge.NewRates[string](10, func() time.Time { return now })
	var let atomic.Int64
	var storm sync.WaitGroup
	for range 8 {
		storm.Go(func() {
			for range 5000 {
				wait, ok := rates.Take("a")
				if ok {
					let.Add(1)
				} else if wait > 100*time.Millisecond {
					t.Errorf("got a wait of %v, want 100ms at most", wait)
					return
				}
			}
		})
	}
	storm.Wait()
	if let.Load() != 100 {
		t.Errorf("got %d let in, want ten seconds' worth", let.Load())
	}
	if wait, _ := rates.Take("a"); wait != 100*time.Millisecond {
		t.Errorf("after the storm: got a wait of %v, want 100ms", wait)
	}
}
