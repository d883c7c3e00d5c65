package transmitters

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// tryCreate makes a request that may make a stream, and deletes what it made.
func (s *suite) tryCreate(ctx context.Context, t *conformance.T, c call) (conformance.Answer, object, error) {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return conformance.Answer{}, nil, err
	}
	c.method, c.url = http.MethodPost, at
	answer, err := s.do(ctx, t, c)
	if err != nil {
		return answer, nil, err
	}
	if answer.Status == http.StatusConflict {
		return answer, nil, errOneStream
	}
	config, _ := parseObject(answer.Body)
	if made, err := s.took(answer); err == nil {
		s.remove(ctx, made.id)
	}
	return answer, config, nil
}

// checkCreateEmpty makes a stream with as little as can be said.
func (s *suite) checkCreateEmpty(ctx context.Context, t *conformance.T) error {
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	answer, config, err := s.tryCreate(ctx, t, call{raw: []byte("{}")})
	if err != nil {
		return err
	}
	if !m.supports(delivery.MethodPoll) {
		t.Expect("SSF-8.1.1.1-02", answer.Status == http.StatusBadRequest, "got %d for no delivery where poll is not supported, want 400", answer.Status)
		return nil
	}
	if !t.Expect("SSF-8.1.1.1-04", answer.Status/100 == 2, "got %d for a creation with {}, want 201", answer.Status) {
		return nil
	}
	d := config.object("delivery")
	t.Expect("SSF-8.1.1.1-02", d.text("method") == delivery.MethodPoll && d.text("endpoint_url") != "",
		"got delivery %s where none was asked for, want poll with its endpoint_url", config["delivery"])
	return nil
}

// checkCreatePollURL gives an endpoint_url that is not the receiver's to give.
func (s *suite) checkCreatePollURL(ctx context.Context, t *conformance.T) error {
	if !s.cfg.Poll {
		return fmt.Errorf("poll is not tested")
	}
	const mine = "https://receiver.example/poll"
	answer, config, err := s.tryCreate(ctx, t, call{body: map[string]any{
		"description": s.mark, "delivery": map[string]any{"method": delivery.MethodPoll, "endpoint_url": mine},
	}})
	if err != nil {
		return err
	}
	if t.Expect("SSF-8.1.1.1-04", answer.Status/100 == 2, "got %d for a creation for poll with an endpoint_url, want it ignored", answer.Status) {
		got := config.object("delivery").text("endpoint_url")
		t.Expect("SSF-8.1.1.1-04", got != mine, "got the receiver's endpoint_url %q for poll, want the transmitter's", got)
	}
	return nil
}

// checkCreateWrong makes requests that must be refused.
func (s *suite) checkCreateWrong(ctx context.Context, t *conformance.T) error {
	push := func(d map[string]any) any {
		d["method"] = delivery.MethodPush
		return map[string]any{"description": s.mark, "delivery": d}
	}
	cases := []struct {
		id, what string
		call     call
		push     bool
	}{
		{"SSF-8.1.1.1-04", "a body that is cut off", call{raw: []byte(`{"delivery":`)}, false},
		{"SSF-8.1.1.1-04", "a body that is a list", call{raw: []byte(`[1]`)}, false},
		{"SSF-8.1.1.1-02", "a method that nobody supports", call{body: map[string]any{
			"description": s.mark, "delivery": map[string]any{"method": "urn:example:carrier-pigeon", "endpoint_url": "https://receiver.example/x"},
		}}, false},
		{"SSF-6.1.1-01", "push without an endpoint_url", call{body: push(map[string]any{})}, true},
		{"SSF-6.1.1-01", "push by plain http", call{body: push(map[string]any{"endpoint_url": "http://receiver.example/push"})}, true},
		{"SSF-6.1.1-01", "push to what is no URL", call{body: push(map[string]any{"endpoint_url": "not a URL"})}, true},
		{"SEC-07", "an authorization_header of two lines", call{body: push(map[string]any{
			"endpoint_url": "https://receiver.example/push", "authorization_header": "Bearer a\r\nX-Smuggled: 1",
		})}, true},
	}
	for _, c := range cases {
		if c.push && !s.cfg.Push {
			t.Skip(c.id, "push is not tested")
			continue
		}
		answer, _, err := s.tryCreate(ctx, t, c.call)
		if err != nil {
			return err
		}
		t.Expect(c.id, answer.Status == http.StatusBadRequest, "got %d for a creation with %s, want 400", answer.Status, c.what)
	}
	return nil
}

// checkCreateEvents asks for events that nobody has.
func (s *suite) checkCreateEvents(ctx context.Context, t *conformance.T) error {
	const unknown = "https://receiver.example/event-type/unheard-of"
	p := spec{method: s.methods()[0], events: []string{unknown, caep.SessionRevokedType}}
	var h *hook
	if p.method == delivery.MethodPush {
		h = s.sink.hook()
	}
	answer, config, err := s.tryCreate(ctx, t, call{body: s.body(p, h)})
	if err != nil {
		return err
	}
	if t.Expect("SSF-8.1.1-02", answer.Status/100 == 2, "got %d for a creation that asks for an unknown event, want 201", answer.Status) {
		delivered, _ := config.texts("events_delivered")
		t.Expect("SSF-8.1.1-02", !slices.Contains(delivered, unknown), "got an unknown event in events_delivered %s, want it left out", config["events_delivered"])
	}
	return nil
}

// checkContentType says nothing about what a body is.
func (s *suite) checkContentType(ctx context.Context, t *conformance.T) error {
	p := spec{method: s.methods()[0], events: []string{caep.SessionRevokedType}}
	var h *hook
	if p.method == delivery.MethodPush {
		h = s.sink.hook()
	}
	answer, _, err := s.tryCreate(ctx, t, call{raw: encode(s.body(p, h)), header: http.Header{"Content-Type": {}}})
	if err != nil {
		return err
	}
	t.Expect("SSF-8.1.1-09", answer.Status/100 == 2, "got %d for a creation without a Content-Type, want 201", answer.Status)
	return nil
}

// checkSecond makes a second stream, and sees that the two are two.
func (s *suite) checkSecond(ctx context.Context, t *conformance.T) error {
	return s.using(ctx, t, spec{}, func(first *stream) error {
		second, err := s.create(ctx, t, spec{})
		if err == errOneStream { //nolint:errorlint // it is never wrapped
			t.Expect("SSF-8.1.1.1-03", true, "got 409 for a second stream, want 201 or that")
			return s.unchanged(ctx, t, "SSF-8.1.1.1-03", first)
		}
		if err != nil {
			t.Expect("SSF-8.1.1.1-03", false, "got %v for a second stream, want 201 or 409", err)
			return nil
		}
		defer s.remove(ctx, second.id)
		if !t.Expect("SSF-8.1.1.1-03", second.id != first.id, "got stream_id %q for two streams, want two", second.id) {
			return nil
		}
		if first.pollURL != "" && second.pollURL != "" {
			t.With(first.created.Exchange, second.created.Exchange).Expect("SSF-6.1.2-01", first.pollURL != second.pollURL,
				"got endpoint_url %q for two streams, want two", second.pollURL)
		}
		return s.isolated(ctx, t, first, second)
	})
}

// unchanged sees that a stream is what it was.
func (s *suite) unchanged(ctx context.Context, t *conformance.T, id string, st *stream) error {
	now, err := s.read(ctx, t, st.id)
	if err != nil {
		return err
	}
	for _, name := range []string{"stream_id", "events_requested", "events_delivered", "description", "delivery"} {
		t.Expect(id, !st.config.has(name) || same(orNull(now[name]), orNull(st.config[name])), "got %s %s afterwards, want it as it was: %s", name, now[name], st.config[name])
	}
	return nil
}

// isolated changes one stream, and sees that another does not change.
func (s *suite) isolated(ctx context.Context, t *conformance.T, first, second *stream) error {
	before, err := s.status(ctx, t, first.id)
	if err != nil {
		return err
	}
	if _, err := s.patch(ctx, t, map[string]any{"stream_id": second.id, "description": s.mark + " second", "events_requested": []string{}}); err != nil {
		return err
	}
	if _, err := s.setStatus(ctx, t, second.id, map[string]any{"status": "paused"}); err != nil {
		return err
	}
	if err := s.unchanged(ctx, t, "SSF-8.1.1-10", first); err != nil {
		return err
	}
	now, err := s.status(ctx, t, first.id)
	if err != nil {
		return err
	}
	t.Expect("SSF-8.1.1-10", same(orNull(now["status"]), orNull(before["status"])), "got status %s when another stream was paused, want it as before: %s", now["status"], before["status"])
	return nil
}
