package inboxtest

import (
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// dead lists all dead letters of the suite's feed.
func (s *suite) dead() []inbox.DeadLetter {
	s.Helper()
	got, err := s.in.DeadLetters(s.Context(), Feed, 0, inbox.MaxPage)
	s.check(err)
	return got
}

func setAside(s *suite) {
	s.append(message("a1", "k"), message("a2", "k"))
	s.settle(s.wants("a1")["a1"], inbox.SetAside, 0)
	s.wants("a2")
	s.restart()
	got := s.dead()
	if len(got) != 1 {
		s.Fatalf("got %d dead letters, want 1", len(got))
	}
	d := got[0]
	if d.ID != "a1" || d.Reason != "reason of a1" || d.Attempts != 1 || string(d.SET) != "header.a1.signature" {
		s.Errorf("got %+v, want a1 with its reason, 1 attempt and its SET", d)
	}
	if !d.At.Equal(time.Now().Truncate(time.Millisecond)) {
		s.Errorf("got set aside at %v, want %v", d.At, time.Now())
	}
}

func pages(s *suite) {
	const n = 5
	for i := range n {
		s.append(message(number("m", i), ""))
	}
	_, got := s.take(n)
	for _, m := range got {
		s.settle(m, inbox.SetAside, 0)
	}
	var ids []string
	after := uint64(0)
	for {
		page, err := s.in.DeadLetters(s.Context(), Feed, after, 2)
		s.check(err)
		if len(page) == 0 {
			break
		}
		if len(page) > 2 {
			s.Fatalf("got a page of %d, want at most 2", len(page))
		}
		for _, d := range page {
			ids, after = append(ids, d.ID), d.Seq
		}
	}
	if want := []string{"m0", "m1", "m2", "m3", "m4"}; !equal(ids, want) {
		s.Errorf("got %q, want %q", ids, want)
	}
}

func resend(s *suite) {
	s.append(message("a1", "k"), message("a2", "k"))
	s.settle(s.wants("a1")["a1"], inbox.SetAside, 0)
	s.is(s.in.Resend(s.Context(), Issuer, "a2"), inbox.ErrNotFound)
	s.is(s.in.Resend(s.Context(), "https://other.example", "a1"), inbox.ErrNotFound)
	s.check(s.in.Resend(s.Context(), Issuer, "a1"))
	if got := s.dead(); len(got) != 0 {
		s.Errorf("got %d dead letters after Resend, want 0", len(got))
	}
	s.restart()
	got := s.wants("a2", "a1")["a1"] // in no order: at the same time as a2
	if got.Attempts != 0 || string(got.SET) != "header.a1.signature" {
		s.Errorf("got %+v, want a1 whole and with no attempt", got)
	}
	if got := s.one(message("a1", "k")); !got.Duplicate {
		s.Error("got a resent message kept again, want a duplicate")
	}
	s.settle(got, inbox.SetAside, 0)
	if n := s.counts().Dead; n != 1 {
		s.Errorf("got %d dead letters, want 1", n)
	}
}

func drop(s *suite) {
	s.append(message("a", "k"))
	s.is(s.in.Drop(s.Context(), Issuer, "a"), inbox.ErrNotFound)
	s.settle(s.wants("a")["a"], inbox.SetAside, 0)
	s.check(s.in.Drop(s.Context(), Issuer, "a"))
	s.is(s.in.Drop(s.Context(), Issuer, "a"), inbox.ErrNotFound)
	if n := s.counts().Dead; n != 0 || len(s.dead()) != 0 {
		s.Errorf("got %d dead letters, want 0", n)
	}
	if got := s.one(message("a", "k")); !got.Duplicate {
		s.Error("got a dropped message kept again, want a duplicate")
	}
}
