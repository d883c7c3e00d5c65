package wellknown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// peer answers in process and counts requests by URL.
type peer struct {
	mu    sync.Mutex
	pages map[string]http.HandlerFunc
	calls map[string]int
}

func newPeer() *peer {
	return &peer{pages: map[string]http.HandlerFunc{}, calls: map[string]int{}}
}

func (p *peer) client() *http.Client { return &http.Client{Transport: p} }

func (p *peer) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	url := r.URL.String()
	p.calls[url]++
	page := p.pages[url]
	p.mu.Unlock()
	if page == nil {
		page = http.NotFound
	}
	w := httptest.NewRecorder()
	page(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (p *peer) set(url string, page http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[url] = page
}

func (p *peer) count(url string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[url]
}

// page serves document with header fields given as name, value, ….
func page(t *testing.T, document any, fields ...string) http.HandlerFunc {
	t.Helper()
	body, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
			t.Errorf("got %s with Authorization %q, want a GET without", r.Method, r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(fields); i += 2 {
			w.Header().Add(fields[i], fields[i+1])
		}
		_, _ = w.Write(body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

const configurationURL = "https://tr.example/.well-known/ssf-configuration/t1"

// SSF-7.2.1-01, SSF-7.2.4-01, SSF-7.2.4-02: fetched by GET; used only if it is whole
// and names the issuer exactly.
func TestClientConfiguration(t *testing.T) {
	wrong := configuration()
	wrong.Issuer += "/"
	insecure := configuration()
	insecure.VerificationEndpoint = "http://tr.example/verify"
	for _, tt := range []struct {
		name string
		page http.HandlerFunc
		want error // nil: accepted
	}{
		{"whole", page(t, configuration()), nil},
		{"other issuer", page(t, wrong), wellknown.ErrDocument},
		{"http endpoint", page(t, insecure), wellknown.ErrDocument},
		{"not JSON", page(t, json.RawMessage(`"<html>"`)), wellknown.ErrDocument},
		{"too large", page(t, map[string]string{"issuer": issuer, "x": strings.Repeat("x", wellknown.MaxDocumentBytes)}), guard.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer()
			p.set(configurationURL, tt.page)
			got, err := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Configuration(t.Context(), issuer)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want != nil && (got.Issuer != "" || got.JWKSURI != "") {
				t.Errorf("got %+v, want nothing of it", got)
			}
			if tt.want == nil && got.JWKSURI != configuration().JWKSURI {
				t.Errorf("got %+v, want the document", got)
			}
		})
	}
}

// SEC-02: an answer that is no 200 is an error that names it; a redirect is not
// followed, even by a client that would.
func TestClientStatus(t *testing.T) {
	for _, code := range []int{302, 401, 404, 500} {
		p := newPeer()
		p.set(configurationURL, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://tr.example/elsewhere")
			w.WriteHeader(code)
		})
		p.set("https://tr.example/elsewhere", page(t, configuration()))
		_, err := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Configuration(t.Context(), issuer)
		if got, ok := errors.AsType[*wellknown.StatusError](err); !ok || got.Code != code {
			t.Errorf("%d: got %v, want a StatusError", code, err)
		}
	}
}

// SEC-02: unless told otherwise the client is guarded.
func TestClientIsGuarded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("got a request, want none")
	}))
	defer server.Close()
	client := wellknown.NewClient(wellknown.Config{})
	if _, err := client.Configuration(t.Context(), server.URL); err == nil {
		t.Error("http: got no error, want one")
	}
	if _, err := client.Configuration(t.Context(), strings.Replace(server.URL, "http", "https", 1)); !guard.Blocked(err) {
		t.Errorf("loopback: got %v, want it refused", err)
	}
}

// U36: a document is kept for its HTTP lifetime, an hour if there is none.
func TestClientLifetime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   time.Duration
	}{
		{"none given", nil, time.Hour},
		{"max-age", []string{"Cache-Control", "public, max-age=600"}, 10 * time.Minute},
		{"max-age and age", []string{"Cache-Control", "max-age=600", "Age", "300"}, 5 * time.Minute},
		{"quoted max-age", []string{"Cache-Control", `Max-Age="600"`}, 10 * time.Minute},
		{"max-age above our bound", []string{"Cache-Control", "max-age=31536000"}, 24 * time.Hour},
		{"max-age beyond any number", []string{"Cache-Control", "max-age=99999999999999999999"}, 24 * time.Hour},
		{"max-age below our bound", []string{"Cache-Control", "max-age=0"}, time.Minute},
		{"no-store", []string{"Cache-Control", "max-age=600", "Cache-Control", "no-store"}, time.Minute},
		{"expires", []string{"Date", "Mon, 02 Jan 2006 15:00:00 GMT", "Expires", "Mon, 02 Jan 2006 15:30:00 GMT"}, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer()
				p.set(configurationURL, page(t, configuration(), tt.fields...))
				client := wellknown.NewClient(wellknown.Config{HTTP: p.client()})
				ask := func() {
					t.Helper()
					if _, err := client.Configuration(t.Context(), issuer); err != nil {
						t.Fatal(err)
					}
				}
				ask()
				<-time.After(tt.want - time.Second)
				ask()
				if got := p.count(configurationURL); got != 1 {
					t.Errorf("got %d requests within the lifetime, want 1", got)
				}
				<-time.After(time.Second)
				ask()
				if got := p.count(configurationURL); got != 2 {
					t.Errorf("got %d requests after the lifetime, want 2", got)
				}
			})
		})
	}
}

// A document that cannot be renewed is used for another day; one that turns invalid is
// dropped at once (SSF-7.2.4-02).
func TestClientRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		p.set(configurationURL, page(t, configuration()))
		client := wellknown.NewClient(wellknown.Config{HTTP: p.client()})
		ask := func() error { _, err := client.Configuration(t.Context(), issuer); return err }
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		p.set(configurationURL, status(http.StatusServiceUnavailable))
		<-time.After(2 * time.Hour)
		if err := ask(); err != nil {
			t.Errorf("got %v, want the old document", err)
		}
		if err := ask(); err != nil || p.count(configurationURL) != 2 {
			t.Errorf("got %v and %d requests, want the old document without another request", err, p.count(configurationURL))
		}
		<-time.After(24 * time.Hour)
		if got, ok := errors.AsType[*wellknown.StatusError](ask()); !ok {
			t.Errorf("got %v, want the StatusError once the old document is too old", got)
		}
		p.set(configurationURL, page(t, configuration()))
		<-time.After(wellknown.DefaultMinRefresh)
		if err := ask(); err != nil {
			t.Errorf("got %v, want the document once the peer is back", err)
		}
		p.set(configurationURL, page(t, wellknown.Configuration{Issuer: "https://evil.example"}))
		<-time.After(2 * time.Hour)
		if err := ask(); !errors.Is(err, wellknown.ErrDocument) {
			t.Errorf("got %v, want ErrDocument", err)
		}
		p.set(configurationURL, status(http.StatusServiceUnavailable))
		<-time.After(wellknown.DefaultMinRefresh)
		if err := ask(); err == nil {
			t.Error("got a document, want none: it was dropped")
		}
	})
}

// U36: Expire asks again, but no sooner than the interval allows.
func TestClientExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		p.set(configurationURL, page(t, configuration()))
		client := wellknown.NewClient(wellknown.Config{HTTP: p.client(), MinRefresh: time.Minute})
		client.Expire(issuer) // nothing there yet
		for _, want := range []int{1, 1, 2, 2} {
			if _, err := client.Configuration(t.Context(), issuer); err != nil {
				t.Fatal(err)
			}
			if got := p.count(configurationURL); got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
			client.Expire(issuer)
			<-time.After(40 * time.Second)
		}
	})
}

// One request serves all who wait; a waiter may leave, and the others still get it.
func TestClientSharesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		release := make(chan struct{})
		p.set(configurationURL, func(w http.ResponseWriter, r *http.Request) {
			<-release
			page(t, configuration())(w, r)
		})
		client := wellknown.NewClient(wellknown.Config{HTTP: p.client()})
		first, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := client.Configuration(first, issuer)
			left <- err
		}()
		<-time.After(wellknown.DefaultMinRefresh + time.Second) // slower than the interval
		results := make(chan error, 20)
		for range cap(results) {
			go func() {
				_, err := client.Configuration(t.Context(), issuer)
				results <- err
			}()
		}
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		close(release)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Errorf("got %v, want the document", err)
			}
		}
		if got := p.count(configurationURL); got != 1 {
			t.Errorf("got %d requests, want 1", got)
		}
	})
}

// SEC-02: an answer that never comes ends by itself.
func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		p.set(configurationURL, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		begin := time.Now()
		_, err := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Configuration(t.Context(), issuer)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > time.Minute {
			t.Errorf("got %v after %v, want a time-out", err, time.Since(begin))
		}
	})
}

// SSF-7.2.2-01: other places only where configured, and only after a 404.
func TestClientFallbacks(t *testing.T) {
	const appended = "https://tr.example/t1/.well-known/ssf-configuration"
	const old = "https://tr.example/.well-known/risc-configuration/t1"
	for _, tt := range []struct {
		name      string
		config    wellknown.Config
		first     http.HandlerFunc
		want      bool
		wantCalls map[string]int
	}{
		{"not configured", wellknown.Config{}, status(404), false, map[string]int{old: 0}},
		{"configured", wellknown.Config{Fallbacks: []wellknown.Location{
			wellknown.Appended(wellknown.NameConfiguration), wellknown.Inserted(wellknown.NameRISCConfiguration),
		}}, status(404), true, map[string]int{configurationURL: 1, appended: 1, old: 1}},
		{"first is there", wellknown.Config{Fallbacks: []wellknown.Location{wellknown.Inserted(wellknown.NameRISCConfiguration)}}, page(t, configuration()), true, map[string]int{old: 0}},
		{"first fails otherwise", wellknown.Config{Fallbacks: []wellknown.Location{wellknown.Inserted(wellknown.NameRISCConfiguration)}}, status(500), false, map[string]int{old: 0}},
		{"URL configured", wellknown.Config{MetadataURLs: map[string]string{issuer: old}}, status(404), true, map[string]int{configurationURL: 0, old: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer()
			p.set(configurationURL, tt.first)
			p.set(old, page(t, configuration()))
			tt.config.HTTP = p.client()
			_, err := wellknown.NewClient(tt.config).Configuration(t.Context(), issuer)
			if got := err == nil; got != tt.want {
				t.Errorf("got %v, want found %v", err, tt.want)
			}
			for url, want := range tt.wantCalls {
				if got := p.count(url); got != want {
					t.Errorf("%s: got %d requests, want %d", url, got, want)
				}
			}
		})
	}
}

// INTEROP-2.7.2-01, PRM-3.3-01: resource and authorization server metadata.
func TestClientResources(t *testing.T) {
	const resource = "https://tr.example/ssf/streams"
	p := newPeer()
	document := wellknown.ProtectedResource{Resource: resource, AuthorizationServers: []string{issuer}, ScopesSupported: []string{"ssf.read"}}
	p.set("https://tr.example/.well-known/oauth-protected-resource/ssf/streams", page(t, document))
	p.set("https://tr.example/named", page(t, document))
	p.set("https://tr.example/.well-known/oauth-authorization-server/t1", page(t, wellknown.AuthorizationServer{Issuer: issuer, TokenEndpoint: issuer + "/token"}))
	client := wellknown.NewClient(wellknown.Config{HTTP: p.client()})
	if got, err := client.ProtectedResource(t.Context(), resource+"?stream_id=1"); err != nil || got.ScopesSupported[0] != "ssf.read" {
		t.Errorf("got %+v, %v, want the document", got, err)
	}
	if got, err := client.ProtectedResourceAt(t.Context(), "https://tr.example/named", resource+"?stream_id=1"); err != nil || got.ScopesSupported[0] != "ssf.read" {
		t.Errorf("named: got %+v, %v, want the document", got, err)
	}
	if got, err := client.ProtectedResourceAt(t.Context(), "https://tr.example/named", "https://tr.example/other"); !errors.Is(err, wellknown.ErrDocument) || got.Resource != "" {
		t.Errorf("named by another resource: got %+v, %v, want ErrDocument and nothing else", got, err)
	}
	if got, err := client.AuthorizationServer(t.Context(), issuer); err != nil || got.TokenEndpoint != issuer+"/token" {
		t.Errorf("got %+v, %v, want the document", got, err)
	}
}

// The cache is bounded: many issuers are served, the oldest fetched again.
func TestClientManyIssuers(t *testing.T) {
	const issuers = 5000
	client := wellknown.NewClient(wellknown.Config{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) *http.Response {
		iss := "https://" + r.URL.Host
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewBufferString(`{"issuer":"` + iss + `"}`))}
	})}})
	for i := range issuers {
		iss := "https://h" + strconv.Itoa(i)
		if got, err := client.Configuration(t.Context(), iss); err != nil || got.Issuer != iss {
			t.Fatalf("got %+v, %v, want %s", got, err, iss)
		}
	}
	if got := wellknown.Cached(client); got > 4096 {
		t.Errorf("got %d documents kept, want at most 4096", got)
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }
