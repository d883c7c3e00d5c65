package check_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// A signal comes in, and Caddy refuses the next request.
func TestCaddy(t *testing.T) { story(t, startCaddy, "caddyfile") }

// Caddy hands on what the endpoint answers; one that is away is refused, too.
func TestCaddyFailsClosed(t *testing.T) {
	d := deploy(t, startCaddy, "caddyfile", sessions.FailClosed, func(s string) string { return s })
	jo := d.browser("jo@example.com")
	must(t, d.store.Close())
	if got := d.gets(jo, 503).Header.Get("Retry-After"); got == "" {
		t.Error("got no Retry-After, want one")
	}
	d.check.Close()
	d.gets(jo, 502)
}

// What the application is told of the user by a header comes from the check alone, on
// paths that are not guarded, too: a client that sends the header itself is not heard.
func TestCaddyTellsNoLies(t *testing.T) {
	d := deploy(t, startCaddy, "caddyfile", sessions.FailClosed, func(s string) string { return strings.Replace(s, "# copy_headers", "copy_headers", 1) })
	jo := d.browser("jo@example.com")
	for path, want := range map[string]int{"/basket": 200, "/login?user=jo": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.proxy+path, nil)
		must(t, err)
		r.Header.Set("X-Tocsin-Subject", "root")
		resp, err := jo.Do(r)
		must(t, err)
		must(t, resp.Body.Close())
		if seen := resp.Header.Get("X-Seen"); resp.StatusCode != want || seen != "" {
			t.Errorf("%s: got %s and the subject %q told to the application, want %d and none", path, resp.Status, seen, want)
		}
	}
}

// startCaddy is a proxy.
func startCaddy(t *testing.T, dir string, config func(listen string) string) string {
	t.Helper()
	path, listen := available(t, "caddy"), freeAddr(t)
	conf := filepath.Join(dir, "Caddyfile")
	must(t, os.WriteFile(conf, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+config(listen)), 0o600))
	cmd := exec.Command(path, "run", "--config", conf, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return run(t, listen, cmd)
}
