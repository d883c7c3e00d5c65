package push_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// PUSH-4-01, PUSH-2.4-01, U20, U22, contracts.md §5: what each class of answer means,
// and where a SET that is given up ends: in a dead letter that says why.
func TestRetryPolicy(t *testing.T) {
	const retried, aside, paused, delivered = "retried", "dead letter", "paused", "delivered"
	type class struct {
		status int
		body   string
		want   string
		code   string // of the dead letter
	}
	classes := []class{
		{status: 200, want: delivered},
		{status: 202, want: delivered},
		{status: 204, want: delivered},
		{status: 410, want: paused},
		{status: 413, want: aside, code: "http_413"},
		{status: 415, want: aside, code: "http_415"},
		{status: 400, body: "", want: aside, code: "http_400"},
		{status: 400, body: "<html>", want: aside, code: "http_400"},
		{status: 400, body: `{"err":"not_a_code_we_know"}`, want: aside, code: "not_a_code_we_know"},
		{status: 400, body: `{"err":"Invalid_Key"}`, want: aside, code: "Invalid_Key"}, // case-sensitive
		{status: 500, body: `{"err":"invalid_request"}`, want: retried},                // only 400 has codes
	}
	for _, code := range []string{"invalid_request", "invalid_issuer", "invalid_audience", "invalid_state"} {
		classes = append(classes, class{400, `{"err":"` + code + `","description":"x"}`, aside, code})
	}
	for _, code := range []string{"invalid_key", "authentication_failed", "access_denied"} {
		classes = append(classes, class{400, `{"err":"` + code + `"}`, retried, ""})
	}
	for _, status := range []int{0, 301, 302, 307, 308, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 418} {
		classes = append(classes, class{status: status, want: retried})
	}
	for _, c := range classes {
		t.Run(fmt.Sprintf("PUSH-4-01 %d %s", c.status, c.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(p post) *http.Response {
					switch {
					case p.at > 0: // the next time
						return reply(202, "")
					case c.status == 0:
						return nil // a network error
					}
					return reply(c.status, c.body)
				}, nil)
				w.put("s", 1, nil)
				after(time.Hour)
				letters, _, err := w.store.DeadLetters(t.Context(), "s", "", 10)
				if err != nil {
					t.Fatal(err)
				}
				got := delivered
				switch {
				case len(w.paused) > 0:
					got = paused
				case len(letters) > 0:
					got = aside
				case len(w.jtis()) > 1:
					got = retried
				}
				if got != c.want || len(w.jtis()) > 2 {
					t.Fatalf("got it %s after %d attempts, want %s", got, len(w.jtis()), c.want)
				}
				if c.want == aside && (letters[0].Code != c.code || letters[0].ID != "s1") {
					t.Errorf("got dead letter %+v, want s1 with code %s", letters[0], c.code)
				}
				if d := w.depth(); (d.Items == 1) != (c.want == paused) {
					t.Errorf("got %+v, want it held only while paused", d)
				}
			})
		})
	}
}

// SSF-6.1.1-02, PUSH-2.1-01: without authorization_header there is no Authorization
// field, and the method and the body are as RFC 8935 has them.
func TestNoAuthorization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return reply(202, "") }, nil)
		if _, err := w.store.Update(t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
			s.Delivery.AuthorizationHeader = ""
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		w.put("s", 1, nil)
		after(time.Second)
		if len(w.posts) != 1 {
			t.Fatalf("got %d posts, want 1", len(w.posts))
		}
		if got, ok := w.posts[0].header["Authorization"]; ok {
			t.Errorf("got Authorization %q, want none", got)
		}
	})
}

// SSF-8.1.5-02: upon enabling, stream-updated is ahead of held events: none leaves
// before the receiver has answered it, and if it fails none leaves before it.
func TestStreamUpdatedLeads(t *testing.T) {
	for name, fails := range map[string]bool{"answered late": false, "fails at first": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				w := newWorld(t, func(p post) *http.Response {
					if p.jti != "news" {
						return reply(202, "")
					}
					<-time.After(2 * time.Second)
					if fails && first {
						first = false
						return reply(503, "")
					}
					return reply(202, "")
				}, nil)
				w.status(streams.Paused)
				w.put("s", 20, func(i int) string { return fmt.Sprint("user", i) })
				w.status(streams.Enabled, streams.Item{
					Stream: "s", Lane: streams.LaneControl, ID: "news", Type: streams.TypeStreamUpdated, Payload: []byte(`{"status":"enabled"}`), Added: time.Now(),
				})
				after(time.Second)
				w.put("s", 21, func(i int) string { return fmt.Sprint("user", i) }) // one more, while there is room
				after(time.Hour)
				got := w.jtis()
				lead := 1
				if fails {
					lead = 2
				}
				if len(got) != 21+lead {
					t.Fatalf("got %d posts, want %d: %v", len(got), 21+lead, got)
				}
				for i, jti := range got {
					if (jti == "news") != (i < lead) {
						t.Fatalf("SSF-8.1.5-02: got %v, want news ahead", got)
					}
				}
				if at := w.times()[lead]; at < 2*time.Second {
					t.Errorf("SSF-8.1.5-02: got an event at %v, want none before the answer", at)
				}
			})
		})
	}
}

// status changes the status of stream s in one transaction with items.
func (w *world) status(to streams.Status, items ...streams.Item) {
	w.t.Helper()
	if _, err := w.store.Update(w.t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
		s.Status = to
		return items, nil
	}); err != nil {
		w.t.Fatal(err)
	}
}
