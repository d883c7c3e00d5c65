package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
)

// sightings is what an observer was told.
type sightings struct {
	mu  sync.Mutex
	all []string
}

func (s *sightings) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, fmt.Sprintf(format, args...))
}

func (s *sightings) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.all, want) {
		t.Errorf("got %q, want %q", s.all, want)
	}
}

func (s *sightings) observer() receiver.Observer {
	return receiver.Observer{
		Arrived: func(by string, repeat bool, err error) {
			code := ""
			if refusal, ok := errors.AsType[*set.Error](err); ok {
				code = string(refusal.Code)
			}
			s.note("%s repeat=%v %s", by, repeat, code)
		},
		Handled: func(v inbox.Verdict, took time.Duration) { s.note("handled %d after %v", v, took) },
		Done:    func(since, _ time.Duration) { s.note("done after %v", since) },
		Polled:  func(err error) { s.note("polled failed=%v", err != nil) },
	}
}

// An observer is told of every SET once, of each run of hooks and of each poll; crash
// points stand around what is kept and what is run.
func TestObserver(t *testing.T) {
	saw, points := &sightings{}, &sightings{}
	rec := &recorder{fail: func(context.Context, receiver.Delivery) error {
		<-time.After(time.Second)
		return nil
	}}
	change := func(cfg *receiver.Config) {
		cfg.Observer = saw.observer()
		cfg.Crash = func(point string) { points.note("%s", point) }
	}
	hooked(t, rec, change, func(t *testing.T, r *receiver.Receiver, _ inbox.Inbox) {
		wantAccepted(t, push(r, sign(t, builder("a"))))
		wantAccepted(t, push(r, sign(t, builder("a"))))
		foreign := builder("b")
		foreign.Audience = []string{"https://somebody.example"}
		if w := push(r, sign(t, foreign)); w.Code != http.StatusBadRequest {
			t.Errorf("got %d, want 400", w.Code)
		}
		saw.want(t, "push repeat=false ", "push repeat=true ", "push repeat=false invalid_audience")
		stop := running(t, r)
		<-time.After(2 * time.Second)
		synctest.Wait()
		stop()
		saw.want(t, "push repeat=false ", "push repeat=true ", "push repeat=false invalid_audience", "handled 0 after 1s", "done after 1s")
		points.all = points.all[6:] // those of the second and third push
		points.want(t, "push.taken", "receive.before-append", "receive.after-append", "hook.before-run", "hook.after-run", "hook.after-settle")
	})
}

func TestObserverOfPolls(t *testing.T) {
	saw := &sightings{}
	observe := func(cfg *receiver.Config) {
		cfg.Observer = saw.observer()
		cfg.Observer.Handled, cfg.Observer.Done = nil, nil
	}
	polled(t, observe, func(t *testing.T, r *receiver.Receiver, q *queue, _ *recorder, _ inbox.Inbox) {
		q.before = func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return respond(http.StatusBadGateway, ""), nil
			}
			return nil, nil
		}
		foreign := builder("b")
		foreign.Audience = []string{"https://somebody.example"}
		q.add("a", sign(t, builder("a")))
		q.add("b", sign(t, foreign))
		stop := running(t, r)
		<-time.After(10 * time.Second)
		stop()
		saw.want(t, "polled failed=true", "polled failed=false", "poll repeat=false invalid_audience", "poll repeat=false ")
	})
}
