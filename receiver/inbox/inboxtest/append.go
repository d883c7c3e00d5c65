package inboxtest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

func contextFor(s *suite, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.Context(), d)
}

func once(s *suite) {
	s.append(message("a", "k"))
	if got := s.one(message("a", "k")); !got.Duplicate || got.Err != nil {
		s.Errorf("got %+v for a repeat, want a duplicate", got)
	}
	other := message("a", "k")
	other.Issuer = "https://other.example"
	if got := s.one(other); got.Duplicate {
		s.Error("got a duplicate for the jti of another issuer, want it kept")
	}
	// A jti is unique within one feed: what another stream of the issuer
	// delivered is not what this one did (RFC 8417 §2.2).
	other = message("a", "k")
	other.Feed = "other"
	if got := s.one(other); got.Duplicate {
		s.Error("got a duplicate for the jti of another feed, want it kept")
	}
	if got := s.one(other); !got.Duplicate {
		s.Error("got a repeat in another feed kept, want a duplicate")
	}
	got, err := s.in.Append(s.Context(), message("b", "k2"), message("b", "k2"))
	s.check(err)
	if got[0].Duplicate || !got[1].Duplicate {
		s.Errorf("got %+v for a repeat in one call, want the second a duplicate", got)
	}
	for _, m := range s.wants("a", "a", "b") {
		s.settle(m, inbox.Done, 0)
	}
	if got := s.one(message("b", "k2")); !got.Duplicate {
		s.Error("got a handled message kept again, want a duplicate")
	}
}

func onceAcrossRestarts(s *suite) {
	s.append(message("done", ""), message("dead", ""), message("waiting", ""))
	got := s.wants("done", "dead", "waiting")
	s.settle(got["done"], inbox.Done, 0)
	s.settle(got["dead"], inbox.SetAside, 0)
	s.restart()
	for _, id := range []string{"done", "dead", "waiting"} {
		if got := s.one(message(id, "")); !got.Duplicate {
			s.Errorf("got %+v for %q after a restart, want a duplicate", got, id)
		}
	}
	s.wants("waiting")
}

func onceConcurrently(s *suite) {
	var fresh atomic.Int64
	var wg sync.WaitGroup
	const writers, ids = 8, 20
	for range writers {
		wg.Go(func() {
			for n := range ids {
				got, err := s.in.Append(s.Context(), message(number("m", n), ""))
				if err != nil {
					s.Errorf("got error %v, want none", err)
					return
				}
				if !got[0].Duplicate {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if fresh.Load() != ids {
		s.Errorf("got %d messages kept, want %d", fresh.Load(), ids)
	}
	if got, _ := s.take(10 * ids); len(got) != ids {
		s.Errorf("got %d messages from Take, want %d", len(got), ids)
	}
}

func keptBeforeAcknowledged(s *suite) {
	s.append(message("a", "k"))
	s.restart()
	s.wants("a")
}

func compactForm(s *suite) {
	want := message("a", "k")
	s.append(want)
	s.restart()
	got := s.wants("a")["a"]
	if string(got.SET) != string(want.SET) || got.Issuer != want.Issuer || got.Type != want.Type ||
		got.TransactionID != want.TransactionID || got.Feed != want.Feed || got.Attempts != 0 || got.Seq == 0 {
		s.Errorf("got %+v, want %+v", got, want)
	}
	if !got.Received.Equal(want.Received.Truncate(time.Millisecond)) {
		s.Errorf("got received %v, want %v", got.Received, want.Received)
	}
}

func bounds(s *suite) {
	for _, tt := range []struct {
		name   string
		change func(*inbox.Message)
	}{
		{"no issuer", func(m *inbox.Message) { m.Issuer = "" }},
		{"no jti", func(m *inbox.Message) { m.ID = "" }},
		{"no SET", func(m *inbox.Message) { m.SET = nil }},
		{"long issuer", func(m *inbox.Message) { m.Issuer = strings.Repeat("i", inbox.MaxIssuerBytes+1) }},
		{"long jti", func(m *inbox.Message) { m.ID = strings.Repeat("j", inbox.MaxIDBytes+1) }},
		{"large SET", func(m *inbox.Message) { m.SET = make([]byte, inbox.MaxSETBytes+1) }},
	} {
		bad := message("bad", "")
		tt.change(&bad)
		if _, err := s.in.Append(s.Context(), message("good", ""), bad); err == nil {
			s.Errorf("%s: got no error, want one", tt.name)
		}
	}
	if got := s.one(message("good", "")); got.Duplicate {
		s.Error("got a message of a failed call kept, want none")
	}
}

func killedBeforeHook(s *suite) {
	s.append(message("a", "k"), message("b", "k"))
	s.restart()
	got := s.wants("a")
	s.settle(got["a"], inbox.Done, 0)
	s.wants("b")
}

func killedDuringHook(s *suite) {
	s.append(message("a", "k"))
	s.wants("a")
	s.restart()
	if got := s.wants("a")["a"]; got.Attempts != 0 {
		s.Errorf("got %d attempts, want 0: no verdict was kept", got.Attempts)
	}
}
