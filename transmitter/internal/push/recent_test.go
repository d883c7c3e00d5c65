package push_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// The last attempts of a stream are remembered, the latest first, and no more of them; of
// streams those that were tried last.
func TestRecent(t *testing.T) {
	r := push.NewRecent()
	if got := r.Of("a"); len(got) != 0 {
		t.Errorf("got %v, want nothing of a stream that was never tried", got)
	}
	for n := range 47 {
		r.Add(push.Attempt{Stream: "a", ID: fmt.Sprint(n)})
		got := r.Of("a")
		if want := min(n+1, 20); len(got) != want {
			t.Fatalf("after %d: got %d attempts, want %d", n+1, len(got), want)
		}
		for i, a := range got {
			if want := fmt.Sprint(n - i); a.ID != want {
				t.Fatalf("after %d: got %s in place %d, want %s", n+1, a.ID, i, want)
			}
		}
	}
	r.Add(push.Attempt{Stream: "b", Text: strings.Repeat("é", 1000)})
	if got := r.Of("b")[0].Text; len(got) > 256 || !strings.HasPrefix(got, "é") || !utf8.ValidString(got) {
		t.Errorf("got %d bytes of text, want up to 256, whole characters", len(got))
	}
	for n := range 1023 {
		r.Add(push.Attempt{Stream: fmt.Sprint("c", n)})
		if n == 500 {
			r.Add(push.Attempt{Stream: "a"})
		}
	}
	if len(r.Of("b")) != 0 || len(r.Of("a")) != 20 || len(r.Of("c0")) != 1 {
		t.Errorf("got %d, %d and %d attempts of b, a and c0, want 0, 20, 1: b was tried longest ago", len(r.Of("b")), len(r.Of("a")), len(r.Of("c0")))
	}
}
