package inboxtest

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

func orderPerKey(s *suite) {
	other := message("x1", "k")
	other.Issuer = "https://other.example"
	s.append(message("a1", "k"), message("b1", "l"), message("a2", "k"), other, message("b2", "l"))
	first := s.wants("a1", "b1", "x1")
	s.wants() // a2 and b2 wait for a1 and b1
	s.settle(first["b1"], inbox.Done, 0)
	s.wants("b2")
	s.settle(first["a1"], inbox.Done, 0)
	s.append(message("a3", "k"))
	second := s.wants("a2")
	s.settle(second["a2"], inbox.Done, 0)
	s.wants("a3")
}

func orderAcrossRestart(s *suite) {
	const n = 20
	for i := range n {
		s.append(message(number("m", i), "k"))
	}
	s.restart()
	for i := range n {
		id := number("m", i)
		s.settle(s.wants(id)[id], inbox.Done, 0)
	}
	s.wants()
}

func noOrder(s *suite) {
	s.append(message("a", ""), message("b", ""), message("c", ""))
	if got, _ := s.take(2); !equal(got, []string{"a", "b"}) {
		s.Errorf("got %q, want the two oldest", got)
	}
	s.wants("c")
}

func failingHoldsKey(s *suite) {
	s.append(message("a1", "k"), message("a2", "k"), message("b1", "l"))
	got := s.wants("a1", "b1")
	s.settle(got["a1"], inbox.Again, time.Minute)
	s.settle(got["b1"], inbox.Done, 0)
	s.append(message("b2", "l"))
	s.wants("b2") // a2 is held back, b2 is not
	<-time.After(time.Minute)
	again := s.wants("a1")
	if n := again["a1"].Attempts; n != 1 {
		s.Errorf("got %d attempts, want 1", n)
	}
	s.settle(again["a1"], inbox.Done, 0)
	s.wants("a2")
}

func attemptsSurvive(s *suite) {
	s.append(message("a", "k"))
	s.settle(s.wants("a")["a"], inbox.Again, time.Hour)
	s.restart()
	s.wants()
	<-time.After(time.Hour)
	got := s.wants("a")["a"]
	if got.Attempts != 1 {
		s.Errorf("got %d attempts, want 1", got.Attempts)
	}
	s.settle(got, inbox.Again, 0)
	if got := s.wants("a")["a"]; got.Attempts != 2 {
		s.Errorf("got %d attempts, want 2", got.Attempts)
	}
}

func released(s *suite) {
	s.append(message("a1", "k"), message("a2", "k"))
	s.settle(s.wants("a1")["a1"], inbox.Released, 0)
	if got := s.wants("a1")["a1"]; got.Attempts != 0 {
		s.Errorf("got %d attempts, want 0", got.Attempts)
	}
}

func settleUnknown(s *suite) {
	s.append(message("a", "k"))
	s.check(s.in.Settle(s.Context(),
		inbox.Outcome{Seq: 1, Verdict: inbox.Done}, inbox.Outcome{Seq: 99, Verdict: inbox.SetAside}))
	got := s.wants("a")["a"]
	s.settle(got, inbox.Done, 0)
	s.settle(got, inbox.SetAside, 0)
	if c := s.counts(); c.Dead != 0 {
		s.Errorf("got %d dead letters, want 0: it was done already", c.Dead)
	}
}

func takeWaits(s *suite) {
	type taken struct {
		messages []inbox.Message
		err      error
	}
	result := make(chan taken, 1)
	take := func(ctx context.Context) {
		go func() {
			m, err := s.in.Take(ctx, Feed, 10)
			result <- taken{m, err}
		}()
		synctest.Wait()
	}
	waiting := func() {
		s.Helper()
		select {
		case got := <-result:
			s.Fatalf("got %v at once, want Take to wait", got)
		default:
		}
	}

	take(s.Context())
	waiting()
	s.append(message("a", "k"))
	if got := <-result; got.err != nil || len(got.messages) != 1 {
		s.Fatalf("got %v after an append, want one message", got)
	}

	ctx, cancel := context.WithCancel(s.Context())
	take(ctx)
	waiting()
	cancel()
	if got := <-result; !errors.Is(got.err, context.Canceled) {
		s.Errorf("got error %v after ctx ended, want %v", got.err, context.Canceled)
	}

	take(s.Context())
	waiting()
	s.check(s.in.Close())
	s.is((<-result).err, inbox.ErrClosed)
	s.in = s.open(s.T, s.dir)
}

func feeds(s *suite) {
	other := message("b", "k")
	other.Feed = "other"
	s.append(message("a", "k"), other)
	s.wants("a")
	got, err := s.in.Take(s.Context(), "other", 10)
	s.check(err)
	if len(got) != 1 || got[0].ID != "b" {
		s.Errorf("got %v for the other feed, want b", got)
	}
}

func counts(s *suite) {
	if got := s.counts(); got != (inbox.Counts{}) {
		s.Errorf("got %+v for an empty inbox, want zero", got)
	}
	began := time.Now().Truncate(time.Millisecond)
	s.append(message("a", "k"))
	<-time.After(time.Second)
	s.append(message("b", "l"), message("c", "m"), message("d", "k"))
	got := s.wants("a", "b", "c")
	s.settle(got["b"], inbox.Again, time.Hour)
	s.settle(got["c"], inbox.SetAside, 0)
	want := inbox.Counts{Waiting: 3, Running: 1, Failing: 1, Dead: 1, Oldest: began}
	if got := s.counts(); !got.Oldest.Equal(want.Oldest) || got.Waiting != 3 || got.Running != 1 || got.Failing != 1 || got.Dead != 1 {
		s.Errorf("got %+v, want %+v", got, want)
	}
	s.restart()
	if got := s.counts(); got.Waiting != 3 || got.Running != 0 || got.Failing != 1 || got.Dead != 1 {
		s.Errorf("got %+v after a restart, want 3 waiting, 0 running, 1 failing, 1 dead", got)
	}
}
