package edge_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// written is a certificate as a proxy writes it (RFC 9440 §2.1).
func written(cert tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(cert.Certificate[0]) + ":"
}

// RFC 9440 §2.4: a client's certificate is what a trusted proxy says, where the operator
// wants it believed, and that of the connection else. Nobody behind sees the headers.
func TestClientCert(t *testing.T) {
	clients, proxy, chain := edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	believes := edge.Config{Trusted: trusted, ClientCert: true}
	const inside, outside = "10.0.0.1:1", "203.0.113.7:1"
	good := written(clients)
	for _, tt := range []struct {
		name, from string
		cfg        edge.Config
		cert       []string
		chain      []string
		own        *tls.Certificate
		want       []tls.Certificate
	}{
		{name: "of a proxy", from: inside, cfg: believes, cert: []string{good}, want: []tls.Certificate{clients}},
		{name: "of a proxy with a certificate of its own", from: inside, cfg: believes, cert: []string{good}, own: &proxy, want: []tls.Certificate{clients}},
		{name: "a proxy says that there is none", from: inside, cfg: believes, own: &proxy},
		{name: "with a chain", from: inside, cfg: believes, cert: []string{good}, chain: []string{written(chain) + ",  " + written(proxy)}, want: []tls.Certificate{clients, chain, proxy}},
		{name: "a chain in two headers", from: inside, cfg: believes, cert: []string{good}, chain: []string{written(chain), written(proxy)}, want: []tls.Certificate{clients, chain, proxy}},
		{name: "made up by a client", from: outside, cfg: believes, cert: []string{good}},
		{name: "made up by a client with a certificate", from: outside, cfg: believes, cert: []string{good}, own: &chain, want: []tls.Certificate{chain}},
		{name: "not to be believed", from: inside, cfg: edge.Config{Trusted: trusted}, cert: []string{good}},
		{name: "a proxy's own, which is nobody's", from: inside, cfg: edge.Config{Trusted: trusted}, own: &proxy},
		{name: "no proxies", from: inside, cfg: edge.Config{ClientCert: true}, cert: []string{good}},
		{name: "on a Unix socket", from: "@", cfg: believes, cert: []string{good}},
		{name: "of the connection", from: outside, cfg: edge.Config{}, own: &clients, want: []tls.Certificate{clients}},
		{name: "twice", from: inside, cfg: believes, cert: []string{good, good}},
		{name: "empty", from: inside, cfg: believes, cert: []string{""}},
		{name: "a list", from: inside, cfg: believes, cert: []string{good + ", " + good}},
		{name: "no bytes", from: inside, cfg: believes, cert: []string{"::"}},
		{name: "no byte sequence", from: inside, cfg: believes, cert: []string{strings.Trim(good, ":")}},
		{name: "PEM", from: inside, cfg: believes, cert: []string{"-----BEGIN%20CERTIFICATE-----"}},
		{name: "no certificate", from: inside, cfg: believes, cert: []string{":AAAA:"}},
		{name: "endless", from: inside, cfg: believes, cert: []string{":" + strings.Repeat("A", 32<<10) + ":"}},
		{name: "a chain that is none", from: inside, cfg: believes, cert: []string{good}, chain: []string{"x"}},
		{name: "a chain without end", from: inside, cfg: believes, cert: []string{good}, chain: []string{strings.Repeat(good+",", 8) + good}},
		{name: "a chain alone", from: inside, cfg: believes, chain: []string{good}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []*x509.Certificate
			var left http.Header
			var logged bytes.Buffer
			tt.cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			h := edge.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, left = edge.Certificates(r), r.Header
				edge.Certificates(r) // as often as it is asked
			}), tt.cfg)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = tt.from
			r.Header["Client-Cert"], r.Header["Client-Cert-Chain"] = tt.cert, tt.chain
			if tt.own != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tt.own.Leaf}}
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d certificates, want %d", len(got), len(tt.want))
			}
			for i, want := range tt.want {
				if !got[i].Equal(want.Leaf) {
					t.Errorf("certificate %d: got another one", i)
				}
			}
			if left.Values("Client-Cert") != nil || left.Values("Client-Cert-Chain") != nil {
				t.Errorf("got %v left, want the headers away", left)
			}
			unread := tt.cfg.ClientCert && tt.from == inside && len(tt.cert) > 0 && tt.want == nil && len(tt.cfg.Trusted) > 0
			if told := strings.Count(logged.String(), "Client-Cert cannot be read"); (told == 1) != unread {
				t.Errorf("got told %d times, want it of what cannot be read alone", told)
			}
		})
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if r.Header.Set("Client-Cert", good); edge.Certificates(r) != nil {
		t.Error("without Handler: got a certificate of a header")
	}
}

// Whatever the headers are, there is no certificate, or the one that they have.
func FuzzClientCert(f *testing.F) {
	good := written(edgetest.SelfSigned(f, nil))
	for _, seed := range []string{good, good + ";a=1", "\t" + good, good[:len(good)-1], ":" + good, "::", "", ":AAAA=:", strings.ReplaceAll(good, "=", "")} {
		f.Add(seed, "")
		f.Add(good, seed)
		f.Add(good, seed+","+seed)
	}
	cfg := edge.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ClientCert: true, Logger: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, cert, chain string) {
		var got []*x509.Certificate
		h := edge.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = edge.Certificates(r) }), cfg)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["Client-Cert"], r.Header["Client-Cert-Chain"] = []string{cert}, []string{chain}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if len(got) > 9 {
			t.Errorf("got %d certificates, want a bound", len(got))
		}
		all := strings.ReplaceAll(cert+","+chain, "=", "")
		for _, one := range got {
			if text := base64.RawStdEncoding.EncodeToString(one.Raw); !strings.Contains(all, ":"+text+":") {
				t.Errorf("got a certificate that is not in %q", all)
			}
		}
	})
}
