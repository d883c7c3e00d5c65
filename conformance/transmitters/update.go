package transmitters

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func (s *suite) updateChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "patch", Title: "changes members of a stream",
			Decides: []string{"SSF-8.1.1.3-02", "SSF-8.1.1.3-04", "SSF-8.1.1-08", "SEC-04"},
			Run:     s.checkPatch,
		},
		{
			Name: "patch-supplied", Title: "sends what is the transmitter's to say",
			Decides: []string{"SSF-8.1.1.3-03"},
			Run:     s.checkSupplied,
		},
		{
			Name: "patch-wrong", Title: "changes a stream in wrong ways",
			Decides: []string{"SSF-8.1.1.3-01"},
			Run:     s.checkPatchWrong,
		},
		{
			Name: "put", Title: "replaces what was said about a stream",
			Decides: []string{"SSF-8.1.1.3-04", "SSF-8.1.1.4-02", "SSF-8.1.1.4-03"},
			Run:     s.checkPut,
		},
		{
			Name: "delete", Title: "deletes a stream",
			Decides: []string{"SSF-8.1.1.5-01", "SSF-8.1.1.5-02"},
			Run:     s.checkDelete,
		},
	}
}

// change sends a body to the configuration endpoint.
func (s *suite) change(ctx context.Context, t *conformance.T, method string, body any) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	return s.do(ctx, t, call{method: method, url: at, body: body})
}

// patch changes a stream, for checks that need it changed.
func (s *suite) patch(ctx context.Context, t *conformance.T, body map[string]any) (object, error) {
	answer, err := s.change(ctx, t, http.MethodPatch, body)
	if err != nil {
		return nil, err
	}
	return usable(answer, "a PATCH")
}

// complete judges that an answer is the whole configuration.
func (s *suite) complete(t *conformance.T, what string, answer conformance.Answer, st *stream) object {
	if answer.Status == http.StatusAccepted {
		t.Skip("SSF-8.1.1.3-04", "the transmitter answers 202: it has not decided yet")
		return nil
	}
	got, err := parseObject(answer.Body)
	if !t.Expect("SSF-8.1.1.3-04", answer.Status == http.StatusOK && err == nil, "got %d for a %s, want 200 and the configuration", answer.Status, what) {
		return nil
	}
	for _, name := range []string{"stream_id", "iss", "aud", "delivery", "events_delivered"} {
		t.Expect("SSF-8.1.1.3-04", got.has(name) || !st.config.has(name), "got no %s in the answer to a %s, want the whole configuration", name, what)
	}
	return got
}

func (s *suite) checkPatch(ctx context.Context, t *conformance.T) error {
	two := []string{caep.SessionRevokedType, caep.CredentialChangeType}
	return s.each(ctx, t, spec{events: two, header: planted}, func(st *stream) error {
		description := s.mark + " changed"
		answer, err := s.change(ctx, t, http.MethodPatch, map[string]any{"stream_id": st.id, "description": description})
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.1-08", noStore(answer.Header), "got Cache-Control %q for a PATCH, want no-store", answer.Header.Get("Cache-Control"))
		if s.complete(t, "PATCH", answer, st) == nil {
			return nil
		}
		got, err := s.read(ctx, t, st.id)
		if err != nil {
			return err
		}
		t2 := t.Last(2)
		t2.Expect("SSF-8.1.1.3-02", got.text("description") == description, "got description %s after a PATCH, want %q", got["description"], description)
		for _, name := range []string{"events_requested", "events_delivered", "delivery"} {
			t2.Expect("SSF-8.1.1.3-02", !st.config.has(name) || same(orNull(got[name]), orNull(st.config[name])), "got %s %s after a PATCH without it, want it unchanged: %s", name, got[name], st.config[name])
		}
		return s.checkFewerEvents(ctx, t, st, got)
	})
}

// checkFewerEvents takes an event out of what is asked for.
func (s *suite) checkFewerEvents(ctx context.Context, t *conformance.T, st *stream, before object) error {
	answer, err := s.change(ctx, t, http.MethodPatch, map[string]any{"stream_id": st.id, "events_requested": []string{caep.SessionRevokedType}})
	if err != nil {
		return err
	}
	got := s.complete(t, "PATCH", answer, st)
	if got == nil {
		return nil
	}
	delivered, _ := got.texts("events_delivered")
	t.Expect("SSF-8.1.1.3-04", !slices.Contains(delivered, caep.CredentialChangeType),
		"got events_delivered %s after one was no longer asked for, want it computed anew", got["events_delivered"])
	t.Expect("SSF-8.1.1.3-02", got.text("description") == before.text("description"), "got description %s after a PATCH without it, want it unchanged", got["description"])
	if st.hook != nil {
		t.Expect("SEC-04", !contains(answer.Body, planted), "got the authorization_header back in the answer to a PATCH, want it kept")
	}
	return nil
}

func (s *suite) checkSupplied(ctx context.Context, t *conformance.T) error {
	return s.each(ctx, t, spec{}, func(st *stream) error {
		equal := map[string]any{"stream_id": st.id, "description": s.mark + " equal"}
		for _, name := range []string{"iss", "aud", "events_supported", "events_delivered"} {
			if st.config.has(name) {
				equal[name] = st.config[name]
			}
		}
		answer, err := s.change(ctx, t, http.MethodPatch, equal)
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.1.3-03", answer.Status/100 == 2, "got %d for a PATCH with the transmitter's own values, want 200", answer.Status)
		if st.hook == nil {
			answer, err = s.change(ctx, t, http.MethodPatch, map[string]any{"stream_id": st.id, "delivery": map[string]any{"method": delivery.MethodPoll}})
			if err != nil {
				return err
			}
			t.Expect("SSF-8.1.1.3-03", answer.Status/100 == 2, "got %d for a PATCH of delivery without the endpoint_url, which is the transmitter's, want 200", answer.Status)
		}
		before, err := s.read(ctx, t, st.id)
		if err != nil {
			return err
		}
		st.config = before
		for _, method := range []string{http.MethodPatch, http.MethodPut} {
			if err := s.checkMismatches(ctx, t, method, st); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkMismatches sends values that are not the transmitter's.
func (s *suite) checkMismatches(ctx context.Context, t *conformance.T, method string, st *stream) error {
	for name, wrong := range map[string]any{
		"iss": "https://other.example", "aud": "https://other.example/aud", "events_delivered": []string{"https://other.example/event"},
	} {
		body := s.body(spec{method: s.methodOf(st), events: []string{caep.SessionRevokedType}}, st.hook)
		body["stream_id"], body["description"], body[name] = st.id, s.mark+" wrong", wrong
		answer, err := s.change(ctx, t, method, body)
		if err != nil {
			return err
		}
		if !t.Expect("SSF-8.1.1.3-03", answer.Status == http.StatusBadRequest, "got %d for a %s with another %s, want 400", answer.Status, method, name) {
			continue
		}
		now, err := s.read(ctx, t, st.id)
		if err != nil {
			return err
		}
		t.Last(2).Expect("SSF-8.1.1.3-03", same(orNull(now["description"]), orNull(st.config["description"])),
			"got description %s after a %s that was refused, want nothing changed", now["description"], method)
	}
	return nil
}

func (s *suite) checkPatchWrong(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(*stream) error { return s.patchWrong(ctx, t) })
}

func (s *suite) patchWrong(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		call call
		want int
	}{
		{"no stream_id", call{body: map[string]any{"description": s.mark}}, http.StatusBadRequest},
		{"a stream that is not there", call{body: map[string]any{"stream_id": unknownID(), "description": s.mark}}, http.StatusNotFound},
		{"a body that is cut off", call{raw: []byte(`{"stream_id":`)}, http.StatusBadRequest},
	} {
		c.call.method, c.call.url = http.MethodPatch, at
		answer, err := s.do(ctx, t, c.call)
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.1.3-01", answer.Status == c.want, "got %d for a PATCH with %s, want %d", answer.Status, c.what, c.want)
	}
	return nil
}

func (s *suite) checkPut(ctx context.Context, t *conformance.T) error {
	two := []string{caep.SessionRevokedType, caep.CredentialChangeType}
	return s.each(ctx, t, spec{events: two}, func(st *stream) error {
		body := s.body(spec{method: s.methodOf(st), events: two}, st.hook)
		body["stream_id"] = st.id
		delete(body, "description")
		got, err := s.put(ctx, t, st, body)
		if err != nil || got == nil {
			return err
		}
		t.Last(2).Expect("SSF-8.1.1.4-02", got.text("description") == "", "got description %s after a PUT without it, want it deleted", got["description"])
		t.Last(2).Expect("SSF-8.1.1.4-03", got.text("stream_id") == st.id, "got stream_id %s after a PUT, want it unchanged", got["stream_id"])
		_, pausable := s.setStatus(ctx, t, st.id, map[string]any{"status": "paused"})
		delete(body, "events_requested")
		if got, err = s.put(ctx, t, st, body); err != nil || got == nil {
			return err
		}
		requested, _ := got.texts("events_requested")
		t.Last(2).Expect("SSF-8.1.1.4-02", !slices.Equal(requested, two), "got events_requested %s after a PUT without it, want it deleted", got["events_requested"])
		if pausable != nil {
			return nil //nolint:nilerror // what cannot be paused stays enabled
		}
		now, err := s.status(ctx, t, st.id)
		if err != nil {
			return err
		}
		t.Last(1).Expect("SSF-8.1.1.4-03", now.text("status") == "paused", "got status %s after a PUT, want it unchanged: paused", now["status"])
		return nil
	})
}

// put replaces a stream, sees that its status stays, and reads what it is then; nil if
// the PUT has done nothing.
func (s *suite) put(ctx context.Context, t *conformance.T, st *stream, body map[string]any) (object, error) {
	before, unknown := s.status(ctx, t, st.id)
	answer, err := s.change(ctx, t, http.MethodPut, body)
	if err != nil || s.complete(t, "PUT", answer, st) == nil {
		return nil, err
	}
	if unknown == nil {
		after, err := s.status(ctx, t, st.id)
		if err != nil {
			return nil, err
		}
		t.Last(3).Expect("SSF-8.1.1.4-03", after.text("status") == before.text("status"), "got status %s after a PUT, want it unchanged: %s", after["status"], before["status"])
	}
	return s.read(ctx, t, st.id)
}

// checkDelete deletes streams. It never sends a DELETE without stream_id: there are
// transmitters that take it for all.
func (s *suite) checkDelete(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	remove := func(id string) (conformance.Answer, error) {
		return s.do(ctx, t, call{method: http.MethodDelete, url: at, query: url.Values{"stream_id": {id}}})
	}
	answer, err := remove(unknownID())
	if err != nil {
		return err
	}
	t.Expect("SSF-8.1.1.5-01", answer.Status == http.StatusNotFound, "got %d for deleting a stream that is not there, want 404", answer.Status)
	return s.each(ctx, t, spec{}, func(st *stream) error {
		if st.hook != nil {
			st.hook.answer(func(int) reply { return reply{status: http.StatusServiceUnavailable} })
		}
		if _, err := s.verify(ctx, t, st, nil); err == nil && st.hook != nil {
			_, _ = s.next(ctx, t, st, s.cfg.Wait, isVerification) // it is to be sent again now
		}
		answer, err := remove(st.id)
		if err != nil {
			return err
		}
		if !t.Expect("SSF-8.1.1.5-01", answer.Status == http.StatusNoContent && len(answer.Body) == 0,
			"got %d with %d bytes for deleting a stream, want 204 without a body", answer.Status, len(answer.Body)) && answer.Status/100 != 2 {
			return fmt.Errorf("the stream cannot be deleted")
		}
		again, err := remove(st.id)
		if err != nil {
			return err
		}
		t.Last(2).Expect("SSF-8.1.1.5-01", again.Status == http.StatusNotFound, "got %d for deleting a stream again, want 404", again.Status)
		return s.checkGone(ctx, t, st, answer)
	})
}

// settle is how long a push can be on its way.
const settle = 250 * time.Millisecond

// checkGone sees that nothing is left of a stream that was deleted.
func (s *suite) checkGone(ctx context.Context, t *conformance.T, st *stream, deleted conformance.Answer) error {
	read, err := s.readAnswer(ctx, t, st.id)
	if err != nil {
		return err
	}
	t.With(deleted.Exchange, read.Exchange).Expect("SSF-8.1.1.5-02", read.Status/100 == 4, "got %d for reading a stream that was deleted, want 404", read.Status)
	if st.hook == nil {
		polled, err := s.poll(ctx, t, st, map[string]any{"returnImmediately": true})
		if err != nil {
			return err
		}
		t.With(deleted.Exchange, polled.Exchange).Expect("SSF-8.1.1.5-02", polled.Status == http.StatusNotFound, "got %d for polling a stream that was deleted, want 404", polled.Status)
		return nil
	}
	if err := sleep(ctx, settle); err != nil { // what was on its way may come
		return err
	}
	over := time.Now()
	late, err := s.silent(ctx, t, st, func(one *token) bool { return one.push.at.After(over) })
	if err != nil {
		return err
	}
	if late == nil {
		t.Expect("SSF-8.1.1.5-02", true, "nothing is pushed after the deletion")
		return nil
	}
	t.With(deleted.Exchange, late.exchange).Expect("SSF-8.1.1.5-02", false, "got a push after the stream was deleted, want none")
	return nil
}
