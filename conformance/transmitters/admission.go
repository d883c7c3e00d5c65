package transmitters

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
)

func (s *suite) admissionChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "admission", Title: "triggers events of subjects that were added, removed, and neither",
			Decides: []string{"SSF-7.1-12", "SSF-7.1-13", "SSF-7.1-14"},
			Run:     s.checkAdmission,
		},
		{
			Name: "matching", Title: "triggers events of subjects that are nearly those of the stream",
			Decides: []string{"SSF-8.1.3.1-01", "SSF-8.1.3.1-02"},
			Run:     s.checkMatching,
		},
		{
			Name: "control", Title: "asks for verification of a stream without events and subjects",
			Decides: []string{"SSF-8.1.3.1-03"},
			Run:     s.checkControlEvents,
		},
	}
}

// hears triggers a session-revoked about a subject and reports whether a stream hears of
// it. Where it is expected not to, the quiet time is waited for.
func (s *suite) hears(ctx context.Context, t *conformance.T, st *stream, sub map[string]any, expected bool) (bool, *conformance.T, error) {
	h := sessionRevoked(sub)
	if err := s.fire(ctx, h); err != nil {
		return false, t, err
	}
	if expected {
		one, err := s.awaited(ctx, t, st, h)
		return one != nil, t.With(exchanges(one)...), err
	}
	one, err := s.silent(ctx, t, st, h.tells)
	return one != nil, t.With(exchanges(one)...), err
}

// move adds or removes a subject.
func (s *suite) move(ctx context.Context, t *conformance.T, endpoint string, st *stream, sub map[string]any) error {
	answer, err := s.subject(ctx, t, endpoint, st.id, sub, nil)
	if err == nil && answer.Status/100 != 2 {
		err = fmt.Errorf("%s answers %d", endpoint, answer.Status)
	}
	return err
}

func (s *suite) checkAdmission(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	all := m.text("default_subjects") == "ALL"
	id, not := "SSF-7.1-13", "SSF-7.1-12"
	if all {
		id, not = not, id
	}
	t.Skip(not, "default_subjects is %s", m.object["default_subjects"])
	if !all && m.text("default_subjects") != "NONE" {
		t.Skip(id, "the metadata does not say which subjects a new stream has")
		return fmt.Errorf("the metadata does not say which subjects a new stream has")
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		who, other := person(), person()
		steps := []struct {
			endpoint string // that is called before, for who
			subject  map[string]any
			want     bool
			id, what string
		}{
			{"", who, all, id, "of a new stream"},
			{addEndpoint, who, true, id, "that was added"},
			{"", other, all, "SSF-7.1-14", "that nobody spoke of"},
			{removeEndpoint, who, false, id, "that was removed"},
			{"", other, all, "SSF-7.1-14", "that nobody spoke of"},
			{addEndpoint, who, true, id, "that was added again"},
		}
		for _, step := range steps {
			if step.endpoint != "" {
				if err := s.move(ctx, t, step.endpoint, st, who); err != nil {
					return err
				}
			}
			got, t, err := s.hears(ctx, t, st, step.subject, step.want)
			if err != nil {
				return err
			}
			if step.endpoint == removeEndpoint {
				t.Expect("SSF-7.1-14", got == step.want, "got an event of a subject that was removed, want none")
			}
			t.Expect(step.id, got == step.want, "got an event delivered: %v, about a subject %s with default_subjects %s, want %v", got, step.what, m.text("default_subjects"), step.want)
		}
		return nil
	})
}

func (s *suite) checkMatching(ctx context.Context, t *conformance.T) error {
	if s.cfg.Trigger == nil {
		return errNoTrigger
	}
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	if m.text("default_subjects") != "NONE" {
		return s.checkMatchingAll(ctx, t, m)
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		who := person()
		if err := s.move(ctx, t, addEndpoint, st, who); err != nil {
			return err
		}
		got, shown, err := s.hears(ctx, t, st, louder(who), false)
		if err != nil {
			return err
		}
		shown.Expect("SSF-8.1.3.1-01", !got, "got an event of a subject in capitals, want only those of the one that was added")
		got, shown, err = s.hears(ctx, t, st, who, true)
		if err != nil {
			return err
		}
		shown.Expect("SSF-8.1.3.1-01", got, "got no event of the subject that was added, want it")
		return s.checkMatchingComplex(ctx, t, st)
	})
}

// checkMatchingAll sees what removing a subject means to others.
func (s *suite) checkMatchingAll(ctx context.Context, t *conformance.T, m *metadata) error {
	t.Skip("SSF-8.1.3.1-02", "default_subjects is %s, so that every complex subject is in a stream", orNull(m.object["default_subjects"]))
	return s.using(ctx, t, spec{}, func(st *stream) error {
		who := person()
		if err := s.move(ctx, t, removeEndpoint, st, who); err != nil {
			return err
		}
		got, shown, err := s.hears(ctx, t, st, louder(who), true)
		if err != nil {
			return err
		}
		shown.Expect("SSF-8.1.3.1-01", got, "got no event of a subject in capitals when that in small letters was removed, want it: they are not identical")
		return nil
	})
}

// louder is an e-mail address whose local part is in capitals: another subject.
func louder(sub map[string]any) map[string]any {
	address, _ := sub["email"].(string)
	local, domain, _ := strings.Cut(address, "@")
	return map[string]any{"format": "email", "email": "conformance-" + strings.ToUpper(local) + "@" + domain}
}

// checkMatchingComplex adds a complex subject, and triggers events of those that match
// it and that do not.
func (s *suite) checkMatchingComplex(ctx context.Context, t *conformance.T, st *stream) error {
	user, device := person(), map[string]any{"format": "opaque", "id": "conformance-device-1"}
	complexOf := func(members map[string]any) map[string]any {
		out := map[string]any{"format": "complex"}
		for name, member := range members {
			out[name] = member
		}
		return out
	}
	if err := s.move(ctx, t, addEndpoint, st, complexOf(map[string]any{"user": user, "device": device})); err != nil {
		t.Skip("SSF-8.1.3.1-02", "complex subjects cannot be added: %v", err)
		return nil
	}
	for _, c := range []struct {
		what  string
		event map[string]any
		want  bool
	}{
		{"the user alone", complexOf(map[string]any{"user": user}), true},
		{"the user and a tenant", complexOf(map[string]any{"user": user, "tenant": map[string]any{"format": "opaque", "id": "conformance-tenant"}}), true},
		{"the user at another device", complexOf(map[string]any{"user": user, "device": map[string]any{"format": "opaque", "id": "conformance-device-2"}}), false},
		{"another user at the device", complexOf(map[string]any{"user": person(), "device": device}), false},
	} {
		got, shown, err := s.hears(ctx, t, st, c.event, c.want)
		if err != nil {
			t.Skip("SSF-8.1.3.1-02", "an event of a complex subject cannot be triggered: %v", err)
			return nil
		}
		shown.Expect("SSF-8.1.3.1-02", got == c.want, "got an event about %s delivered: %v, to a stream with user and device, want %v", c.what, got, c.want)
	}
	return nil
}

// checkControlEvents sees that control events come whatever a stream carries.
func (s *suite) checkControlEvents(ctx context.Context, t *conformance.T) error {
	err := s.using(ctx, t, spec{}, func(st *stream) error {
		_, err := s.verification(ctx, t, st)
		return err
	})
	if err != nil {
		return err // there is nothing to compare with
	}
	return s.using(ctx, t, spec{events: []string{}}, func(st *stream) error {
		one, err := s.verification(ctx, t, st)
		if err != nil && !errors.Is(err, errNoVerification) {
			return err
		}
		t.With(append([]conformance.Exchange{st.created.Exchange}, exchanges(one)...)...).Expect("SSF-8.1.3.1-03", one != nil,
			"got %s for a stream that carries no events, want verification all the same", orFine(err))
		return nil
	})
}
