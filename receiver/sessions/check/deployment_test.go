package check_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// deployment is an application behind a real proxy, with the configuration of
// docs/gate.md, and a receiver whose events close the gate.
type deployment struct {
	*testing.T
	proxy, events string
	check         *httptest.Server
	store         *sqlitesessions.Store
	key           *jose.PrivateKey
	done          chan string // ids of events of which the hook is done
}

const deployedIssuer = "https://transmitter.example"

// proxy starts a proxy with the configuration that is returned for an address to listen
// at, and returns its URL.
type proxy func(t *testing.T, dir string, config func(listen string) string) string

// deploy starts all with the configuration of that language in docs/gate.md, as change
// makes it.
func deploy(t *testing.T, start proxy, language string, fail sessions.FailMode, change func(string) string) *deployment {
	t.Helper()
	dir := t.TempDir()
	key, err := jose.Generate(jose.RS256)
	must(t, err)
	store, err := sqlitesessions.Open(t.Context(), sqlitesessions.Config{Path: filepath.Join(dir, "sessions.db")})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	d := &deployment{T: t, store: store, key: key, done: make(chan string, 10)}

	door, err := sessions.NewGate(sessions.Config{Revocations: store, Fail: fail})
	must(t, err)
	d.check = httptest.NewUnstartedServer(nil)
	endpoint, err := check.New(check.Config{Gate: door, Listen: d.check.Listener.Addr().String(), Cookie: "sid", Index: store, ResponseHeaders: true})
	must(t, err)
	d.check.Config.Handler = http.StripPrefix("/check", endpoint)
	d.check.Start()
	t.Cleanup(d.check.Close)

	app := httptest.NewServer(http.HandlerFunc(d.app))
	t.Cleanup(app.Close)
	d.events = d.receive(dir)
	d.proxy = start(t, dir, func(listen string) string {
		return change(strings.NewReplacer(
			"listen 80;", "listen "+listen+";", "app.example {", "http://"+listen+" {",
			"127.0.0.1:9000", d.check.Listener.Addr().String(),
			"127.0.0.1:8080", app.Listener.Addr().String(),
		).Replace(documented(t, language)))
	})
	return d
}

// documented is the configuration in docs/gate.md in that language.
func documented(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../../../docs/gate.md")
	must(t, err)
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatalf("got no %s configuration in docs/gate.md, want one", language)
	}
	return string(block[1])
}

// app logs users in and shows them a page; it knows nothing of events.
func (d *deployment) app(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Seen", strings.Join(r.Header["X-Tocsin-Subject"], ""))
	if r.URL.Path != "/login" {
		_, _ = io.WriteString(w, "your basket")
		return
	}
	user, id := r.FormValue("user"), fmt.Sprintf("%s-%d", r.FormValue("user"), time.Now().UnixNano())
	err := d.store.Add(r.Context(), sessions.Session{
		ID: id, Begun: time.Now(),
		Members: map[string][]subject.Identifier{subject.MemberUser: {subject.Email(user)}},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "sid", Value: id, Path: "/"})
}

// receive starts a receiver and returns the URL that takes its SETs.
func (d *deployment) receive(dir string) string {
	d.Helper()
	in, err := sqliteinbox.Open(d.Context(), sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	must(d.T, err)
	closes, err := gate.New(gate.Config{Revocations: d.store, Index: d.store})
	must(d.T, err)
	told := hooks.Func(func(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
		o, err := closes.Act(ctx, a)
		d.done <- a.Delivery.ID
		return o, err
	})
	mux := receiver.NewMux()
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, told))
	mux.Handle(hooks.Route(risc.AccountDisabledType, hooks.Deny, told))
	r, err := receiver.New(receiver.Config{
		Issuer: deployedIssuer, Audience: []string{audience}, Keys: deployedKeys{d.key}, Inbox: in, Mux: mux, Skew: time.Second,
		Logger: slog.New(slog.DiscardHandler),
	})
	must(d.T, err)
	ctx, cancel := context.WithCancel(d.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	server := httptest.NewServer(r.Handler())
	d.Cleanup(func() {
		server.Close()
		cancel()
		wg.Wait()
		_ = in.Close()
	})
	return server.URL
}

type deployedKeys struct{ key *jose.PrivateKey }

func (k deployedKeys) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return jose.NewKeySet(k.key.Public()).Find(kid, alg)
}

// signal pushes a signed SET and waits until its hook is done.
func (d *deployment) signal(id, eventType, user string) {
	d.Helper()
	signer, err := jose.NewSigner(d.key, set.HeaderType)
	must(d.T, err)
	compact, err := set.Builder{
		Issuer: deployedIssuer, ID: id, Audience: []string{audience}, IssuedAt: time.Now(),
		Subject: subject.Email(user), Event: set.Event{Type: eventType},
	}.Sign(signer)
	must(d.T, err)
	resp, err := http.Post(d.events, "application/secevent+jwt", strings.NewReader(compact))
	must(d.T, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		d.Fatalf("got %s for the SET, want 202", resp.Status)
	}
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		d.Fatal("got no hook within 10 s, want one")
	}
}

// browser is a client without a screen that is logged in.
func (d *deployment) browser(user string) *http.Client {
	d.Helper()
	jar, err := cookiejar.New(nil)
	must(d.T, err)
	c := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	d.login(c, user)
	return c
}

func (d *deployment) login(c *http.Client, user string) {
	d.Helper()
	resp, err := c.PostForm(d.proxy+"/login", map[string][]string{"user": {user}})
	must(d.T, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.Fatalf("got %s for the login, want 200", resp.Status)
	}
}

// gets fails the test unless the page is answered with want.
func (d *deployment) gets(c *http.Client, want int) *http.Response {
	d.Helper()
	resp, err := c.Post(d.proxy+"/basket?of=mine", "text/plain", strings.NewReader("a body that is not the gate's"))
	must(d.T, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(d.T, err)
	if resp.StatusCode != want || (want == 200) != (string(body) == "your basket") {
		d.Fatalf("got %s %q, want %d", resp.Status, body, want)
	}
	return resp
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// story: a user is logged in, a signed SET comes in, and the next request is refused; those
// of others go on, and so does a later login. One who is disabled gets in no more.
func story(t *testing.T, start proxy, language string) {
	t.Helper()
	d := deploy(t, start, language, sessions.FailClosed, func(s string) string { return s })
	jo, mo := d.browser("jo@example.com"), d.browser("mo@example.com")
	d.gets(jo, 200)
	d.gets(mo, 200)
	d.gets(&http.Client{}, 401)

	d.signal("1", caep.SessionRevokedType, "jo@example.com")
	d.gets(jo, 401)
	d.gets(mo, 200)
	// The iat is of its second, and a second is added for clocks that differ.
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(1100 * time.Millisecond)))
	d.login(jo, "jo@example.com")
	d.gets(jo, 200)

	d.signal("2", risc.AccountDisabledType, "mo@example.com")
	d.gets(mo, 403)
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(1100 * time.Millisecond)))
	d.login(mo, "mo@example.com")
	d.gets(mo, 403)
}

// available returns the path of a proxy, or skips the test; where CI says so it fails.
func available(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal(name + " is not installed")
		}
		t.Skip("SKIPPED, not tested: " + name + " is not installed (Debian package " + name + ")")
	}
	return path
}

// freeAddr is an address of loopback at which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// run runs a proxy until the test ends and returns its URL once it listens.
func run(t *testing.T, listen string, cmd *exec.Cmd, logs ...string) string {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, out.String())
			for _, name := range logs {
				text, _ := os.ReadFile(name)
				t.Logf("%s: %s", name, text)
			}
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", listen, time.Second)
		if err == nil {
			_ = conn.Close()
			return "http://" + listen
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", cmd.Path, out.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("got nobody at %s within 20 s: %v", listen, err)
		}
	}
}
