package doctor_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// jwks has one key.
const jwks = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// idp is a transmitter, of which a test spoils a part.
type idp struct {
	*httptest.Server
	spoil map[string]http.HandlerFunc // by path
	ahead time.Duration
}

func newIDP(t *testing.T, cert *tls.Certificate) *idp {
	t.Helper()
	p := &idp{spoil: map[string]http.HandlerFunc{}}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if cert != nil {
		p.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *idp) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(p.ahead).UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if h := p.spoil[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/ssf-configuration":
		answer = map[string]any{
			"spec_version": "1_0", "issuer": p.URL, "jwks_uri": p.URL + "/jwks.json", "configuration_endpoint": p.URL + "/streams",
			"delivery_methods_supported": []string{"urn:ietf:rfc:8935"},
		}
	case "/.well-known/oauth-authorization-server":
		answer = map[string]any{"issuer": p.URL, "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks.json"}
	case "/token":
		answer = map[string]any{"access_token": "s3cr3t-token", "token_type": "Bearer", "expires_in": 60}
	case "/streams":
		answer = []any{}
	case "/jwks.json":
		_, _ = w.Write([]byte(jwks))
		return
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// ca is a file with the certificate of the transmitter.
func (p *idp) ca(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600))
	return name
}

// configured is a receiver's configuration of it that is well.
func (p *idp) configured(t *testing.T) receive.Issuer {
	t.Helper()
	return receive.Issuer{
		Name: "idp", Issuer: p.URL, Audience: []string{"https://app.example"}, CA: p.ca(t), Mode: receive.ModeDiscovered,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Delivery: receive.Delivery{Method: receive.MethodPush},
		Credentials: receive.Credentials{Client: receive.Client{ID: "app", Secret: "s3cr3t-client"}},
	}
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestIssuer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(p *idp, is *receive.Issuer)
		check  string
		want   doctor.Verdict
		saying string
	}{
		{"well", nil, "", "", ""},
		{"no metadata", func(p *idp, _ *receive.Issuer) {
			p.spoil["/.well-known/ssf-configuration"] = answers(http.StatusNotFound, "")
		}, "issuer.metadata", doctor.Fail, "404"},
		{"another issuer", func(p *idp, _ *receive.Issuer) {
			p.spoil["/.well-known/ssf-configuration"] = answers(http.StatusOK, `{"issuer":"https://other.example","jwks_uri":"https://other.example/k"}`)
		}, "issuer.metadata", doctor.Fail, "issuer"},
		{"away", func(p *idp, _ *receive.Issuer) { p.Close() }, "issuer.metadata", doctor.Fail, "cannot be reached"},
		{"refused by the guard", func(_ *idp, is *receive.Issuer) { is.Allow = nil }, "issuer.metadata", doctor.Fail, "not public"},
		{"unknown authority", func(_ *idp, is *receive.Issuer) { is.CA = "" }, "issuer.metadata", doctor.Fail, "certificate"},
		{"no keys", func(p *idp, _ *receive.Issuer) { p.spoil["/jwks.json"] = answers(http.StatusOK, `{"keys":[]}`) }, "issuer.keys", doctor.Fail, ""},
		{"keys away", func(p *idp, _ *receive.Issuer) { p.spoil["/jwks.json"] = answers(http.StatusBadGateway, "") }, "issuer.keys", doctor.Fail, "502"},
		{"poll alone", func(_ *idp, is *receive.Issuer) { is.Delivery.Method = receive.MethodPoll }, "issuer.delivery", doctor.Fail, "poll"},
		{"secret refused", func(p *idp, _ *receive.Issuer) {
			p.spoil["/token"] = answers(http.StatusUnauthorized, `{"error":"invalid_client"}`)
		}, "issuer.token", doctor.Fail, "token"},
		{"no credentials", func(_ *idp, is *receive.Issuer) { is.Credentials = receive.Credentials{} }, "issuer.token", doctor.Warn, ""},
		{"no scope", func(p *idp, _ *receive.Issuer) { p.spoil["/streams"] = answers(http.StatusForbidden, `{}`) }, "issuer.api", doctor.Fail, "403"},
		{"clock behind", func(p *idp, _ *receive.Issuer) { p.ahead = -20 * time.Second }, "clock", doctor.Warn, "behind"},
		{"clock far ahead", func(p *idp, _ *receive.Issuer) { p.ahead = 5 * time.Minute }, "clock", doctor.Fail, "ahead"},
		{"key file", func(_ *idp, is *receive.Issuer) { is.Mode, is.KeyFile = receive.ModeStatic, "/nowhere.jwks" }, "issuer.keys", doctor.Fail, "/nowhere"},
		{"keys at a URL", func(p *idp, is *receive.Issuer) { is.Mode, is.JWKSURL = receive.ModeStatic, p.URL+"/jwks.json" }, "issuer.keys", doctor.OK, ""},
		{"no keys at a URL", func(p *idp, is *receive.Issuer) { is.Mode, is.JWKSURL = receive.ModeStatic, p.URL+"/nothing" }, "issuer.keys", doctor.Fail, "404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t, nil)
			is := p.configured(t)
			if tt.spoil != nil {
				tt.spoil(p, &is)
			}
			r := new(doctor.Report)
			doctor.Issuers(t.Context(), r, receive.Config{Issuers: []receive.Issuer{is}}, time.Now)
			text := said(r)
			if tt.check == "" {
				if n := r.Count(doctor.OK); n != len(r.Findings) || n < 5 {
					t.Errorf("got\n%s, want all well", text)
				}
			} else {
				check(t, r, tt.check, tt.want)
			}
			if !strings.Contains(text, tt.saying) || strings.Contains(text, "s3cr3t") {
				t.Errorf("got\n%s, want %q, and no secret", text, tt.saying)
			}
		})
	}
}

// A certificate of theirs that ends soon is told, before their SETs cannot be verified.
func TestPeerExpiry(t *testing.T) {
	cert, key := issued{names: []string{"127.0.0.1"}, begin: time.Now().Add(-300 * 24 * time.Hour), end: time.Now().Add(3 * 24 * time.Hour)}.write(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	p := newIDP(t, &pair)
	r := new(doctor.Report)
	doctor.Issuer(t.Context(), r, receive.Config{}, p.configured(t), time.Now)
	check(t, r, "peer.expiry", doctor.Warn)
	check(t, r, "issuer.api", doctor.OK)
}

func TestPublishedAndTokenIssuer(t *testing.T) {
	p := newIDP(t, nil)
	is := p.configured(t)
	client, err := is.HTTPClient(false)
	if err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	policy := guard.Policy{Allow: is.Allow, RootCAs: p.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	r := new(doctor.Report)
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
	doctor.TokenIssuer(t.Context(), r, p.URL, policy, time.Now)
	check(t, r, "public.metadata", doctor.OK)
	check(t, r, "token-issuer", doctor.OK)
	r = new(doctor.Report)
	doctor.TokenIssuer(t.Context(), r, p.URL, guard.Policy{}, time.Now)
	check(t, r, "token-issuer", doctor.Fail)
	p.spoil["/jwks.json"] = answers(http.StatusNotFound, "")
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
	check(t, r, "public.keys", doctor.Fail)
	p.Close()
	doctor.Published(t.Context(), r, p.URL, policy, time.Now)
	doctor.TokenIssuer(t.Context(), r, p.URL, policy, time.Now)
	check(t, r, "public.metadata", doctor.Fail)
	check(t, r, "token-issuer", doctor.Fail)
}
