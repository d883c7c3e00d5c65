//go:build linux

package servers_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

// The types that OneLogin tells are asked for with the source's credential, and
// become a file that serve reads: the catalogue then has their words.
func TestSourceTypes(t *testing.T) {
	s := newStation(t)
	vendor := sourcetest.NewOneLogin("of-the-vendor")
	vendor.Types = []string{`{"id":7,"name":"USER_LEFT","description":"%user% left"}`, `{"id":4242,"name":"NEW_ONE","description":"a: \"new\" one"}`}
	api := httptest.NewServer(vendor)
	defer api.Close()
	do := func(args ...string) string {
		t.Helper()
		out, err := s.server.Command(t.Context(), append(args, "--data", s.server.Dir)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(out)
	}
	do("source", "add", "--name", "ol", "--kind", "onelogin", "--auth", "bearer", "--api-url", api.URL, "--api-secret", "of-the-vendor")
	do("source", "add", "--name", "fp", "--kind", "fingerprint", "--auth", "bearer", "--api-url", api.URL, "--api-secret", "of-the-vendor")
	file := filepath.Join(t.TempDir(), "types.yaml")
	if out := do("source", "types", "ol", "--out", file); !strings.Contains(out, "onelogin:4242") || !strings.Contains(out, `a: "new" one`) {
		t.Errorf("got %s, want the types told", out)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "of-the-vendor") {
		t.Errorf("got %s, %v, want no secret in it", text, err)
	}
	if _, err := s.server.Command(t.Context(), "source", "types", "fp", "--data", s.server.Dir); err == nil || !strings.Contains(err.Error(), "tells no types") {
		t.Errorf("of Fingerprint: got %v, want that it tells none", err)
	}
	vendor.Renew("another")
	if _, err := s.server.Command(t.Context(), "source", "types", "ol", "--out", file, "--data", s.server.Dir); err == nil || !strings.Contains(err.Error(), "Authentication Failure") {
		t.Errorf("refused: got %v, want what the vendor said", err)
	}
	s.server.Kill()
	if err := s.server.Start("TOCSIN_RULES=" + file); err != nil {
		t.Fatal(err)
	}
	types := do("event", "types")
	for _, want := range []string{"USER_LEFT", "NEW_ONE"} {
		if !strings.Contains(types, want) {
			t.Errorf("the catalogue lacks %s", want)
		}
	}
}
