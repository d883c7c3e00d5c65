package streams_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

func TestChangeSubjects(t *testing.T) {
	email := subject.Email("a@b.c")
	no, yes := false, true
	cases := []struct {
		name             string
		id               func(stream string) subject.Identifier
		verified         *bool
		ignoreUnverified bool
		wantKept         bool
	}{
		{"SSF-8.1.3.2-01", func(string) subject.Identifier { return email }, nil, true, true},
		{"SSF-8.1.3.2-02 verified", func(string) subject.Identifier { return email }, &yes, true, true},
		{"SSF-8.1.3.2-02 unverified by default", func(string) subject.Identifier { return email }, &no, false, true},
		{"SSF-8.1.3.2-02 unverified ignored by policy", func(string) subject.Identifier { return email }, &no, true, false},
		{"SSF-8.1.3-03 the stream itself", subject.Opaque, nil, false, false},
		{"another stream's id is a subject like any other", func(s string) subject.Identifier { return subject.Opaque(s + "x") }, nil, false, true},
	}
	for _, c := range cases {
		b := newBench(t, func(cfg *streams.CatalogConfig) { cfg.IgnoreUnverified = c.ignoreUnverified })
		s := b.create(t, alice, `{}`)
		change := streams.SubjectChange{StreamID: s.ID, Subject: c.id(s.ID), Verified: c.verified}
		var want []string
		if c.wantKept {
			want = []string{"add " + change.Subject.Canonical()}
		}
		if err := b.AddSubject(t.Context(), alice, change); err != nil || !cmp.Equal(b.store.subjects, want) {
			t.Errorf("%s: add: got %v, %v, want %v", c.name, b.store.subjects, err, want)
		}
		want, b.store.subjects = nil, nil
		if !change.Subject.Equal(subject.Opaque(s.ID)) {
			want = []string{"remove " + change.Subject.Canonical()}
		}
		if err := b.RemoveSubject(t.Context(), alice, change); err != nil || !cmp.Equal(b.store.subjects, want) {
			t.Errorf("%s: remove: got %v, %v, want %v", c.name, b.store.subjects, err, want)
		}
	}
}

// SSF-8.1.3.2-04, SEC-08: a bound that is reached, and no subject at all.
func TestChangeSubjectsRefuses(t *testing.T) {
	b := newBench(t)
	s := b.create(t, alice, `{}`)
	b.store.full = true
	for _, apply := range []func(streams.SubjectChange) error{
		func(c streams.SubjectChange) error { return b.AddSubject(t.Context(), alice, c) },
		func(c streams.SubjectChange) error { return b.RemoveSubject(t.Context(), alice, c) },
	} {
		if err := apply(streams.SubjectChange{StreamID: s.ID, Subject: subject.Email("a@b.c")}); !errors.Is(err, streams.ErrFull) {
			t.Errorf("full: got %v, want ErrFull", err)
		}
		if rule := refusal(t, apply(streams.SubjectChange{StreamID: s.ID})); rule.Member != "subject" {
			t.Errorf("no subject: got %v, want Invalid subject", rule)
		}
	}
}
