package inboxtest

import (
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// verification returns a message that answers a state.
func verification(id, state string) inbox.Message {
	m := message(id, "stream")
	m.State = &state
	return m
}

func (s *suite) expect(state string, in time.Duration) {
	s.Helper()
	s.check(s.in.Expect(s.Context(), Feed, state, time.Now().Add(in)))
}

func (s *suite) outstanding(want ...string) {
	s.Helper()
	states, err := s.in.Outstanding(s.Context(), Feed)
	s.check(err)
	var got []string
	for _, state := range states {
		got = append(got, state.Value)
	}
	if !equal(got, want) {
		s.Errorf("got states %q outstanding, want %q", got, want)
	}
}

func states(s *suite) {
	s.expect("one", time.Hour)
	s.expect("two", 2*time.Hour)
	s.expect("", 3*time.Hour)
	if got := s.one(verification("v0", "three")); !errors.Is(got.Err, inbox.ErrUnexpectedState) || got.Duplicate {
		s.Errorf("got %+v, want %v", got, inbox.ErrUnexpectedState)
	}
	s.append(verification("v1", "one"))
	s.outstanding("two", "")
	if got := s.one(verification("v1", "one")); !got.Duplicate || got.Err != nil {
		s.Errorf("got %+v for a repeat, want the answer of the first time", got)
	}
	if got := s.one(verification("v2", "one")); !errors.Is(got.Err, inbox.ErrUnexpectedState) {
		s.Errorf("got %+v for a state answered before, want %v", got, inbox.ErrUnexpectedState)
	}
	other := verification("v3", "two")
	other.Feed = "other"
	if got := s.one(other); !errors.Is(got.Err, inbox.ErrUnexpectedState) {
		s.Errorf("got %+v for the state of another feed, want %v", got, inbox.ErrUnexpectedState)
	}
	s.append(verification("v4", ""), message("v5", "stream")) // an empty state, and none at all
	s.outstanding("two")
	s.settle(s.wants("v1")["v1"], inbox.Done, 0)
	s.settle(s.wants("v4")["v4"], inbox.Done, 0)
	s.wants("v5")
}

func statesSurvive(s *suite) {
	s.expect("late", time.Hour)
	s.expect("answered", 2*time.Hour)
	s.restart()
	s.outstanding("late", "answered")
	<-time.After(time.Hour)
	s.outstanding("answered")
	if got := s.one(verification("v1", "late")); !errors.Is(got.Err, inbox.ErrUnexpectedState) {
		s.Errorf("got %+v for an expired state, want %v", got, inbox.ErrUnexpectedState)
	}
	s.append(verification("v2", "answered"))
	s.restart()
	s.outstanding()
}

func statesBounded(s *suite) {
	for i := range inbox.MaxStates {
		s.expect(number("s", i), time.Hour)
	}
	s.is(s.in.Expect(s.Context(), Feed, "one more", time.Now().Add(time.Hour)), inbox.ErrFull)
	s.check(s.in.Expect(s.Context(), "other", "s", time.Now().Add(time.Hour)))
	<-time.After(time.Hour)
	s.expect("one more", time.Hour)
	s.outstanding("one more")
}
