package client_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// SSF-8.1.3.2-06: nothing is concluded from a success: whatever a transmitter says
// with it, the caller learns only that the request was taken, and the same subject
// can be added again, which is asked again.
func TestSuccessTellsNothingOfSubjects(t *testing.T) {
	answers := []struct {
		status int
		body   string
	}{
		{http.StatusOK, ""}, {http.StatusOK, `{"known":false}`}, {http.StatusNoContent, ""}, {http.StatusAccepted, ""}, {http.StatusOK, "not JSON"},
	}
	f := &transmitter{answer: func(n int, _ seen) *http.Response { return answer(answers[n-1].status, answers[n-1].body) }}
	c := newClient(t, f)
	for i, a := range answers {
		if err := c.AddSubject(t.Context(), "1", subject.Email("nobody@example.com"), false); err != nil {
			t.Errorf("SSF-8.1.3.2-06 %d %q: got %v, want no error", a.status, a.body, err)
		}
		if len(f.requests) != i+1 {
			t.Errorf("SSF-8.1.3.2-06: got %d requests, want %d: success is not remembered", len(f.requests), i+1)
		}
	}
}

// SSF-8.1.1.3-06, SSF-8.1.1.1-05: no request bears an empty events_requested, nor a
// member that the transmitter supplies.
func TestRequestsBearNoEmptyList(t *testing.T) {
	f := &transmitter{answer: func(int, seen) *http.Response { return answer(http.StatusOK, stream("1")) }}
	c := newClient(t, f)
	r := client.Request{EventsRequested: []string{}}
	_, created := c.Create(t.Context(), r)
	_, updated := c.Update(t.Context(), "1", r)
	_, replaced := c.Replace(t.Context(), "1", r)
	if err := errors.Join(created, updated, replaced); err != nil {
		t.Fatal(err)
	}
	for _, got := range f.requests {
		for _, member := range []string{"events_requested", "events_supported", "events_delivered", `"iss"`, `"aud"`, "min_verification_interval", "inactivity_timeout"} {
			if strings.Contains(got.body, member) {
				t.Errorf("SSF-8.1.1.3-06 %s: got %s, want no %s", got.method, got.body, member)
			}
		}
	}
	if len(f.requests) != 3 {
		t.Errorf("got %d requests, want 3", len(f.requests))
	}
}

// SSF-8.1.1.1-06: the issuer is compared at every answer that is a stream, not only
// at creation.
func TestIssuerOfEveryAnswer(t *testing.T) {
	foreign := strings.Replace(stream("1"), `"iss":"`+issuer+`"`, `"iss":"`+issuer+`/"`, 1)
	calls := map[string]func(*client.Client) error{
		"read":    func(c *client.Client) error { _, err := c.Stream(t.Context(), "1"); return err },
		"list":    func(c *client.Client) error { _, err := c.Streams(t.Context()); return err },
		"update":  func(c *client.Client) error { _, err := c.Update(t.Context(), "1", client.Request{}); return err },
		"replace": func(c *client.Client) error { _, err := c.Replace(t.Context(), "1", client.Request{}); return err },
	}
	for name, call := range calls {
		f := &transmitter{answer: func(int, seen) *http.Response {
			if name == "list" {
				return answer(http.StatusOK, "["+foreign+"]")
			}
			return answer(http.StatusOK, foreign)
		}}
		mismatch, ok := errors.AsType[*client.MismatchError](call(newClient(t, f)))
		if !ok || mismatch.Member != "iss" {
			t.Errorf("SSF-8.1.1.1-06 %s: got %v, want a mismatch of iss", name, mismatch)
		}
		if len(f.requests) != 1 {
			t.Errorf("SSF-8.1.1.1-06 %s: got %d requests, want the stream left alone", name, len(f.requests))
		}
	}
}

// SSF-8.1.1.1-08: the stream that is adopted on 409 is made what was asked for.
func TestAdoptedIsUpdated(t *testing.T) {
	f := &transmitter{answer: func(_ int, r seen) *http.Response {
		switch r.method {
		case http.MethodPost:
			return answer(http.StatusConflict, "")
		case http.MethodGet:
			return answer(http.StatusOK, "["+stream("1")+"]")
		}
		return answer(http.StatusOK, stream("1"))
	}}
	if _, _, err := newClient(t, f).Ensure(t.Context(), client.Request{EventsRequested: []string{"e9"}}); err != nil {
		t.Fatal(err)
	}
	last := f.requests[len(f.requests)-1]
	if last.method != http.MethodPatch || last.body != `{"stream_id":"1","events_requested":["e9"]}` {
		t.Errorf("SSF-8.1.1.1-08: got %s %s last, want the stream updated", last.method, last.body)
	}
}
