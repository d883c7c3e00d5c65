package servers_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/optest"
)

// organisation is an OpenID Provider with a transmitter, and what consoles are told of both.
type organisation struct {
	t             *testing.T
	provider      *optest.Provider
	idp           *proctest.Server
	ca            string // a file
	secret, token string // files
}

const consoleAudience = "https://console.example"

func organise(t *testing.T) *organisation {
	t.Helper()
	o := &organisation{t: t, provider: optest.New(t, httptest.NewTLSServer), idp: proctest.New(t, "--long-poll", "1s", "--log-level", "error")}
	if err := o.idp.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := o.idp.Token(t.Context(), "console", consoleAudience, "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o.ca = write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.provider.Certificate().Raw})))
	o.secret, o.token = write("secret", optest.ClientSecret+"\n"), write("token", token+"\n")
	return o
}

// in is the organisation for a part of the test.
func (o *organisation) in(t *testing.T) *organisation {
	part := *o
	part.t = t
	return &part
}

// enter signs a browser in to a console at base as somebody, whose ID token is of at.
func (o *organisation) enter(base, sub string, at time.Time) *http.Client {
	o.t.Helper()
	o.provider.Claim(func(all map[string]any) {
		all["sub"], all["email"], all["sid"], all["iat"] = sub, sub+"@example.com", "s-"+sub, at.Unix()
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: o.provider.Client().Transport}
	if _, body := o.look(browser, base+"/console/oidc/start"); !strings.Contains(body, "Signed in") {
		o.t.Fatalf("the sign-in of %s: got\n%s", sub, body)
	}
	if path, body := o.look(browser, base+"/console/"); !strings.Contains(body, sub+"@example.com") {
		o.t.Fatalf("after the sign-in of %s: got %s\n%s", sub, path, body)
	}
	return browser
}

// look returns where a page led, and what it says.
func (o *organisation) look(browser *http.Client, url string) (path, body string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close() // read to its end
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.Request.URL.Path, string(raw)
}

// streams returns how many streams were made at the transmitter.
func (o *organisation) streams(ctx context.Context) int {
	o.t.Helper()
	out, err := o.idp.Command(ctx, "audit", "--data", o.idp.Dir, "--act", "stream.create", "--json")
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.Count(string(out), `"stream.create"`)
}

// ends has the transmitter say that somebody's session is over, and waits until the console
// at base has ended it, and not another's.
func (o *organisation) ends(base string) {
	o.t.Helper()
	jo, kim := o.enter(base, "jo", time.Now()), o.enter(base, "kim", time.Now())
	if _, err := o.idp.Command(o.t.Context(), "event", "emit", "--data", o.idp.Dir, "--type", "session.revoked",
		"--subject", `{"format":"iss_sub","iss":"`+o.provider.URL+`","sub":"jo"}`); err != nil {
		o.t.Fatal(err)
	}
	o.until("the session has ended", func() bool {
		path, body := o.look(jo, base+"/console/")
		return path == "/console/sign-in" && strings.Contains(body, "Your organisation ended your session here")
	})
	if path, body := o.look(kim, base+"/console/"); path != "/console/" || strings.Contains(body, "not heard") {
		o.t.Errorf("somebody else: got %s\n%s", path, body)
	}
	o.enter(base, "jo", time.Now().Add(30*time.Second)) // anew
}

func (o *organisation) until(what string, done func() bool) {
	o.t.Helper()
	for end := time.Now().Add(proctest.StartTime); !done(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("never: %s", what)
		}
	}
}

// Whom their OpenID Provider signs out is signed out of the console of serve, and of that of
// receive; a process that is killed goes on with the provider's stream that it had.
func TestConsoleOfProvider(t *testing.T) {
	o := organise(t)
	t.Run("serve", func(t *testing.T) {
		o := o.in(t)
		s := proctest.New(t, "--console-provider", o.provider.URL, "--console-client", optest.ClientID, "--console-secret", "@"+o.secret, "--console-role", "ops=operator",
			"--console-signals", o.idp.Issuer, "--console-signals-audience", consoleAudience, "--console-signals-token", "@"+o.token, "--token-ca", o.ca, "--token-allow", "127.0.0.0/8")
		for range 2 {
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			o.until("there is a stream", func() bool { return o.streams(t.Context()) == 1 })
			o.ends("http://" + s.Admin)
			s.Kill()
		}
	})
	t.Run("receive", func(t *testing.T) {
		o := o.in(t)
		r := proctest.NewReceiver(t, `
console_provider: `+o.provider.URL+`
console_client: `+optest.ClientID+`
console_secret_file: `+o.secret+`
console_role: {ops: operator}
console_signals: idp
console_ca: `+o.ca+`
console_allow: [127.0.0.0/8]
issuers:
- {name: idp, issuer: "`+o.idp.Issuer+`", audience: "`+consoleAudience+`", delivery: {method: poll}, credentials: {token_file: `+o.token+`}}
`)
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		o.until("the stream is heard", func() bool {
			out, err := r.Command(t.Context(), "receive", "health", "--config", r.File, "--json")
			return err == nil && strings.Contains(string(out), `"polled"`)
		})
		o.ends("http://" + r.Admin)
	})
}
