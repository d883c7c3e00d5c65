package receiver_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// SET-5.3-01: no order is derived from iat: hooks run as SETs arrived, and one that
// is older than what came before is neither moved nor dropped.
func TestOrderIsNotOfIat(t *testing.T) {
	rec := &recorder{}
	hooked(t, rec, nil, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		for _, s := range []struct {
			id  string
			age time.Duration
		}{{"a", 0}, {"b", time.Hour}, {"c", time.Minute}, {"d", 30 * 24 * time.Hour}, {"e", -time.Minute}} {
			b := builder(s.id)
			b.IssuedAt = b.IssuedAt.Add(-s.age)
			wantAccepted(t, push(r, sign(t, b)))
		}
		stop := running(t, r)
		synctest.Wait()
		stop()
		rec.want(t, "a", "b", "c", "d", "e")
	})
}

// PUSH-2-02: the answer waits for no hook: neither for one of the SET itself nor for
// one of a SET before it.
func TestAnswerWaitsForNoHook(t *testing.T) {
	rec := &recorder{}
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		rec.fail = func(context.Context, receiver.Delivery) error { <-release; return nil }
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Workers = 1
		r := build(t, cfg)
		stop := running(t, r)
		began := time.Now()
		for _, id := range []string{"a", "b", "c"} {
			wantAccepted(t, push(r, sign(t, about(builder(id), id))))
			synctest.Wait()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("PUSH-2-02: got the answers after %v, want them at once", took)
		}
		rec.want(t, "a") // at work, and the others behind it
		close(release)
		synctest.Wait()
		stop()
		rec.want(t, "a", "b", "c")
	})
}

// SSF-6.1.1-03: each stream has an endpoint of its own, so that SETs, which name no
// stream, are kept apart; what is about one stream is refused at another's endpoint.
func TestEndpointPerStream(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Feed = "one"
	one := build(t, cfg)
	cfg.Feed, cfg.StreamID = "two", "stream-2"
	two := build(t, cfg)
	wantAccepted(t, push(one, sign(t, builder("a"))))
	wantAccepted(t, push(two, sign(t, builder("b"))))
	wantAccepted(t, push(two, sign(t, builder("c"))))
	for feed, want := range map[string]int{"one": 1, "two": 2} {
		if c, err := cfg.Inbox.Counts(t.Context(), feed); err != nil || c.Waiting != want {
			t.Errorf("SSF-6.1.1-03: got %+v, %v at endpoint %s, want %d", c, err, feed, want)
		}
	}
	own := sign(t, aboutStream(event(builder("v"), verification, `{}`)))
	if w := push(two, own); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), string(delivery.CodeAccessDenied)) {
		t.Errorf("SSF-6.1.1-03: got %d %s at another's endpoint, want access_denied", w.Code, w.Body)
	}
	wantAccepted(t, push(one, own))
}

// SSF-9.3-02: an event about a subject that was removed is accepted like any other,
// by push and by poll, and reaches the hooks.
func TestRemovedSubject(t *testing.T) {
	remove := func(t *testing.T) {
		c, err := client.New(client.Config{
			Issuer: issuer, Metadata: &wellknown.Configuration{Issuer: issuer, RemoveSubjectEndpoint: issuer + "/remove"},
			HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return respond(http.StatusNoContent, ""), nil })},
		})
		if err == nil {
			err = c.RemoveSubject(t.Context(), streamID, subject.Email("alice@example.com"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, in inbox.Inbox) {
		remove(t)
		q.add("polled", sign(t, builder("polled")))
		stop := running(t, r)
		synctest.Wait()
		wantAccepted(t, push(r, sign(t, builder("pushed"))))
		synctest.Wait()
		stop()
		if left := q.left(); len(left) != 0 || len(q.refused) != 0 {
			t.Errorf("SSF-9.3-02: got %v left and %v refused, want it acknowledged", left, q.refused)
		}
		rec.want(t, "polled", "pushed")
	})
}

// SSF-8.1.2.1-02: a stream-updated with a status that does not exist changes nothing
// that is known of the stream; it is acknowledged, for sending it again mends nothing.
func TestUnknownStatusIsNotRecorded(t *testing.T) {
	hooked(t, &recorder{}, nil, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		stop := running(t, r)
		updated := func(id, status string) {
			push(r, sign(t, aboutStream(event(builder(id), ssf.StreamUpdatedType, `{"status":"`+status+`"}`))))
			synctest.Wait()
		}
		for _, good := range []string{"disabled", "enabled", "paused"} {
			updated(good, good)
			if got, ok := r.Status(); !ok || string(got.Status) != good {
				t.Errorf("SSF-8.1.2.1-02: got %+v, want %s", got, good)
			}
		}
		for _, bad := range []string{"Enabled", "stopped", ""} {
			updated("bad-"+bad, bad)
			if got, _ := r.Status(); got.Status != "paused" {
				t.Errorf("SSF-8.1.2.1-02: got %q recorded, want paused as before", got.Status)
			}
		}
		stop()
		if c := counts(t, in); c.Waiting != 0 || c.Dead != 0 {
			t.Errorf("got %+v, want nothing left", c)
		}
	})
}

// PUSH-2-03: however often and however close together a SET comes, every answer is
// the first one's, and it is kept once.
func TestDuplicatesAtOnce(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := build(t, cfg)
	compact := sign(t, builder("a"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if w := push(r, compact); w.Code != http.StatusAccepted || w.Body.Len() != 0 {
				t.Errorf("PUSH-2-03: got %d %s, want 202", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	if c := counts(t, cfg.Inbox); c.Waiting != 1 {
		t.Errorf("PUSH-2-03: got %+v, want one", c)
	}
}

// POLL-2.4-02: a SET that comes again although it was acknowledged is acknowledged
// again, as often as it comes, and handled once.
func TestRepeatsAreAcknowledged(t *testing.T) {
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, _ inbox.Inbox) {
		q.deaf.Store(true)
		q.add("a", sign(t, builder("a")))
		stop := running(t, r)
		<-time.After(time.Minute)
		q.deaf.Store(false)
		<-time.After(time.Minute)
		q.mu.Lock()
		acks := 0
		for _, poll := range q.requests {
			if slices.Contains(poll.Ack, "a") {
				acks++
			}
		}
		q.mu.Unlock()
		if left := q.left(); acks < 3 || len(left) != 0 {
			t.Errorf("POLL-2.4-02: got %d acks and %q left, want one for each time that it came", acks, left)
		}
		stop()
		rec.want(t, "a")
	})
}
