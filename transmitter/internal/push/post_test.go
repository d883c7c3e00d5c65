package push_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// SEC-04: an endpoint_url may have a secret in its query. No text about a
// failure bears it.
func TestFailureNamesNoURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(post) *http.Response { return nil }, func(c *push.Config) { c.GiveUp = time.Minute })
		w.update(func(s *streams.Stream) { s.Delivery.EndpointURL += "?token=SECRET" })
		w.put("s", 1, nil)
		after(time.Second)
		if got := w.health().LastError; !strings.Contains(got, errRefused.Error()) || strings.Contains(got, "SECRET") {
			t.Errorf("last error: got %q, want the cause without the URL", got)
		}
		after(time.Hour)
		if reason := <-w.paused; strings.Contains(reason, "SECRET") {
			t.Errorf("reason: got %q, want none of the URL", reason)
		}
	})
}

// A receiver's status line is bounded and made text before it is kept.
func TestStatusLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p post) *http.Response {
			resp := reply(400, "")
			resp.Status = "400 \xff" + strings.Repeat("é", 30_000)
			return resp
		}, nil)
		w.put("s", 1, nil)
		after(time.Second)
		letters, _, err := w.store.DeadLetters(t.Context(), "s", "", 10)
		if err != nil || len(letters) != 1 {
			t.Fatalf("dead letters: got %d %v, want 1", len(letters), err)
		}
		if got := letters[0].Description; len(got) > 1<<10+8 || !utf8.ValidString(got) || !strings.Contains(got, "400") {
			t.Errorf("description: got %d bytes, valid %t; want about 1 KiB of text", len(got), utf8.ValidString(got))
		}
	})
}
