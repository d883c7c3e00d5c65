package credential_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// mutual is an authorization server at which clients are known by their certificates: it
// takes those of its authority, at the alias of its token endpoint.
type mutual struct {
	*httptest.Server
	asked atomic.Int64
	now   atomic.Pointer[tls.Certificate] // the client's
}

func newMutual(t *testing.T, ca *edgetest.Authority, secret string) *mutual {
	t.Helper()
	s := &mutual{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": s.URL, "token_endpoint": s.URL + "/elsewhere", "mtls_endpoint_aliases": map[string]string{"token_endpoint": s.URL + "/token"},
		})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		n := s.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, basic, _ := r.BasicAuth()
		if got := r.PostFormValue("client_id"); secret == "" && (got != "shop" || basic != "" || r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret")) {
			t.Errorf("RFC 8705 §2: got %v, want the client_id alone", r.PostForm)
		}
		certs := r.TLS.PeerCertificates
		good := len(certs) > 0 && (basic == secret || r.PostFormValue("client_secret") == secret)
		if good {
			_, err := certs[0].Verify(x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			good = err == nil
		}
		if !good {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"s3cret"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"t` + strconv.FormatInt(n, 10) + `","token_type":"Bearer","expires_in":3600}`))
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *mutual) show(cert tls.Certificate) { s.now.Store(&cert) }

func (s *mutual) config() credential.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	get := func() (*tls.Certificate, error) { return s.now.Load(), nil }
	return credential.Config{
		ClientID: "shop", AuthorizationServer: s.URL, Certificate: get,
		HTTP: guard.NewClient(guard.Policy{Allow: guard.PrivateRanges(), RootCAs: pool, ClientCertificate: get}),
	}
}

// RFC 8705 §2, §3, §5: a client is known by its certificate, at the alias; its token is kept
// as long as the certificate, and a renewed one has another.
func TestClientCertificate(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	s := newMutual(t, ca, "")
	first := ca.Issue(t, nil)
	s.show(first)
	source := build(t, s.config())
	want(t, source, "t1")
	want(t, source, "t1")
	s.show(ca.Issue(t, nil))
	want(t, source, "t2")
	want(t, source, "t2")
	source.Refused("t2")
	want(t, source, "t3")
	s.show(first)
	want(t, source, "t4")
}

// With a secret the certificate is what tokens are bound to, and no more.
func TestSecretWithCertificate(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	s := newMutual(t, ca, "s3cret")
	s.show(ca.Issue(t, nil))
	cfg := s.config()
	cfg.ClientSecret = "s3cret"
	source := build(t, cfg)
	want(t, source, "t1")
	s.show(ca.Issue(t, nil))
	want(t, source, "t2")
	cfg.ClientSecret = "s3cret-of-before"
	if text := fails(t, build(t, cfg)); strings.Contains(text, "certificate") {
		t.Errorf("got %s, want nothing about the certificate: it is not how the client is known", text)
	}
}

// A refusal tells which certificate was shown, and what to do.
func TestClientCertificateRefused(t *testing.T) {
	ca := edgetest.NewAuthority(t, "clients")
	s := newMutual(t, ca, "")
	for name, tt := range map[string]struct {
		cert tls.Certificate
		want []string
	}{
		"another's": {edgetest.SelfSigned(t, nil), []string{"CN=shop", "2040-01-01", "have its name or key registered", `"shop"`}},
		"expired": {ca.Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), []string{
			"has expired: renew it",
		}},
	} {
		s.show(tt.cert)
		text := fails(t, build(t, s.config()))
		if slices.ContainsFunc(append(tt.want, "invalid_client"), func(part string) bool { return !strings.Contains(text, part) }) {
			t.Errorf("%s: got %s, want %q in it", name, text, tt.want)
		}
	}
	s.now.Store(nil)
	if text := fails(t, build(t, s.config())); !strings.Contains(text, "Config.Certificate: there is none") {
		t.Errorf("none: got %s", text)
	}
	if _, err := credential.New(credential.Config{ClientID: "shop", TokenURL: "https://as.example", Certificate: s.config().Certificate}); err == nil {
		t.Error("a certificate that no client shows: got no error")
	}
}
