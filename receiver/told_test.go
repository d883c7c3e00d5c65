package receiver_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A poll begins when the endpoint is told, goes on at another one when that changes, and
// carries no acknowledgement from one to the other. A token that is refused is told.
func TestPollEndpointTold(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		q, rec, places, refused := newQueue(t), &recorder{}, []string(nil), []string(nil)
		q.before = func(n int, req *http.Request) (*http.Response, error) {
			if places = append(places, req.URL.Path); n == 1 {
				return respond(http.StatusUnauthorized, ""), nil
			}
			return nil, nil
		}
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Poll = &receiver.Poll{
			EndpointLater: true, HTTP: &http.Client{Transport: q},
			Token:   func(context.Context) (string, error) { return "t0ken", nil },
			Refused: func(token string) { refused = append(refused, token) },
		}
		r := build(t, cfg)
		stop := running(t, r)
		<-time.After(time.Hour)
		if n := q.count(); n != 0 {
			t.Errorf("got %d polls of nowhere, want none", n)
		}
		q.add("a", sign(t, builder("a")))
		r.SetPollEndpoint(issuer + "/one")
		<-time.After(10 * time.Second)
		rec.want(t, "a")
		if a := r.Activity(); a.Polled.IsZero() || a.PollError != "" || a.Kept != 1 {
			t.Errorf("got %+v, want a poll that succeeded and a SET", a)
		}
		r.SetPollEndpoint(issuer + "/two") // while a long poll waits
		synctest.Wait()
		q.add("b", sign(t, builder("b")))
		<-time.After(10 * time.Second)
		rec.want(t, "a", "b")
		stop()
		if first, last := slices.Index(places, "/two"), slices.Index(places, "/one"); last != 0 || first < 0 || slices.Contains(places[first:], "/one") {
			t.Errorf("got polls at %q, want all at the second endpoint after those at the first", places)
		}
		if !slices.Equal(refused, []string{"t0ken"}) {
			t.Errorf("got %q told as refused, want the token once", refused)
		}
	})
}

// Who waits for a verification is told of it when it has been kept.
func TestExpectVerification(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := build(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	state, answered, err := r.ExpectVerification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other, unanswered, err := r.ExpectVerification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("v"), verification, `{"state":"`+state+`"}`)))))
	select {
	case <-answered:
	default:
		t.Error("got no word of the answer, want it once it is kept")
	}
	select {
	case <-unanswered:
		t.Error("got word of another answer, want none")
	default:
	}
	if a := r.Activity(); a.Verified.IsZero() || a.Received.IsZero() {
		t.Errorf("got %+v, want the times of the verification", a)
	}
	cancel() // nobody waits any more, but the state is expected as before
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("w"), verification, `{"state":"`+other+`"}`)))))
}

// What was refused is told with its code; members that are critical may be told later.
func TestActivityAndCriticalMembers(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg, rec := config(t, dir), &recorder{}
		cfg.Mux.Default(rec.hook)
		r := build(t, cfg)
		foreign := builder("foreign")
		foreign.Audience = []string{"https://other.example"}
		push(r, sign(t, foreign))
		if a := r.Activity(); a.Refusals != 1 || a.Refusal != delivery.CodeInvalidAudience || a.Refused.IsZero() || !a.Received.IsZero() {
			t.Errorf("got %+v, want one refusal and nothing received", a)
		}
		odd, err := subject.Complex(map[string]subject.Identifier{"user": subject.Email("a@example.com"), "shard": subject.Opaque("1")})
		if err != nil {
			t.Fatal(err)
		}
		about := func(id string) string {
			b := builder(id)
			b.Subject = odd
			return sign(t, b)
		}
		stop := running(t, r)
		wantAccepted(t, push(r, about("before")))
		synctest.Wait()
		r.SetCriticalMembers([]string{"shard"})
		wantAccepted(t, push(r, about("after")))
		wantAccepted(t, push(r, about("after")))
		synctest.Wait()
		stop()
		rec.want(t, "before")
		if a := r.Activity(); a.Kept != 2 || a.Repeats != 1 {
			t.Errorf("got %+v, want two SETs and a repeat", a)
		}
	})
}
