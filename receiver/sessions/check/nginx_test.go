package check_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// A signal comes in, and nginx refuses the next request.
func TestNginx(t *testing.T) { story(t, startNginx, "nginx") }

// Where the index is away the gate's fail mode decides; where the whole endpoint is,
// nginx's configuration does.
func TestNginxFailModes(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		d := deploy(t, startNginx, "nginx", sessions.FailClosed, func(s string) string { return s })
		jo := d.browser("jo@example.com")
		must(t, d.store.Close())
		if got := d.gets(jo, 503).Header.Get("Retry-After"); got == "" {
			t.Error("got no Retry-After, want one")
		}
		d.check.Close()
		d.gets(jo, 503)
	})
	t.Run("open", func(t *testing.T) {
		d := deploy(t, startNginx, "nginx", sessions.FailOpen, func(s string) string {
			return strings.Replace(s, "# proxy_intercept_errors on;", "proxy_intercept_errors on;", 1)
		})
		jo, mo := d.browser("jo@example.com"), d.browser("mo@example.com")
		d.signal("1", caep.SessionRevokedType, "mo@example.com")
		d.gets(mo, 401)
		must(t, d.store.Close())
		d.gets(jo, 200)
		d.check.Close()
		d.gets(jo, 200)
		d.gets(mo, 200) // nobody is there to know better
	})
}

// startNginx is a proxy.
func startNginx(t *testing.T, dir string, config func(listen string) string) string {
	t.Helper()
	path, listen := available(t, "nginx"), freeAddr(t)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	var temp strings.Builder
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s;\n", name, filepath.Join(dir, name))
	}
	conf, log := filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "error.log")
	must(t, os.WriteFile(conf, []byte(user+"daemon off;\npid "+filepath.Join(dir, "nginx.pid")+";\nevents {}\nhttp {\naccess_log off;\n"+
		temp.String()+config(listen)+"}\n"), 0o600))
	return run(t, listen, exec.Command(path, "-e", log, "-p", dir, "-c", conf), log)
}
