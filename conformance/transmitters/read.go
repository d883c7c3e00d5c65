package transmitters

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// read reads a stream's configuration.
func (s *suite) read(ctx context.Context, t *conformance.T, id string) (object, error) {
	answer, err := s.readAnswer(ctx, t, id)
	if err != nil {
		return nil, err
	}
	return usable(answer, "reading a stream")
}

func (s *suite) readAnswer(ctx context.Context, t *conformance.T, id string) (conformance.Answer, error) {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return conformance.Answer{}, err
	}
	return s.do(ctx, t, call{url: at, query: url.Values{"stream_id": {id}}})
}

// usable returns the object of an answer that is a success.
func usable(answer conformance.Answer, what string) (object, error) {
	o, err := parseObject(answer.Body)
	if answer.Status/100 != 2 || err != nil {
		return nil, fmt.Errorf("%s answers %d without an object", what, answer.Status)
	}
	return o, nil
}

// orNull is a member that may be absent.
func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

func (s *suite) readChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "read", Title: "reads a stream",
			Decides: []string{"SSF-8.1.1.2-01", "SSF-8.1.1-08", "SEC-04", "INTEROP-2.3.8.2-01"},
			Run:     s.checkRead,
		},
		{
			Name: "list", Title: "lists the streams",
			Decides: []string{"SSF-8.1.1.2-02", "SSF-8.1.1-08", "SEC-04"},
			Run:     s.checkList,
		},
	}
}

const planted = "Bearer planted-in-the-stream-1"

func (s *suite) checkRead(ctx context.Context, t *conformance.T) error {
	return s.each(ctx, t, spec{header: planted}, func(st *stream) error {
		answer, err := s.readAnswer(ctx, t, st.id)
		if err != nil {
			return err
		}
		t.Expect("INTEROP-2.3.8.2-01", answer.Status/100 == 2, "got %d for reading a stream, want 200", answer.Status)
		got, err := parseObject(answer.Body)
		t.Expect("SSF-8.1.1.2-01", answer.Status == http.StatusOK && err == nil, "got %d for reading a stream, want 200 and an object", answer.Status)
		for _, name := range []string{"stream_id", "iss", "aud", "events_delivered", "delivery"} {
			if err == nil && st.config.has(name) {
				t.Last(1).Expect("SSF-8.1.1.2-01", same(orNull(got[name]), st.config[name]), "got %s %s, want it as on creation: %s", name, got[name], st.config[name])
			}
		}
		t.Expect("SSF-8.1.1-08", noStore(answer.Header), "got Cache-Control %q for reading a stream, want no-store", answer.Header.Get("Cache-Control"))
		if st.hook != nil {
			t.Expect("SEC-04", !strings.Contains(string(answer.Body), planted), "got the authorization_header back in an answer, want it kept")
		}
		answer, err = s.readAnswer(ctx, t, unknownID())
		if err != nil {
			return err
		}
		t.Expect("SSF-8.1.1.2-01", answer.Status == http.StatusNotFound, "got %d for reading a stream that is not there, want 404", answer.Status)
		return nil
	})
}

func (s *suite) checkList(ctx context.Context, t *conformance.T) error {
	at, err := s.endpoint(ctx, t, configurationEndpoint)
	if err != nil {
		return err
	}
	listed := func(id string) (bool, error) {
		answer, err := s.do(ctx, t, call{url: at})
		if err != nil {
			return false, err
		}
		list, err := parseArray(answer.Body)
		t.Expect("SSF-8.1.1.2-02", answer.Status == http.StatusOK && err == nil, "got %d for listing streams, want 200 and an array, also of one or none", answer.Status)
		t.Expect("SSF-8.1.1-08", noStore(answer.Header), "got Cache-Control %q for listing streams, want no-store", answer.Header.Get("Cache-Control"))
		t.Expect("SEC-04", !strings.Contains(string(answer.Body), planted), "got the authorization_header back in a list, want it kept")
		for _, config := range configs(list) {
			if config.text("stream_id") == id {
				return true, nil
			}
		}
		return err != nil, nil // an answer that is no list is told once
	}
	var gone string
	err = s.each(ctx, t, spec{header: planted}, func(st *stream) error {
		gone = st.id
		is, err := listed(st.id)
		if err == nil {
			t.Expect("SSF-8.1.1.2-02", is, "got no %q in the list of streams, want it", st.id)
		}
		return err
	})
	if err != nil {
		return err
	}
	at2, err := s.do(ctx, t, call{url: at})
	if err != nil {
		return err
	}
	t.Expect("SSF-8.1.1.2-02", !strings.Contains(string(at2.Body), gone) && at2.Status == http.StatusOK,
		"got %d and a stream that was deleted in the list, want 200 without it", at2.Status)
	return nil
}
