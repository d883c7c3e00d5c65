package poll_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

// A SET that can never be made becomes a dead letter; those beside it are
// handed out, and the next poll is not held up.
func TestItemGone(t *testing.T) {
	b := newBench(t)
	sign := b.Sign
	b.Sign = func(ctx context.Context, s streams.Stream, item streams.Item) (string, error) {
		if item.ID == "j1" || item.ID == "j3" {
			return "", fmt.Errorf("signing: %w", outbox.ErrGone)
		}
		return sign(ctx, s, item)
	}
	b.put(3)
	b.want("POLL-2.3-01 the rest", `{"returnImmediately":true}`, `{"sets":{"j2":"[j2]"}}`)
	if got, want := b.depth(), (streams.Depth{Items: 1, Leased: 1, Dead: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	letters, _, err := b.store.DeadLetters(t.Context(), "s", "", 10)
	if err != nil || len(letters) != 2 || letters[0].ID != "j1" || letters[0].Code != "gone" || letters[0].Description == "" {
		t.Errorf("got %+v, %v, want j1 and j3 with code gone", letters, err)
	}
	b.Sign = func(context.Context, streams.Stream, streams.Item) (string, error) { return "", errors.New("disk") }
	b.put(1)
	if w, err := b.do(t.Context(), "s", `{"returnImmediately":true}`); err == nil {
		t.Errorf("a failure that may pass: got %d %s, want an error", w.Code, w.Body)
	}
	b.Sign = sign
	b.want("it was back at once", `{"returnImmediately":true}`, `{"sets":{"j4":"[j4]"}}`)
}

// Delivered hears of each SET that is acknowledged, once, and of no other.
func TestDelivered(t *testing.T) {
	b := newBench(t)
	var got []string
	b.Delivered = func(item streams.Item) {
		got = append(got, item.ID)
		if item.Added.IsZero() {
			t.Errorf("%s: got no time", item.ID)
		}
	}
	b.put(4)
	if w, err := b.do(t.Context(), "s", `{}`); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	refused := `"setErrs":{"j2":{"err":"invalid_request","description":"d"},"j3":{"err":"invalid_request","description":"d"}}`
	for range 2 { // again: acknowledged before
		b.want("ack", `{"ack":["j1","j2","unknown"],`+refused+`,"maxEvents":0}`, `{"sets":{}}`)
	}
	if diff := cmp.Diff([]string{"j1"}, got); diff != "" {
		t.Errorf("POLL-2.2-03, U23: want - got +\n%s", diff)
	}
}

// What was erased is off the queue and no dead letter: that would bear its subject.
func TestItemErased(t *testing.T) {
	b := newBench(t)
	b.Sign = func(context.Context, streams.Stream, streams.Item) (string, error) { return "", outbox.ErrErased }
	b.put(1)
	b.want("nothing", `{"returnImmediately":true}`, `{"sets":{}}`)
	if got, want := b.depth(), (streams.Depth{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Where the key goes away amid an answer what was signed is handed out, the rest is back
// at once and in order; where nothing is signed the poll fails, and nothing is lost.
func TestUnsigned(t *testing.T) {
	b := newBench(t)
	sign := b.Sign
	signs := 2 // so many, before the key goes away
	b.Sign = func(ctx context.Context, s streams.Stream, item streams.Item) (string, error) {
		if signs--; signs < 0 {
			return "", fmt.Errorf("%w: away", outbox.ErrAway)
		}
		return sign(ctx, s, item)
	}
	b.put(4)
	b.want("what was signed", `{"returnImmediately":true}`, `{"sets":{"j1":"[j1]","j2":"[j2]"},"moreAvailable":true}`)
	if got, want := b.depth(), (streams.Depth{Items: 4, Leased: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if w, err := b.do(t.Context(), "s", `{"ack":["j1"],"returnImmediately":true}`); !errors.Is(err, outbox.ErrAway) {
		t.Errorf("nothing signed: got %d %s, %v, want ErrAway", w.Code, w.Body, err)
	}
	if got, want := b.depth(), (streams.Depth{Items: 3, Leased: 1}); got != want {
		t.Errorf("got %+v, want %+v: what was acknowledged is", got, want)
	}
	b.want("an acknowledgement alone", `{"ack":["j2"],"maxEvents":0}`, `{"sets":{},"moreAvailable":true}`)
	signs = 10
	b.want("the rest, in order", `{"returnImmediately":true}`, `{"sets":{"j3":"[j3]","j4":"[j4]"}}`)
}
