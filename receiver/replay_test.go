package receiver_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// oldMessages are n messages that are all about one user, without signatures.
func oldMessages(from, n int) []inbox.Message {
	messages := make([]inbox.Message, n)
	for i := range messages {
		messages[i] = inbox.Message{
			Feed: issuer, Issuer: issuer, ID: fmt.Sprint("old-", from+i), Type: "urn:old", SET: []byte("x"), Received: time.Unix(1, 0),
		}
	}
	return messages
}

// SETs that came long ago come again, very many of them and among new ones: none is
// handled twice, none is kept, all are answered as the first time (PUSH-2-04). A million
// in the long run.
func TestOldReplays(t *testing.T) {
	const page, every = 1000, 50
	old := 20_000
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		old = 1_000_000
	}
	cfg := config(t, t.TempDir())
	var mu sync.Mutex
	handled := map[string]int{}
	cfg.Mux.Default(func(_ context.Context, d receiver.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		handled[d.ID]++
		return nil
	})
	seen := func(from int) (repeats int) {
		got, err := cfg.Inbox.Append(t.Context(), oldMessages(from, page)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if a.Duplicate {
				repeats++
			}
		}
		return repeats
	}
	for from := 0; from < old; from += page {
		if got := seen(from); got != 0 {
			t.Fatalf("got %d repeats of messages that are new", got)
		}
		taken, err := cfg.Inbox.Take(t.Context(), issuer, page)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make([]inbox.Outcome, len(taken))
		for i, m := range taken {
			outcomes[i] = inbox.Outcome{Seq: m.Seq, Verdict: inbox.Done}
		}
		if err := cfg.Inbox.Settle(t.Context(), outcomes...); err != nil {
			t.Fatal(err)
		}
	}
	r := build(t, cfg)
	stop := running(t, r)
	fresh := 0
	for from := 0; from < old; from += page {
		if got := seen(from); got != page {
			t.Fatalf("got %d repeats of %d messages that came before", got, page)
		}
		if from/page%every == 0 { // through the endpoint, with new ones between
			wantAccepted(t, push(r, sign(t, builder(fmt.Sprint("old-", from)))))
			wantAccepted(t, push(r, sign(t, builder(fmt.Sprint("new-", from)))))
			fresh++
		}
	}
	deadline := time.After(time.Minute)
	for counts(t, cfg.Inbox).Waiting > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("the new SETs were not handled within a minute")
		}
	}
	stop()
	if len(handled) != fresh {
		t.Errorf("got %d events handled, want the %d new ones", len(handled), fresh)
	}
	for id, n := range handled {
		if n != 1 {
			t.Errorf("%s: got %d runs, want 1", id, n)
		}
	}
}
