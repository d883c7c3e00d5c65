package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// queue is a transmitter's poll endpoint that hands out everything not acknowledged,
// and waits up to a minute for something to hand out.
type queue struct {
	t        *testing.T
	mu       sync.Mutex
	sets     []delivery.PollSet
	refused  map[string]delivery.Failure
	requests []delivery.PollRequest
	times    []time.Time
	// before, if set, may answer in the queue's stead, by the number of the request
	// from 1; it sees what the request acknowledged.
	before func(n int, req *http.Request) (*http.Response, error)
	// instant makes it answer at once whatever is asked.
	instant bool
	// deaf makes it ignore acknowledgements.
	deaf atomic.Bool
	// after, if set, loses or keeps the answer to request n.
	after func(n int) error
}

func newQueue(t *testing.T) *queue { return &queue{t: t, refused: map[string]delivery.Failure{}} }

func (q *queue) add(id, compact string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sets = append(q.sets, delivery.PollSet{ID: id, SET: compact})
}

func (q *queue) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	poll, err := delivery.ParsePollRequest(body)
	if err != nil {
		q.t.Errorf("got a malformed poll %s: %v", body, err)
	}
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" { // POLL-2-01
		q.t.Errorf("got %s with %q, want a POST of JSON", req.Method, req.Header.Get("Content-Type"))
	}
	if language := req.Header.Get("Content-Language"); (len(poll.SetErrs) > 0) != (language == "en") { // POLL-2.6-01
		q.t.Errorf("got Content-Language %q with %d setErrs", language, len(poll.SetErrs))
	}
	n := q.note(poll)
	if q.before != nil {
		if resp, err := q.before(n, req); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := q.answer(req.Context(), poll)
	if err == nil && q.after != nil {
		err = q.after(n)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// note applies what a request owes and returns its number.
func (q *queue) note(poll delivery.PollRequest) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests, q.times = append(q.requests, poll), append(q.times, time.Now())
	q.sets = slices.DeleteFunc(q.sets, func(s delivery.PollSet) bool {
		failure, refused := poll.SetErrs[s.ID]
		if refused {
			q.refused[s.ID] = failure
		}
		return refused || slices.Contains(poll.Ack, s.ID) && !q.deaf.Load()
	})
	return len(q.requests)
}

func (q *queue) answer(ctx context.Context, poll delivery.PollRequest) (*http.Response, error) {
	for waited := 0; ; waited++ {
		q.mu.Lock()
		answer := delivery.PollResponse{Sets: slices.Clone(q.sets)}
		q.mu.Unlock()
		if *poll.MaxEvents < len(answer.Sets) {
			answer.Sets, answer.MoreAvailable = answer.Sets[:*poll.MaxEvents], true
		}
		if len(answer.Sets) > 0 || poll.ReturnImmediately || q.instant || waited == 60 {
			body, err := json.Marshal(answer)
			return respond(http.StatusOK, string(body), "Content-Type", "application/json"), err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// left returns the ids that are still on the queue.
func (q *queue) left() (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.sets {
		ids = append(ids, s.ID)
	}
	return ids
}

func (q *queue) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.requests)
}

// polled runs a test under virtual time with a receiver that polls q.
func polled(t *testing.T, change func(*receiver.Config), test func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, in inbox.Inbox)) {
	t.Helper()
	rec := &recorder{}
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Poll = &receiver.Poll{
			Endpoint: issuer + "/poll/stream-1?stream_id=stream-1", HTTP: &http.Client{Transport: q},
			Token: func(context.Context) (string, error) { return "t0ken", nil },
		}
		if change != nil {
			change(&cfg)
		}
		test(t, build(t, cfg), q, rec, cfg.Inbox)
	})
}

// POLL-2.4-03, POLL-2.4.3-01: everything arrives once, in the order of the answer,
// and is acknowledged with the next poll.
func TestPoll(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, in inbox.Inbox) {
		q.before = func(_ int, req *http.Request) (*http.Response, error) {
			if got := req.Header.Get("Authorization"); got != "Bearer t0ken" {
				t.Errorf("got Authorization %q, want the token", got)
			}
			if got := req.URL.String(); got != issuer+"/poll/stream-1?stream_id=stream-1" { // OIDF-08
				t.Errorf("got poll of %s, want the endpoint whole", got)
			}
			return nil, nil
		}
		var want []string
		for i := range 250 {
			id := fmt.Sprintf("m%d", 249-i) // not the order of their names
			q.add(id, sign(t, builder(id)))
			want = append(want, id)
		}
		stop := running(t, r)
		<-time.After(time.Second)
		if left := q.left(); len(left) != 0 {
			t.Errorf("got %d SETs not acknowledged, want 0", len(left))
		}
		q.add("late", sign(t, builder("late")))
		<-time.After(2 * time.Second)
		stop()
		rec.want(t, append(want, "late")...)
		if n := q.count(); n > 8 {
			t.Errorf("got %d requests, want long polls: about one per answer", n)
		}
		acks := 0
		for _, poll := range q.requests {
			acks += len(poll.Ack)
			if *poll.MaxEvents > receiver.DefaultMaxEvents {
				t.Errorf("got maxEvents %d, want at most %d", *poll.MaxEvents, receiver.DefaultMaxEvents)
			}
		}
		if most := len(want) + 2; acks > most { // the last one may be repeated when Run ends
			t.Errorf("got %d acknowledgements, want at most %d", acks, most)
		}
	})
}

// brokenInbox fails to append as long as it is told to.
type brokenInbox struct {
	inbox.Inbox
	broken *atomic.Bool
}

func (b brokenInbox) Append(ctx context.Context, messages ...inbox.Message) ([]inbox.Appended, error) {
	if b.broken.Load() {
		return nil, errors.New("disk full")
	}
	return b.Inbox.Append(ctx, messages...)
}

// POLL-2.4-03, PUSH-2-04: what is not durable is not acknowledged.
func TestPollStoreFails(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	change := func(c *receiver.Config) { c.Inbox = brokenInbox{c.Inbox, &broken} }
	polled(t, change, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		q.add("a", sign(t, builder("a")))
		stop := running(t, r)
		<-time.After(time.Hour)
		if left := q.left(); !slices.Equal(left, []string{"a"}) {
			t.Errorf("got %q on the queue, want a: it was not kept", left)
		}
		if n := q.count(); n > 40 {
			t.Errorf("got %d polls in an hour, want them backed off", n)
		}
		broken.Store(false)
		<-time.After(10 * time.Minute)
		stop()
		rec.want(t, "a")
		if left := q.left(); len(left) != 0 {
			t.Errorf("got %q on the queue, want none", left)
		}
	})
}

// POLL-2.4-01, POLL-2.4-02: lost answers and lost requests lose nothing; repeats are
// acknowledged and not handled again.
func TestPollLostAnswers(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		q.after = func(n int) error {
			if n <= 6 && n%2 == 1 {
				return errors.New("connection reset")
			}
			return nil
		}
		q.add("a", sign(t, builder("a")))
		stop := running(t, r)
		<-time.After(10 * time.Second)
		q.add("b", sign(t, builder("b")))
		<-time.After(5 * time.Minute)
		stop()
		rec.want(t, "a", "b")
		if left := q.left(); len(left) != 0 {
			t.Errorf("got %q not acknowledged, want none", left)
		}
	})
}

// POLL-2.4-04, POLL-2.6-01, U21: what is refused, with which code; the rest of the
// answer is taken all the same.
func TestPollRefuses(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		foreign := builder("foreign")
		foreign.Audience = []string{"https://other.example"}
		good := sign(t, builder("good"))
		q.add("rubbish", "not a JWT")
		q.add("foreign", sign(t, foreign))
		q.add("good", good)
		q.add("renamed", good)
		q.add("tampered", good[:len(good)-8]+"AAAAAAAA")
		q.add("incomplete", sign(t, event(builder("incomplete"), caep.CredentialChangeType, `{}`)))
		q.add("state", sign(t, aboutStream(event(builder("state"), verification, `{"state":"x"}`))))
		q.add("unknown type", sign(t, event(builder("unknown type"), "https://example.com/e", `{}`)))
		stop := running(t, r)
		<-time.After(time.Second)
		stop()
		rec.want(t, "good", "unknown type")
		for id, want := range map[string]delivery.Code{
			"rubbish": delivery.CodeInvalidRequest, "foreign": delivery.CodeInvalidAudience, "renamed": delivery.CodeInvalidRequest,
			"tampered": delivery.CodeAuthenticationFailed, "incomplete": delivery.CodeInvalidRequest, "state": delivery.CodeInvalidState,
		} {
			if got := q.refused[id]; got.Err != want || got.Description == "" {
				t.Errorf("got %+v for %s, want %s with a description", got, id, want)
			}
		}
		if len(q.refused) != 6 || len(q.left()) != 0 {
			t.Errorf("got %v refused and %q left, want 6 and none", q.refused, q.left())
		}
	})
}

// setErrs is final (U23): while keys cannot be had, or a key may be about to be
// published, a SET stays unanswered.
func TestPollKeysMissing(t *testing.T) {
	newKey := generate(jose.RS256)
	var known, broken atomic.Bool
	broken.Store(true)
	change := func(c *receiver.Config) {
		c.Keys = keysFunc(func(kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
			if broken.Load() {
				return nil, errors.New("no route to host")
			}
			keys := jose.NewKeySet(transmitterKey().Public())
			if known.Load() {
				keys = jose.NewKeySet(transmitterKey().Public(), newKey.Public())
			}
			return keys.Find(kid, alg)
		})
	}
	polled(t, change, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		q.instant = true
		q.add("old", sign(t, builder("old")))
		stop := running(t, r)
		<-time.After(time.Hour)
		rec.want(t)
		if n := q.count(); n > 60 {
			t.Errorf("got %d polls in an hour without keys, want them backed off", n)
		}
		broken.Store(false)
		<-time.After(10 * time.Minute)
		rec.want(t, "old")
		q.add("rotated", signWith(t, builder("rotated"), newKey, set.HeaderType))
		<-time.After(6 * time.Second) // a poll or two
		known.Store(true)
		<-time.After(time.Minute)
		rec.want(t, "old", "rotated")
		q.add("bogus", signWith(t, builder("bogus"), generate(jose.RS256), set.HeaderType))
		<-time.After(5 * time.Minute)
		stop()
		if got := q.refused["bogus"]; got.Err != delivery.CodeInvalidKey || len(q.refused) != 1 {
			t.Errorf("got refused %v, want bogus alone with invalid_key", q.refused)
		}
	})
}

// Failures back off with jitter, up to the bound, and Retry-After is honoured.
func TestPollBackoff(t *testing.T) {
	for _, tt := range []struct {
		name     string
		resp     func() (*http.Response, error)
		min, max int // polls in an hour
	}{
		{"unreachable", func() (*http.Response, error) { return nil, errors.New("connection refused") }, 12, 40},
		{"POLL-3-01: 401", func() (*http.Response, error) { return respond(http.StatusUnauthorized, ""), nil }, 12, 40},
		{"malformed answer", func() (*http.Response, error) { return respond(http.StatusOK, `{"sets":[]}`), nil }, 12, 40},
		{"endless answer", func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(spaces{})}, nil
		}, 12, 40},
		{"Retry-After", func() (*http.Response, error) {
			return respond(http.StatusTooManyRequests, "", "Retry-After", "1200"), nil
		}, 3, 4},
		{"Retry-After beyond an hour", func() (*http.Response, error) {
			return respond(http.StatusServiceUnavailable, "", "Retry-After", "99999999"), nil
		}, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
				var down atomic.Bool
				down.Store(true)
				q.before = func(int, *http.Request) (*http.Response, error) {
					if !down.Load() {
						return nil, nil
					}
					return tt.resp()
				}
				q.add("a", sign(t, builder("a")))
				stop := running(t, r)
				<-time.After(time.Hour - time.Second)
				if n := q.count(); n < tt.min || n > tt.max {
					t.Errorf("got %d polls in an hour, want %d to %d", n, tt.min, tt.max)
				}
				down.Store(false)
				<-time.After(time.Hour)
				stop()
				rec.want(t, "a")
			})
		})
	}
}

// spaces is an endless body.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat(" ", len(p))), nil
}

// A transmitter that knows no long poll, or does not remember acknowledgements, is
// not asked without a pause.
func TestPollPauses(t *testing.T) {
	for _, tt := range []struct {
		name string
		deaf bool
	}{{"answers at once", false}, {"ignores acknowledgements", true}} {
		t.Run(tt.name, func(t *testing.T) {
			polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
				q.instant = true
				q.deaf.Store(tt.deaf)
				q.add("a", sign(t, builder("a")))
				stop := running(t, r)
				<-time.After(10 * time.Minute)
				stop()
				rec.want(t, "a")
				if n, most := q.count(), int(10*time.Minute/receiver.DefaultPollInterval)+5; n > most {
					t.Errorf("got %d polls in 10 min, want at most %d", n, most)
				}
			})
		})
	}
}

// POLL-2.4.2-01: what was kept is acknowledged when Run ends, asking for nothing.
func TestPollFarewell(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, _ *recorder, _ inbox.Inbox) {
		q.add("a", sign(t, builder("a")))
		cut := make(chan struct{})
		q.before = func(n int, req *http.Request) (*http.Response, error) {
			if n == 2 { // the request with the acknowledgement is lost
				close(cut)
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return nil, nil
		}
		q.deaf.Store(true)
		stop := running(t, r)
		<-cut
		q.deaf.Store(false)
		stop()
		last := q.requests[len(q.requests)-1]
		if len(q.requests) != 3 || *last.MaxEvents != 0 || !last.ReturnImmediately || !slices.Equal(last.Ack, []string{"a"}) {
			t.Errorf("got last request %+v of %d, want an acknowledgement alone", last, len(q.requests))
		}
		if left := q.left(); len(left) != 0 {
			t.Errorf("got %q not acknowledged, want none", left)
		}
	})
}

// INTEROP-2.4.1-01: push and poll end in one inbox, and a SET of both is one.
func TestPollAndPush(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		compact := sign(t, builder("a"))
		q.add("a", compact)
		stop := running(t, r)
		synctest.Wait()
		wantAccepted(t, push(r, compact))
		wantAccepted(t, push(r, sign(t, builder("b"))))
		synctest.Wait()
		stop()
		rec.want(t, "a", "b")
	})
}
