package credential_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// asCommand names what this test binary does when it is run as a token command.
const asCommand = "TOCSIN_TEST_TOKEN_COMMAND"

func TestMain(m *testing.M) {
	switch what := os.Getenv(asCommand); {
	case what == "":
		os.Exit(m.Run())
	case what == "hang":
		select {}
	case what == "flood":
		for {
			if _, err := os.Stdout.WriteString(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(1)
			}
		}
	case what == "fail":
		_, _ = os.Stderr.WriteString("s3cret on stderr")
		_, _ = os.Stdout.WriteString("s3cret on stdout")
		os.Exit(3)
	case strings.HasPrefix(what, "count "): // prints how often it ran, and its arguments
		path := strings.TrimPrefix(what, "count ")
		raw, _ := os.ReadFile(path)
		_ = os.WriteFile(path, append(raw, 'x'), 0o600)
		_, _ = os.Stdout.WriteString("run-" + strconv.Itoa(len(raw)+1) + "-" + strings.Join(os.Args[1:], ",") + "\n")
		os.Exit(0)
	default:
		_, _ = os.Stdout.WriteString(what)
		os.Exit(0)
	}
}

func build(t testing.TB, cfg credential.Config) *credential.Source {
	t.Helper()
	s, err := credential.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(t testing.TB, s *credential.Source, token string) {
	t.Helper()
	if got, err := s.Token(t.Context()); err != nil || got != token {
		t.Errorf("got %q (%v), want %q", got, err, token)
	}
}

// fails returns the text of the error, which must hold no secret.
func fails(t testing.TB, s *credential.Source) string {
	t.Helper()
	token, err := s.Token(t.Context())
	if err == nil {
		t.Fatalf("got %q, want an error", token)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got error %v, want no secret in it", err)
	}
	return err.Error()
}

func TestGiven(t *testing.T) {
	s := build(t, credential.Config{Token: "t0ken"})
	want(t, s, "t0ken")
	s.Refused("t0ken")
	want(t, s, "t0ken") // there is no other
}

// A file is read for each request, so that whoever renews the token only replaces it.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	s := build(t, credential.Config{TokenFile: path})
	if text := fails(t, s); !strings.Contains(text, path) {
		t.Errorf("got %s, want the file named", text)
	}
	for content, token := range map[string]string{"one\n": "one", "  two": "two"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		want(t, s, token)
	}
	for _, content := range []string{"", " \n", "s3cret in two words", "s3cret\r\nX-Header: 1", strings.Repeat("s3cret", 20_000)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		fails(t, s)
	}
}

// server is an authorization server that counts and numbers its tokens.
type server struct {
	*httptest.Server
	asked   atomic.Int64
	expires atomic.Int64 // seconds; 0 is not sent
	broken  atomic.Bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "token_endpoint": s.URL + "/token"})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		n := s.asked.Add(1)
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if s.broken.Load() || id != "shop" || secret != "s3cret" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"s3cret is wrong"}`))
			return
		}
		answer := map[string]any{"access_token": "t" + strconv.FormatInt(n, 10) + "." + r.FormValue("scope") + "." + r.FormValue("audience"), "token_type": "Bearer"}
		if seconds := s.expires.Load(); seconds > 0 {
			answer["expires_in"] = seconds
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *server) config() credential.Config {
	return credential.Config{
		ClientID: "shop", ClientSecret: "s3cret", TokenURL: s.URL + "/token", Scopes: []string{"ssf.read"},
		Parameters: map[string]string{"audience": "api"}, HTTP: guard.NewClient(guard.Policy{InsecureLoopback: true}),
	}
}

// A token is got once, kept while it lives, and got anew after it was refused.
func TestClientCredentials(t *testing.T) {
	srv := newServer(t)
	srv.expires.Store(3600)
	s := build(t, srv.config())
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { want(t, s, "t1.ssf.read.api") })
	}
	all.Wait()
	s.Refused("another")
	want(t, s, "t1.ssf.read.api")
	s.Refused("t1.ssf.read.api")
	want(t, s, "t2.ssf.read.api")
	if n := srv.asked.Load(); n != 2 {
		t.Errorf("got %d requests, want 2", n)
	}
}

// The token endpoint is found by the server's metadata, the secret read from its file.
func TestClientCredentialsDiscovered(t *testing.T) {
	srv := newServer(t)
	cfg := srv.config()
	path := filepath.Join(t.TempDir(), "secret")
	cfg.TokenURL, cfg.AuthorizationServer, cfg.ClientSecret, cfg.ClientSecretFile = "", srv.URL, "", path
	s := build(t, cfg)
	fails(t, s)
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, s, "t1.ssf.read.api")
}

// INTEROP-2.7.2-01, PRM-3.3-01: scopes are those that the metadata of the resource tells,
// unless it is another's.
func TestResourceScopes(t *testing.T) {
	for _, tt := range []struct{ name, resource, scopes, want string }{
		{"names of its own", "", `"signals.read"`, "t1.signals.read.api"},
		{"ours among others", "", `"other","ssf.read"`, "t1.ssf.read.api"},
		{"another's", "https://another.example/streams", `"signals.read"`, "t1.ssf.read.api"},
		{"no scopes", "", ``, "t1.ssf.read.api"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t)
			var own string
			resource := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/.well-known/oauth-protected-resource/streams" {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				of := tt.resource
				if of == "" {
					of = own
				}
				_, _ = w.Write([]byte(`{"resource":"` + of + `","scopes_supported":[` + tt.scopes + `]}`))
			}))
			defer resource.Close()
			own = resource.URL + "/streams"
			cfg := srv.config()
			cfg.Resource = func(context.Context) (string, error) { return own, nil }
			want(t, build(t, cfg), tt.want)
			cfg.Resource = func(context.Context) (string, error) { return "", errors.New("no metadata") }
			want(t, build(t, cfg), "t2.ssf.read.api")
		})
	}
}

// A token that is about to expire is replaced, one of a short life used by half; a
// server that refuses is asked again by the next call, and its words are not repeated.
func TestClientCredentialsExpire(t *testing.T) {
	srv := newServer(t)
	srv.expires.Store(1)
	s := build(t, srv.config())
	want(t, s, "t1.ssf.read.api")
	want(t, s, "t1.ssf.read.api")
	<-time.After(time.Second)
	srv.broken.Store(true)
	if text := fails(t, s); !strings.Contains(text, "invalid_client") {
		t.Errorf("got %s, want the code of the refusal", text)
	}
	srv.broken.Store(false)
	want(t, s, "t3.ssf.read.api")
}

// command runs this binary.
func command(t testing.TB, what string) credential.Config {
	t.Helper()
	t.Setenv(asCommand, what)
	return credential.Config{Command: []string{os.Args[0], "a_b", "$HOME"}}
}

// A command is run without a shell, its token kept for the lifetime that is stated.
func TestCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs")
	s := build(t, command(t, "count "+path))
	want(t, s, "run-1-a_b,$HOME")
	want(t, s, "run-1-a_b,$HOME")
}

// What a command prints: a token, or a token answer with its life.
func TestCommandPrints(t *testing.T) {
	for what, token := range map[string]string{
		"plain\n": "plain", `{"access_token":"json","expires_in":3600,"token_type":"Bearer"}`: "json", `{"access_token":"short","expires_in":0}`: "short",
	} {
		want(t, build(t, command(t, what)), token)
	}
	for _, what := range []string{"\n", "{}", `{"access_token":"s3cret`, `{"access_token":7}`, `{"access_token":"a b"}`, "fail"} {
		fails(t, build(t, command(t, what)))
	}
}

// A command's answer is kept for expires_in, and a refused token got anew.
func TestCommandAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs")
	cfg := command(t, "count "+path)
	cfg.Command = cfg.Command[:1]
	s := build(t, cfg)
	want(t, s, "run-1-")
	s.Refused("run-1-")
	want(t, s, "run-2-")
	cfg.Lifetime = time.Nanosecond
	s = build(t, cfg)
	want(t, s, "run-3-")
	want(t, s, "run-4-")
}

// A command that hangs or prints without end is ended.
func TestCommandBounded(t *testing.T) {
	cfg := command(t, "hang")
	cfg.Timeout = 200 * time.Millisecond
	if _, err := build(t, cfg).Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if _, err := build(t, command(t, "flood")).Token(t.Context()); !errors.Is(err, guard.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// The error of New names every wrong field.
func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  credential.Config
		want []string
	}{
		{credential.Config{}, []string{"one of Config.Token"}},
		{credential.Config{Token: "a", TokenFile: "b"}, []string{"one of Config.Token"}},
		{credential.Config{Token: "a b"}, []string{"Config.Token has"}},
		{credential.Config{ClientID: "a", Scopes: []string{""}, Timeout: -1}, []string{"Config.ClientSecret", "Config.TokenURL", "Config.Scopes", "Config.Timeout"}},
		{credential.Config{Command: []string{""}}, []string{"Config.Command"}},
	} {
		_, err := credential.New(c.cfg)
		for _, name := range c.want {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want it to name %s", err, name)
			}
		}
	}
}
