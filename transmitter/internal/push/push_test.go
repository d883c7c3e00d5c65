package push_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// PUSH-2-05, contracts.md §5: the whole schedule, one probe at a time.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(500, "") }, func(c *push.Config) { c.GiveUp = 30 * 24 * time.Hour })
		w.put("s", 3, nil)
		after(24 * time.Hour)
		var want []time.Duration
		at := time.Duration(0)
		want = append(want, at, at, at) // the window, before anything is known
		for _, step := range []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 6 * time.Hour,
		} {
			at += step
			want = append(want, at)
		}
		if got := w.times(); !slices.Equal(got, want) {
			t.Errorf("times of attempts: got %v, want %v", got, want)
		}
		for _, jti := range w.jtis()[3:] {
			if jti != "s1" {
				t.Errorf("probe: got %s, want s1, the oldest", jti)
			}
		}
		if len(w.paused) > 0 {
			t.Errorf("the stream was paused: %s", <-w.paused)
		}
	})
}

// A stream without one success for so long is paused with the reason, once.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return nil }, nil)
		w.put("s", 1, nil)
		after(4 * 24 * time.Hour)
		if len(w.paused) > 0 {
			t.Fatalf("paused after 4 days: %s", <-w.paused)
		}
		after(2 * 24 * time.Hour)
		if len(w.paused) != 1 {
			t.Fatalf("pauses after 6 days: got %d, want 1", len(w.paused))
		}
		if reason := <-w.paused; !strings.Contains(reason, "network") {
			t.Errorf("reason: got %q, want the last failure in it", reason)
		}
		if d := w.depth(); d.Items != 1 || d.Dead != 0 {
			t.Errorf("depth: got %+v, want the SET held", d)
		}
	})
}

// One 500, one timeout, one refused connection: retried, the stream stays enabled.
func TestOneFailure(t *testing.T) {
	for name, first := range map[string]func() *http.Response{
		"500":     func() *http.Response { return reply(500, "") },
		"refused": func() *http.Response { return nil },
		"timeout": func() *http.Response { <-time.After(time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var once sync.Once
				w := newWorld(t, func(post) *http.Response {
					var resp *http.Response
					failed := false
					once.Do(func() { resp, failed = first(), true })
					if failed {
						return resp
					}
					return reply(202, "")
				}, nil)
				w.put("s", 1, nil)
				after(2 * time.Minute)
				if got := w.jtis(); len(got) != 2 {
					t.Errorf("attempts: got %v, want 2", got)
				}
				if d := w.depth(); d.Items != 0 || d.Dead != 0 || len(w.paused) > 0 {
					t.Errorf("depth: got %+v, want it delivered and the stream enabled", d)
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"seconds", "600", 10 * time.Minute},
		{"bounded by an hour", "90000", time.Hour},
		{"shorter than the step", "1", 5 * time.Second},
		{"not a number", "soon", 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(p post) *http.Response {
					if p.at > 0 {
						return reply(202, "")
					}
					resp := reply(429, "")
					resp.Header.Set("Retry-After", c.value)
					return resp
				}, nil)
				w.put("s", 1, nil)
				after(2 * time.Hour)
				if got := w.times(); len(got) != 2 || got[1] != c.want {
					t.Errorf("attempts: got %v, want the second at %v", got, c.want)
				}
			})
		})
	}
}

// One 400 invalid_request: that SET alone is set aside, the rest goes on.
func TestRefusedSET(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			if p.jti == "s2" {
				return reply(400, `{"err":"invalid_request","description":"no"}`)
			}
			return reply(202, "")
		}, nil)
		w.put("s", 3, nil)
		after(time.Second)
		if got := w.jtis(); len(got) != 3 {
			t.Errorf("attempts: got %v, want each once", got)
		}
		letters, _, err := w.store.DeadLetters(t.Context(), "s", "", 10)
		if err != nil || len(letters) != 1 || letters[0].ID != "s2" || letters[0].Code != "invalid_request" {
			t.Errorf("dead letters: got %+v %v, want s2 alone", letters, err)
		}
		if d := w.depth(); d.Items != 0 {
			t.Errorf("depth: got %+v, want nothing left", d)
		}
	})
}

// Twenty refused SETs in a row pause the stream; a success between them does not.
func TestRefusals(t *testing.T) {
	refuse := func(post) *http.Response { return reply(400, `{"err":"invalid_audience"}`) }
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, refuse, func(c *push.Config) { c.Window = 1 })
		w.put("s", 25, nil)
		after(time.Second)
		if got := len(w.jtis()); got != 20 {
			t.Errorf("attempts: got %d, want 20", got)
		}
		if len(w.paused) != 1 {
			t.Errorf("pauses: got %d, want 1", len(w.paused))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			if p.jti == "s15" {
				return reply(202, "")
			}
			return refuse(p)
		}, func(c *push.Config) { c.Window = 1 })
		w.put("s", 25, nil)
		after(time.Second)
		if got := len(w.jtis()); got != 25 || len(w.paused) != 0 {
			t.Errorf("got %d attempts and %d pauses, want 25 and none", got, len(w.paused))
		}
	})
}

// invalid_key alone is retried per SET: three times within ten minutes, while
// others go on.
func TestInvalidKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			if p.jti == "s1" {
				return reply(400, `{"err":"invalid_key"}`)
			}
			return reply(202, "")
		}, nil)
		w.put("s", 2, nil)
		after(10 * time.Minute)
		var tries int
		for _, jti := range w.jtis() {
			if jti == "s1" {
				tries++
			}
		}
		if tries != 3 {
			t.Errorf("tries: got %d, want 3", tries)
		}
		if d := w.depth(); d.Items != 0 || d.Dead != 1 {
			t.Errorf("depth: got %+v, want one dead letter", d)
		}
	})
}

// 410 and a forbidden address pause at once; what waits is held.
func TestPausedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(410, "") }, nil)
		w.put("s", 2, nil)
		after(time.Hour)
		if len(w.paused) != 1 || len(w.jtis()) != 2 {
			t.Errorf("410: got %d pauses, %d attempts; want 1 and 2", len(w.paused), len(w.jtis()))
		}
		if d := w.depth(); d.Items != 2 {
			t.Errorf("depth: got %+v, want both held", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return nil }, func(c *push.Config) {
			c.Blocked = func(err error) bool { return errors.Is(err, errRefused) }
		})
		w.put("s", 1, nil)
		after(time.Hour)
		if len(w.paused) != 1 {
			t.Errorf("blocked: got %d pauses, want 1", len(w.paused))
		}
	})
}

// U20: any 2xx is a delivery.
func TestSuccess(t *testing.T) {
	for _, status := range []int{200, 202, 204} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(post) *http.Response { return reply(status, "") }, nil)
			w.put("s", 1, nil)
			after(time.Minute)
			if d := w.depth(); d.Items != 0 || d.Dead != 0 || len(w.jtis()) != 1 {
				t.Errorf("%d: got %+v after %v", status, d, w.jtis())
			}
		})
	}
}

// PUSH-2.1-01, SSF-6.1.1-02: the fields of a push.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(202, "") }, nil)
		w.put("s", 1, nil)
		after(time.Second)
		h := w.posts[0].header
		for name, want := range map[string]string{
			"Content-Type": "application/secevent+jwt", "Accept": "application/json", "Authorization": "Bearer secret",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
}

// SSF-8.1.2.1-05: SETs with one order key never travel side by side, and none
// overtakes one that must be tried again.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			<-time.After(time.Second)
			if p.jti == "s3" && p.at < 5*time.Second {
				return reply(503, "")
			}
			return reply(202, "")
		}, nil)
		w.put("s", 6, func(int) string { return "jo" })
		after(time.Minute)
		if w.most != 1 {
			t.Errorf("in flight: got %d, want 1", w.most)
		}
		if got, want := w.jtis(), []string{"s1", "s2", "s3", "s3", "s4", "s5", "s6"}; !slices.Equal(got, want) {
			t.Errorf("order: got %v, want %v", got, want)
		}
	})
}

// A window per stream; a receiver that hangs costs another stream nothing.
func TestWindowAndIsolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			if strings.HasPrefix(p.jti, "slow") {
				<-time.After(14 * time.Second)
			}
			return reply(202, "")
		}, func(c *push.Config) { c.Window = 4 }, "slow")
		w.put("slow", 100, nil)
		after(time.Second)
		if w.most != 4 {
			t.Errorf("in flight: got %d, want the window, 4", w.most)
		}
		w.put("s", 50, nil)
		after(time.Second)
		if d := w.depth(); d.Items != 0 {
			t.Errorf("the other stream: got %+v, want all delivered", d)
		}
	})
}

// A change of the endpoint counts for the next push; a stream that is polled
// is not pushed.
func TestDeliveryChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response { return reply(500, "") }, nil)
		w.put("s", 1, nil)
		after(time.Second)
		_, err := w.store.Update(t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
			s.Delivery = streams.Delivery{Method: delivery.MethodPoll, EndpointURL: "https://t.example/ssf/poll/s"}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		if got := len(w.jtis()); got != 1 {
			t.Errorf("pushes after the change to poll: got %d, want 1 from before", got)
		}
		if d := w.depth(); d.Items != 1 || d.Leased != 0 {
			t.Errorf("depth: got %+v, want the SET there for a poll", d)
		}
	})
}

// The table of U22 with contracts.md §5.
func TestJudge(t *testing.T) {
	codes := []delivery.Code{
		"", delivery.CodeInvalidRequest, delivery.CodeInvalidKey, delivery.CodeInvalidIssuer, delivery.CodeInvalidAudience,
		delivery.CodeAuthenticationFailed, delivery.CodeAccessDenied, delivery.CodeInvalidState, "something_new",
	}
	want400 := map[delivery.Code]push.Judgement{
		delivery.CodeInvalidKey: push.RetryKey, delivery.CodeAuthenticationFailed: push.BackOff, delivery.CodeAccessDenied: push.BackOff,
	}
	for status := 100; status <= 599; status++ {
		for _, code := range codes {
			want := push.BackOff
			switch {
			case status >= 200 && status < 300:
				want = push.Accepted
			case status == 400:
				want = push.SetAside
				if special, ok := want400[code]; ok {
					want = special
				}
			case status == 410:
				want = push.PauseStream
			case status == 413, status == 415:
				want = push.SetAside
			}
			if got := push.Judge(status, code); got != want {
				t.Errorf("Judge(%d, %q): got %v, want %v", status, code, got, want)
			}
		}
	}
}
