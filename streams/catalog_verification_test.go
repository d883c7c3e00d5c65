package streams_test

import (
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// SSF-8.1.4.1-01, SSF-8.1.4.2-02, SSF-8.1.4.2-03: the event and its payload.
func TestVerify(t *testing.T) {
	state, empty := "a <\"é\u2028\\> b", ""
	cases := []struct {
		name  string
		state *string
		want  string
	}{
		{"SSF-8.1.4.2-02 no state", nil, `{}`},
		{"SSF-8.1.4.2-02 state verbatim", &state, `{"state":"a \u003c\"é\u2028\\\u003e b"}`},
		{"SSF-8.1.4.2-02 empty state", &empty, `{"state":""}`},
	}
	for _, c := range cases {
		b := newBench(t)
		s := b.create(t, alice, `{}`) // SSF-8.1.4-02: sent though not requested
		if err := b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID, State: c.state}); err != nil {
			t.Fatal(err)
		}
		if len(b.store.items) != 1 {
			t.Fatalf("%s: got %d items, want 1", c.name, len(b.store.items))
		}
		item := b.store.items[0]
		if item.Type != "https://schemas.openid.net/secevent/ssf/event-type/verification" || item.Lane != streams.LaneControl ||
			item.Stream != s.ID || len(item.ID) != 22 || !item.Added.Equal(b.now) || string(item.Payload) != c.want {
			t.Errorf("%s: got %+v with %s, want payload %s", c.name, item, item.Payload, c.want)
		}
	}
}

// SSF-8.1.4-01, SSF-8.1.4.2-03: the transmitter's own verification bears no state, and does
// not count as a request of the receiver's.
func TestRequestVerification(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.MinVerificationInterval = time.Hour })
	s := b.create(t, alice, `{}`)
	for range 2 {
		if err := b.RequestVerification(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.store.items) != 2 || string(b.store.items[0].Payload) != `{}` || b.store.items[0].ID == b.store.items[1].ID {
		t.Errorf("got %+v, want two items of their own without state", b.store.items)
	}
	if err := b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID}); err != nil {
		t.Errorf("SSF-8.1.4.2-04 the receiver's first request: got %v", err)
	}
}

// SSF-8.1.4.2-04, SSF-8.1.1-03: the interval runs from the last request that
// was accepted, on that stream alone; the first is never refused.
func TestVerifyTooSoon(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.MinVerificationInterval = time.Minute })
	s, other := b.create(t, alice, `{}`), b.create(t, alice, `{}`)
	steps := []struct {
		name   string
		after  time.Duration
		stream string
		want   time.Duration // RetryAfter; zero: accepted
	}{
		{"first", 0, s.ID, 0},
		{"other stream", 0, other.ID, 0},
		{"at once", 0, s.ID, time.Minute},
		{"whole seconds, rounded up", 500 * time.Millisecond, s.ID, time.Minute},
		{"just before", 59*time.Second + 499*time.Millisecond, s.ID, time.Second},
		{"the interval is over", time.Millisecond, s.ID, 0},
		{"it begins anew", 59 * time.Second, s.ID, time.Second},
		{"a clock set back far does not lock", -24 * time.Hour, s.ID, 0},
	}
	for _, c := range steps {
		b.now = b.now.Add(c.after)
		before := len(b.store.items)
		err := b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: c.stream})
		if c.want == 0 {
			if err != nil || len(b.store.items) != before+1 {
				t.Errorf("%s: got %v, want it accepted", c.name, err)
			}
			continue
		}
		if rule := refusal(t, err); rule.Kind != streams.TooSoon || rule.RetryAfter != c.want || len(b.store.items) != before {
			t.Errorf("%s: got %+v, want TooSoon, %v", c.name, rule, c.want)
		}
	}
}

// The check of the interval and the record are one step.
func TestVerifyAtTheSameTime(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) { c.MinVerificationInterval = time.Minute })
	s := b.create(t, alice, `{}`)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _ = b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID}) })
	}
	wg.Wait()
	if got := len(b.store.items); got != 1 {
		t.Errorf("got %d events, want 1", got)
	}
}

// U18: while paused it is put and held, while disabled refused.
func TestVerifyByStatus(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{}`)
	set := func(status streams.Status) {
		if _, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	set(streams.Paused)
	if err := b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID}); err != nil || len(b.store.items) != 1 {
		t.Errorf("paused: got %v and %d items, want it put", err, len(b.store.items))
	}
	set(streams.Disabled)
	for _, err := range []error{
		b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID}),
		b.RequestVerification(t.Context(), s.ID),
	} {
		if refusal(t, err).Kind != streams.Invalid || len(b.store.items) != 1 {
			t.Errorf("disabled: got %v and %d items, want Invalid and none put", err, len(b.store.items))
		}
	}
}
