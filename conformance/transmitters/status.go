package transmitters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

func (s *suite) statusChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "status", Title: "reads the status of a stream",
			Decides: []string{"SSF-8.1.2.1-01", "SSF-8.1.2.1-02", "SSF-8.1.2.1-03", "INTEROP-2.3.8.2-01"},
			Run:     s.checkStatus,
		},
		{
			Name: "status-update", Title: "changes the status of a stream",
			Decides: []string{"SSF-8.1.2.2-01", "SSF-8.1.2.1-02", "INTEROP-2.3.5-01"},
			Run:     s.checkSetStatus,
		},
		{
			Name: "status-wrong", Title: "changes the status in wrong ways",
			Decides: []string{"SSF-8.1.2.1-02", "SSF-8.1.2.2-02"},
			Run:     s.checkStatusWrong,
		},
		{
			Name: "paused", Title: "sees what comes while a stream is paused",
			Decides: []string{"SSF-8.1.2.1-04", "SSF-8.1.2-03"},
			Run:     s.checkPaused,
		},
		{
			Name: "disabled", Title: "sees what comes while a stream is disabled, and after",
			Decides: []string{"SSF-8.1.2.1-06", "SSF-8.1.2-03"},
			Run:     s.checkDisabled,
		},
	}
}

// statusAnswer reads the status of a stream.
func (s *suite) statusAnswer(ctx context.Context, t *conformance.T, id string) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, statusEndpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	return s.do(ctx, t, call{url: at, query: url.Values{"stream_id": {id}}})
}

func (s *suite) status(ctx context.Context, t *conformance.T, id string) (object, error) {
	answer, err := s.statusAnswer(ctx, t, id)
	if err != nil {
		return nil, err
	}
	return usable(answer, "reading the status")
}

// postStatus sends a body to the status endpoint, with a query as the official tests do.
func (s *suite) postStatus(ctx context.Context, t *conformance.T, id string, body map[string]any) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, statusEndpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	body = maps.Clone(body)
	body["stream_id"] = id
	return s.do(ctx, t, call{method: http.MethodPost, url: at, query: url.Values{"stream_id": {id}}, body: body})
}

// setStatus changes the status, for checks that need it changed.
func (s *suite) setStatus(ctx context.Context, t *conformance.T, id string, body map[string]any) (conformance.Answer, error) {
	answer, err := s.postStatus(ctx, t, id, body)
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("changing the status to %v answers %d", body["status"], answer.Status)
	}
	return answer, err
}

func statuses() []string { return []string{"enabled", "paused", "disabled"} }

func (s *suite) checkStatus(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		answer, err := s.statusAnswer(ctx, t, st.id)
		if err != nil {
			return err
		}
		t.Expect("INTEROP-2.3.8.2-01", answer.Status/100 == 2, "got %d for reading the status, want 200", answer.Status)
		got, err := parseObject(answer.Body)
		t.Expect("SSF-8.1.2.1-01", answer.Status == http.StatusOK && err == nil && got.text("stream_id") == st.id && got.text("status") != "",
			"got %d and stream_id %s, status %s for reading the status, want 200 and both", answer.Status, got["stream_id"], got["status"])
		if got.text("status") != "" {
			t.Expect("SSF-8.1.2.1-02", slices.Contains(statuses(), got.text("status")), "got status %s, want enabled, paused or disabled", got["status"])
			t.Expect("SSF-8.1.2.1-03", got.text("status") == "enabled", "got status %s of a new stream, want enabled", got["status"])
		}
		answer, err = s.statusAnswer(ctx, t, unknownID())
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.2.1-01", answer.Status == http.StatusNotFound, "got %d for the status of a stream that is not there, want 404", answer.Status)
		return nil
	})
}

func (s *suite) checkSetStatus(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(st *stream) error {
		for _, status := range []string{"paused", "paused", "disabled", "enabled"} {
			answer, err := s.postStatus(ctx, t, st.id, map[string]any{"status": status, "reason": "because of a test"})
			if err != nil {
				return err
			}
			if answer.Status == http.StatusAccepted {
				t.Skip("SSF-8.1.2.2-01", "the transmitter answers 202: it has not decided yet")
				return nil
			}
			t.Expect("INTEROP-2.3.5-01", answer.Status == http.StatusOK, "got %d for the status %s, want 200", answer.Status, status)
			if answer.Status == http.StatusForbidden {
				t.Skip("SSF-8.1.2.2-01", "the transmitter does not allow the status %s", status)
				return nil
			}
			got, err := parseObject(answer.Body)
			t.Expect("SSF-8.1.2.2-01", answer.Status == http.StatusOK && err == nil && got.text("status") == status && got.text("stream_id") == st.id,
				"got %d and stream_id %s, status %s for the status %s, want 200 and that", answer.Status, got["stream_id"], got["status"], status)
			if err := s.checkStatusIs(ctx, t, st, status); err != nil {
				return err
			}
		}
		return s.checkReason(ctx, t, st)
	})
}

func (s *suite) checkStatusIs(ctx context.Context, t *conformance.T, st *stream, status string) error {
	now, err := s.status(ctx, t, st.id)
	if err != nil {
		return err
	}
	t.Last(2).Expect("SSF-8.1.2.2-01", now.text("status") == status, "got status %s after it was set to %s, want that", now["status"], status)
	t.Expect("SSF-8.1.2.1-02", slices.Contains(statuses(), now.text("status")), "got status %s, want enabled, paused or disabled", now["status"])
	return nil
}

// checkReason sees that a reason that is not said again is gone.
func (s *suite) checkReason(ctx context.Context, t *conformance.T, st *stream) error {
	if _, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "paused", "reason": "the first reason"}); err != nil {
		return err
	}
	if _, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "enabled"}); err != nil {
		return err
	}
	now, err := s.status(ctx, t, st.id)
	if err != nil {
		return err
	}
	t.Last(2).Expect("SSF-8.1.2.2-01", now.text("reason") != "the first reason", "got the reason of the status before, want it gone")
	return nil
}

func (s *suite) checkStatusWrong(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, statusEndpoint)
	if err != nil {
		return err
	}
	return s.using(ctx, t, spec{}, func(st *stream) error {
		for _, c := range []struct {
			id, what string
			call     call
			want     int
		}{
			{"SSF-8.1.2.1-02", "a status that is none", call{body: map[string]any{"stream_id": st.id, "status": "asleep"}}, http.StatusBadRequest},
			{"SSF-8.1.2.1-02", "a status in capitals", call{body: map[string]any{"stream_id": st.id, "status": "PAUSED"}}, http.StatusBadRequest},
			{"SSF-8.1.2.2-02", "a body that is cut off", call{raw: []byte(`{"stream_id":`)}, http.StatusBadRequest},
			{"SSF-8.1.2.2-02", "no stream_id", call{body: map[string]any{"status": "paused"}}, http.StatusBadRequest},
			{"SSF-8.1.2.2-02", "a stream that is not there", call{body: map[string]any{"stream_id": unknownID(), "status": "paused"}}, http.StatusNotFound},
		} {
			c.call.method, c.call.url = http.MethodPost, at
			answer, err := s.do(ctx, t, c.call)
			if err != nil {
				return err
			}
			t.Expect(c.id, answer.Status == c.want, "got %d for changing the status with %s, want %d", answer.Status, c.what, c.want)
		}
		return nil
	})
}

// something makes something happen that a stream would tell of: a verification, and an
// event if there is a trigger. It returns what tells the SETs of it from those of what
// happens at the transmitter besides. The error says that nothing happened: then that
// nothing comes shows nothing.
func (s *suite) something(ctx context.Context, t *conformance.T, st *stream) (func(*token) bool, error) {
	answer, err := s.verify(ctx, t, st, nil) // it may be refused now
	happened := err == nil && answer.Status/100 == 2
	h := sessionRevoked(person())
	if s.cfg.Trigger != nil && s.trigger(ctx, t, st, h) == nil {
		happened = true
	}
	if !happened {
		return nil, errors.New("nothing could be made to happen: verification is refused, and there is no trigger, or none that works")
	}
	return func(one *token) bool { return isVerification(one) || h.tells(one) }, nil
}

func isOrdinary(one *token) bool { return !one.is(ssf.StreamUpdatedType) }

func (s *suite) checkPaused(ctx context.Context, t *conformance.T) error {
	return s.each(ctx, t, spec{}, func(st *stream) error {
		paused, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "paused"})
		if err != nil {
			return err
		}
		if _, err := s.something(ctx, t, st); err != nil {
			return errors.Join(s.emptyPoll(ctx, t, st, "paused"), err)
		}
		return s.quiet(ctx, t, "SSF-8.1.2.1-04", "paused", st, paused)
	})
}

// emptyPoll sees that a poll of a stream that is stopped is answered. What comes by it is
// kept; the error says that none can come.
func (s *suite) emptyPoll(ctx context.Context, t *conformance.T, st *stream, status string) error {
	if st.hook != nil {
		return nil
	}
	answer, err := s.poll(ctx, t, st, map[string]any{"returnImmediately": true})
	if err != nil {
		return err
	}
	body, err := parseObject(answer.Body)
	t.Expect("SSF-8.1.2-03", answer.Status == http.StatusOK && err == nil, "got %d for a poll of a stream that is %s, want 200 and no SETs", answer.Status, status)
	if answer.Status != http.StatusOK || body.object("sets") == nil {
		return fmt.Errorf("a poll of a stream that is %s answers %d without sets", status, answer.Status)
	}
	tokens, _ := pollSets(answer)
	for _, one := range tokens {
		s.arrived(t, st, one, answer.Exchange, nil)
	}
	return nil
}

// quiet sees that nothing but what must comes.
func (s *suite) quiet(ctx context.Context, t *conformance.T, id, status string, st *stream, changed conformance.Answer) error {
	if err := s.emptyPoll(ctx, t, st, status); err != nil {
		return err
	}
	late, err := s.silent(ctx, t, st, isOrdinary)
	if err != nil {
		return err
	}
	if late == nil {
		t.Expect(id, true, "nothing comes while the stream is %s", status)
		return nil
	}
	t.With(changed.Exchange, late.exchange).Expect(id, false, "got a SET while the stream is %s, want none", status)
	return nil
}

func (s *suite) checkDisabled(ctx context.Context, t *conformance.T) error {
	return s.each(ctx, t, spec{}, func(st *stream) error {
		disabled, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "disabled"})
		if err != nil {
			return err
		}
		of, err := s.something(ctx, t, st)
		if err != nil {
			return errors.Join(s.emptyPoll(ctx, t, st, "disabled"), err)
		}
		if err := s.quiet(ctx, t, "SSF-8.1.2.1-06", "disabled", st, disabled); err != nil {
			return err
		}
		if _, err := s.setStatus(ctx, t, st.id, map[string]any{"status": "enabled"}); err != nil {
			return nil //nolint:nilerror // who cannot enable it again gets nothing of before
		}
		late, err := s.silent(ctx, t, st, of)
		if err != nil || late == nil {
			return err
		}
		t.With(disabled.Exchange, late.exchange).Expect("SSF-8.1.2.1-06", false, "got a SET of when the stream was disabled after it was enabled, want it lost")
		return nil
	})
}
