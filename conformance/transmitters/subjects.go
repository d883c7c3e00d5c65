package transmitters

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
)

func (s *suite) subjectChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "subject-add", Title: "adds a subject",
			Decides: []string{"SSF-8.1.3.2-01", "SSF-8.1.3.2-02", "SSF-8.1.3-02", "SSF-9.1-01"},
			Run:     s.checkAdd,
		},
		{
			Name: "subject-remove", Title: "removes a subject",
			Decides: []string{"SSF-8.1.3.3-01", "SSF-8.1.3-02", "SSF-9.1-01"},
			Run:     s.checkRemove,
		},
		{
			Name: "subject-wrong", Title: "adds and removes in wrong ways",
			Decides: []string{"SSF-8.1.3.2-04", "SSF-8.1.3.3-01"},
			Run:     s.checkSubjectWrong,
		},
		{
			Name: "subject-own", Title: "removes the stream's own subject",
			Decides: []string{"SSF-8.1.3-03"},
			Run:     s.checkOwnSubject,
		},
	}
}

// person is a subject that nobody has used before.
func person() map[string]any {
	return map[string]any{"format": "email", "email": "conformance-" + strings.ToLower(rand.Text()) + "@tocsin.example"}
}

// subject adds or removes a subject.
func (s *suite) subject(ctx context.Context, t *conformance.T, endpoint, id string, sub any, more map[string]any) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, endpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	body := map[string]any{"stream_id": id, "subject": sub}
	for name, value := range more {
		body[name] = value
	}
	return s.do(ctx, t, call{method: http.MethodPost, url: at, body: body})
}

func (s *suite) checkAdd(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		one := person()
		answer, err := s.subject(ctx, t, addEndpoint, st.id, one, nil)
		if err != nil {
			return err
		}
		// A subject that the transmitter does not know may be told by 404, and better not.
		t.Expect("SSF-9.1-01", answer.Status != http.StatusNotFound, "got 404 for adding a subject that nobody knows, want no telling who is known")
		if answer.Status == http.StatusNotFound || answer.Status == http.StatusForbidden {
			t.Skip("SSF-8.1.3.2-01", "the transmitter does not take a subject that it does not know")
			return nil
		}
		t.Expect("SSF-8.1.3.2-01", answer.Status == http.StatusOK && len(answer.Body) == 0, "got %d with %d bytes for adding a subject, want 200 without a body", answer.Status, len(answer.Body))
		again, err := s.subject(ctx, t, addEndpoint, st.id, one, nil)
		if err != nil {
			return err
		}
		t.Last(2).Expect("SSF-8.1.3-02", again.Status == answer.Status, "got %d for adding a subject again, want %d as before", again.Status, answer.Status)
		verified, err := s.subject(ctx, t, addEndpoint, st.id, person(), map[string]any{"verified": true})
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.3.2-02", verified.Status == answer.Status, "got %d for adding a subject that is verified, and %d for one without a word, want the same", verified.Status, answer.Status)
		return nil
	})
}

func (s *suite) checkRemove(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		one := person()
		if _, err := s.subject(ctx, t, addEndpoint, st.id, one, nil); err != nil {
			return err
		}
		answer, err := s.subject(ctx, t, removeEndpoint, st.id, one, nil)
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.3.3-01", answer.Status == http.StatusNoContent && len(answer.Body) == 0, "got %d with %d bytes for removing a subject, want 204 without a body", answer.Status, len(answer.Body))
		again, err := s.subject(ctx, t, removeEndpoint, st.id, one, nil)
		if err != nil {
			return err
		}
		t.Last(2).Expect("SSF-8.1.3-02", again.Status == answer.Status, "got %d for removing a subject again, want %d as before", again.Status, answer.Status)
		unknown, err := s.subject(ctx, t, removeEndpoint, st.id, person(), nil)
		if err != nil {
			return err
		}
		t.Expect("SSF-9.1-01", unknown.Status == answer.Status, "got %d for removing a subject that nobody knows, and %d for another, want no telling who is known", unknown.Status, answer.Status)
		return nil
	})
}

func (s *suite) checkSubjectWrong(ctx context.Context, t *conformance.T) error {
	ids := map[string]string{addEndpoint: "SSF-8.1.3.2-04", removeEndpoint: "SSF-8.1.3.3-01"}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		var errs []error
		for endpoint, id := range ids {
			at, err := s.endpoint(ctx, t, endpoint)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			for _, c := range []struct {
				what string
				call call
				want int
			}{
				{"a body that is cut off", call{raw: []byte(`{"stream_id":`)}, http.StatusBadRequest},
				{"no subject", call{body: map[string]any{"stream_id": st.id}}, http.StatusBadRequest},
				{"no stream_id", call{body: map[string]any{"subject": person()}}, http.StatusBadRequest},
				{"a subject that is a text", call{body: map[string]any{"stream_id": st.id, "subject": "jo@tocsin.example"}}, http.StatusBadRequest},
				{"a subject without format", call{body: map[string]any{"stream_id": st.id, "subject": map[string]any{"email": "jo@tocsin.example"}}}, http.StatusBadRequest},
				{"a subject without what its format needs", call{body: map[string]any{"stream_id": st.id, "subject": map[string]any{"format": "iss_sub", "iss": "https://tocsin.example"}}}, http.StatusBadRequest},
				{"a stream that is not there", call{body: map[string]any{"stream_id": unknownID(), "subject": person()}}, http.StatusNotFound},
			} {
				c.call.method, c.call.url = http.MethodPost, at
				answer, err := s.do(ctx, t, c.call)
				if err != nil {
					return err
				}
				t.Expect(id, answer.Status == c.want, "got %d at %s for %s, want %d", answer.Status, endpoint, c.what, c.want)
			}
		}
		return errors.Join(errs...)
	})
}

// checkOwnSubject sees that verification still comes when its subject was removed.
func (s *suite) checkOwnSubject(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		if _, err := s.verification(ctx, t, st); err != nil {
			return err // nothing would be seen
		}
		answer, err := s.subject(ctx, t, removeEndpoint, st.id, map[string]any{"format": "opaque", "id": st.id}, nil)
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.3-03", answer.Status/100 == 2, "got %d for removing the stream's own subject, want 204 and nothing done", answer.Status)
		got, err := s.verification(ctx, t, st)
		if err != nil && !errors.Is(err, errNoVerification) {
			return err
		}
		t.With(answer.Exchange).Expect("SSF-8.1.3-03", got != nil, "got %s after the stream's own subject was removed, want verification as before", orFine(err))
		return nil
	})
}
