package transmitter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Published key sets find the keys of certificates, too: without it such clients were nobody.
var _ auth.KeyFinder = (*wellknown.RemoteKeys)(nil)

// secured serves handlers over TLS that asks for certificates.
func secured(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// bearer is a client of a server with a certificate, or without.
type bearer struct {
	t      *testing.T
	base   string
	client *http.Client
}

func by(t *testing.T, s *httptest.Server, change func(*tls.Config), certs ...tls.Certificate) bearer {
	t.Helper()
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = certs
	if change != nil {
		change(transport.TLSClientConfig)
		transport.DisableKeepAlives = true
	}
	t.Cleanup(transport.CloseIdleConnections)
	return bearer{t, s.URL, &http.Client{Transport: transport}}
}

func (b bearer) do(method, path, token, body string, headers ...string) (answer, *tls.ConnectionState) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}, resp.TLS
}

// token asks for one at the token endpoint.
func (b bearer) token(id string) (string, answer, *tls.ConnectionState) {
	b.t.Helper()
	a, state := b.do(http.MethodPost, "/oauth/token", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded")
	return a.member("access_token"), a, state
}

// certified adds a client that is known by its certificate's subject.
func (h *house) certified(id, scope string) {
	h.t.Helper()
	c := auth.Client{ID: id, Application: "shop", Scopes: scopesOf(h.t, h.apps, "shop", scope), Certificate: &auth.Certificate{SubjectDN: "CN=shop"}}
	if _, err := h.apps.AddClient(context.Background(), c); err != nil {
		h.t.Fatal(err)
	}
}

// RFC 8705 §3: who has stolen a token can do nothing with it on any route, of operators
// either, without the certificate that it is bound to.
func TestStolenBoundToken(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	h := open(t, func(s *setup) {
		s.idle, s.checkpoints, s.Certificates, s.ClientCAs = true, true, true, ca.Pool
	})
	h.certified("shop-1", "admin")
	public, admin := secured(t, h.Handler()), secured(t, h.AdminHandler())
	mine, other := ca.Issue(t, nil), ca.Issue(t, nil)
	token, _, _ := by(t, public, nil, mine).token("shop-1")
	if token == "" {
		t.Fatal("got no token by the certificate")
	}
	walk := func(s *httptest.Server, routes []string, open func(string) bool, visit bool) (n int) {
		right, without, another := by(t, s, nil, mine), by(t, s, nil), by(t, s, nil, other)
		for _, route := range routes {
			if open(route) {
				continue
			}
			n++
			method, path, _ := strings.Cut(route, " ")
			path = strings.NewReplacer(":stream_id", "none", ":id", "none", ":jti", "none", ":name", "none", ":kid", "none", "*", "0/000").Replace(path)
			for name, b := range map[string]bearer{"without": without, "with another": another} {
				a, _ := b.do(method, path, token, "\xff", "Content-Type", "text/html")
				if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) {
					t.Errorf("RFC 8705 §3 %s %s: got %d %s, want 401 invalid_token", route, name, a.status, a.body)
				}
			}
			if !visit {
				continue
			}
			if a, _ := right.do(method, path, token, "\xff", "Content-Type", "text/html"); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
				t.Errorf("%s with its certificate: got %d %s, want it let in", route, a.status, a.body)
			}
		}
		return n
	}
	if n := walk(public, routesOf(t, h.Handler()), tokenless, true); n < 40 {
		t.Errorf("got %d routes, want all of the API", n)
	}
	health := func(route string) bool { return slices.Contains([]string{"GET /healthz", "GET /readyz"}, route) }
	if n := walk(admin, routesOf(t, h.AdminHandler()), health, false); n < 30 {
		t.Errorf("got %d routes, want all of operators", n)
	}
	if a, _ := by(t, admin, nil, mine).do(http.MethodGet, "/admin/clients", token, ""); a.status != http.StatusOK {
		t.Errorf("operators with the certificate: got %d %s, want 200", a.status, a.body)
	}
}

// RFC 8705 §2.1: what a connection was begun with, and what it resumes, is judged again at
// each token request, by whom the operator trusts then; by HTTP/2 and HTTP/1.1, TLS 1.2
// and 1.3.
func TestCertificatesOverTLS(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	var trusted atomic.Pointer[x509.CertPool]
	trusted.Store(ca.Pool())
	h := open(t, func(s *setup) { s.idle, s.Certificates, s.ClientCAs = true, true, trusted.Load })
	h.certified("shop-1", "ssf.read")
	self := edgetest.SelfSigned(t, nil)
	made := h.operator(h.SocketHandler()).must(http.StatusCreated, http.MethodPost, "/admin/clients", "",
		`{"id":"self","application":"shop","scope":"ssf.read","certificate":{"self_signed":true},"jwks":`+jwksOf(t, self)+`}`)
	if strings.Contains(made.body, "secret") {
		t.Errorf("got %s, want no secret", made.body)
	}
	server := secured(t, h.Handler())
	mine := ca.Issue(t, nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resuming := by(t, server, func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.ClientSessionCache = version, version, tls.NewLRUClientSessionCache(4)
		}, mine)
		resumed := false
		for range 4 {
			token, a, state := resuming.token("shop-1")
			if token == "" {
				t.Fatalf("TLS %x: got %d %s, want a token", version, a.status, a.body)
			}
			resumed = resumed || state.DidResume
			if a, _ := resuming.do(http.MethodGet, "/ssf/streams", token, ""); a.status != http.StatusOK {
				t.Errorf("TLS %x: got %d %s, want the token good", version, a.status, a.body)
			}
		}
		if !resumed {
			t.Errorf("TLS %x: got no session resumed, the test shows nothing", version)
		}
		trusted.Store(edgetest.NewAuthority(t, "others").Pool())
		if _, a, state := resuming.token("shop-1"); a.status != http.StatusUnauthorized || !state.DidResume {
			t.Errorf("TLS %x, authority taken back, session resumed %t: got %d, want 401", version, state.DidResume, a.status)
		}
		trusted.Store(ca.Pool())
	}
	for name, change := range map[string]func(*tls.Config){"HTTP/2": nil, "HTTP/1.1": func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }} {
		b := by(t, server, change, self)
		if token, a, _ := b.token("self"); token == "" {
			t.Errorf("%s, self-signed: got %d %s, want a token", name, a.status, a.body)
		}
		if _, a, _ := b.token("shop-1"); a.status != http.StatusUnauthorized {
			t.Errorf("%s, self-signed, another's name: got %d, want 401", name, a.status)
		}
	}
	if _, a, _ := by(t, server, nil).token("shop-1"); a.status != http.StatusUnauthorized {
		t.Errorf("without: got %d, want 401", a.status)
	}
	listed := h.operator(h.SocketHandler()).must(http.StatusOK, http.MethodGet, "/admin/clients", "", "").body
	for _, want := range []string{`"certificate":{"self_signed":true}`, `"certificate":{"subject_dn":"CN=shop"}`} {
		if !strings.Contains(listed, want) {
			t.Errorf("list: got %s, want %s", listed, want)
		}
	}
}

// RFC 8414 §2, RFC 8705 §3.3 §5, RFC 9728 §2: metadata says what there is of mutual TLS.
func TestCertificateMetadata(t *testing.T) {
	const server, resource = "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/ssf/streams"
	ca := edgetest.NewAuthority(t, "clients")
	for _, tt := range []struct {
		name           string
		change         func(*setup)
		methods, bound string
		aliases        string
	}{
		{"without", func(*setup) {}, ``, "", ""},
		{"by key alone", func(s *setup) { s.Certificates = true }, `,"self_signed_tls_client_auth"`, "true", ""},
		{"by name, elsewhere", func(s *setup) {
			s.Certificates, s.ClientCAs, s.CertificateURL = true, ca.Pool, "https://mtls.example/x/"
		}, `,"tls_client_auth","self_signed_tls_client_auth"`, "true", `{"token_endpoint":"https://mtls.example/x/oauth/token","revocation_endpoint":"https://mtls.example/x/oauth/revoke"}`},
	} {
		h := open(t, func(s *setup) { s.idle = true; tt.change(s) })
		doc := h.must(http.StatusOK, http.MethodGet, server, "", "")
		methods := `["client_secret_basic","client_secret_post","private_key_jwt"` + tt.methods + `]`
		for member, want := range map[string]string{
			"token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
			"tls_client_certificate_bound_access_tokens": tt.bound, "mtls_endpoint_aliases": tt.aliases,
		} {
			if got := doc.member(member); got != want {
				t.Errorf("%s: %s: got %s, want %s", tt.name, member, got, want)
			}
		}
		if got := h.must(http.StatusOK, http.MethodGet, resource, "", "").member("tls_client_certificate_bound_access_tokens"); got != tt.bound {
			t.Errorf("%s: RFC 9728: got %s, want %s", tt.name, got, tt.bound)
		}
	}
}

// jwksOf is the key of a certificate as a JWKS.
func jwksOf(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	raw, err := json.Marshal(publicKeys(t, cert))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func publicKeys(t *testing.T, cert tls.Certificate) *jose.KeySet {
	t.Helper()
	key, err := jose.NewPublicKey(cert.Leaf.PublicKey, "")
	if err != nil {
		t.Fatal(err)
	}
	return jose.NewKeySet(key)
}
