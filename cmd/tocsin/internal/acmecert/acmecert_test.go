package acmecert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert/acmetest"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

const host = "ssf.example.com"

// log is what was logged.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// place is a listener with a manager of its certificates.
type place struct {
	*acmecert.Manager
	listener net.Listener
	said     *log
	cfg      acmecert.Config
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// config asks the server s, for one name.
func config(t *testing.T, s *acmetest.Server, l *log) acmecert.Config {
	t.Helper()
	raw, err := os.ReadFile(s.CAFile)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(raw) {
		t.Fatal(err)
	}
	return acmecert.Config{
		Domains: []string{host}, Directory: s.Directory, AcceptTerms: true, Dir: filepath.Join(t.TempDir(), "acme"),
		Client: guard.NewClient(guard.Policy{RootCAs: roots, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}),
		Retry:  []time.Duration{50 * time.Millisecond}, Logger: slog.New(slog.NewTextHandler(l, nil)),
	}
}

// open serves on l with the certificates of cfg, and runs the manager until the test ends,
// or stop.
func open(t *testing.T, l net.Listener, cfg acmecert.Config, said *log) (_ *place, stop func()) {
	t.Helper()
	m, err := acmecert.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }),
		TLSConfig: &tls.Config{GetCertificate: m.GetCertificate, NextProtos: m.Protocols()}, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() { _ = server.ServeTLS(l, "", "") })
	all.Go(func() { _ = m.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); _ = server.Close(); all.Wait() })
	t.Cleanup(stop)
	return &place{m, l, said, cfg}, stop
}

// shake shakes hands as a client that trusts roots and asks for name.
func (p *place) shake(name string, roots *x509.CertPool, protocols ...string) (*x509.Certificate, error) {
	conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: roots, NextProtos: protocols, InsecureSkipVerify: roots == nil}}).Dial("tcp", p.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close() // nothing is said
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// eventually waits until check holds.
func eventually(t *testing.T, what string, said *log, check func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !check(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time\n%s", what, said)
		}
	}
}

// header is a vault.Store in memory.
type header []byte

func (h *header) Header(context.Context) ([]byte, error) { return *h, nil }

func (h *header) Replace(_ context.Context, _, to []byte) error {
	*h = to
	return nil
}

func newVault(t *testing.T) *vault.Vault {
	t.Helper()
	secret, err := vault.Key(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), vault.Config{Store: new(header), Secret: &secret, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A certificate is obtained by TLS-ALPN-01 of the listener itself, renewed before it ends
// while connections go on, kept with its key sealed, and found again at the next start.
func TestObtainAndRenew(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0")
	s := acmetest.Start(t, acmetest.Config{TLSPort: acmetest.Port(t, l.Addr().String()), Validity: 12 * time.Second})
	var said log
	cfg := config(t, s, &said)
	cfg.Vault = newVault(t)
	p, stop := open(t, l, cfg, &said)
	roots := s.Root(t)
	var first *x509.Certificate
	eventually(t, "a certificate", &said, func() (found bool) {
		cert, err := p.shake(host, roots)
		first = cert
		return err == nil
	})
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host},
	}}
	call := func() {
		t.Helper()
		resp, err := client.Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatalf("a connection that there is: got %v", err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if at := resp.TLS.PeerCertificates[0]; !at.Equal(first) {
			t.Errorf("a connection that there is: got another certificate, want it to go on")
		}
		_ = resp.Body.Close()
	}
	call()
	eventually(t, "a renewal", &said, func() bool {
		cert, err := p.shake(host, roots)
		return err == nil && !cert.Equal(first) && !bytes.Equal(cert.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo)
	})
	if left := time.Until(first.NotAfter); left <= 0 {
		t.Errorf("got a renewal %v after the end, want it before", -left)
	}
	call()
	stop()
	checkFolder(t, cfg.Dir)
	if _, err := acmecert.New(acmecert.Config{Domains: cfg.Domains, Dir: cfg.Dir, Client: cfg.Client, Vault: vault.Locked()}); err == nil {
		t.Error("without the passphrase: got a manager, want none")
	}
	before := s.Orders()
	again, err := acmecert.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := again.GetCertificate(&tls.ClientHelloInfo{ServerName: host}); err != nil || cert == nil || s.Orders() != before {
		t.Errorf("the next start: got %v (%v) and %d orders, want the certificate that there is and %d", cert, err, s.Orders(), before)
	}
}

// checkFolder looks at the files: for the owner alone, and no key in clear.
func checkFolder(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("got %d files (%v), want account and certificate", len(files), err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || strings.Contains(string(text), "BEGIN PRIVATE KEY") || !strings.Contains(string(text), "SEALED") {
			t.Errorf("%s: got mode %v and\n%s\nwant 0600 and a sealed key", file.Name(), info.Mode(), text)
		}
	}
}

// Names that are not configured get an alert; neither they nor a challenge that nobody asked
// for leads to an order.
func TestStrangersOrderNothing(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0")
	s := acmetest.Start(t, acmetest.Config{TLSPort: acmetest.Port(t, l.Addr().String())})
	var said log
	p, _ := open(t, l, config(t, s, &said), &said)
	roots := s.Root(t)
	eventually(t, "a certificate", &said, func() bool { _, err := p.shake(host, roots); return err == nil })
	for _, name := range []string{"other.example.com", "example.com", "a." + host, "localhost", "xn--a.example"} {
		if _, err := p.shake(name, nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: got %v, want the alert unrecognized_name", name, err)
		}
	}
	for _, name := range []string{host, "other.example.com"} {
		if _, err := p.shake(name, nil, acme.ALPNProto); err == nil {
			t.Errorf("a challenge for %s that nobody asked for: got an answer, want an alert", name)
		}
	}
	if _, err := p.shake(strings.ToUpper(host), roots); err != nil {
		t.Errorf("the name in capitals: got %v", err)
	}
	if got := s.Orders(); got != 1 {
		t.Errorf("got %d orders, want 1\n%s", got, s.Said())
	}
}

// HTTP-01 on a listener of its own, with an account that is bound (RFC 8555 §7.3.4).
func TestHTTPAndBinding(t *testing.T) {
	t.Parallel()
	plain := listen(t, "127.0.0.1:0")
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	s := acmetest.Start(t, acmetest.Config{HTTPPort: acmetest.Port(t, plain.Addr().String()), Bindings: map[string]string{"kid-1": key}})
	var said log
	cfg := config(t, s, &said)
	cfg.HTTP = true
	mac, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	unbound := cfg
	unbound.Dir = t.TempDir()
	cfg.Binding = &acme.ExternalAccountBinding{KID: "kid-1", Key: mac}
	p, _ := open(t, listen(t, "127.0.0.1:0"), cfg, &said)
	server := &httptest.Server{Listener: plain, Config: &http.Server{Handler: p.Handler()}}
	server.Start()
	t.Cleanup(server.Close)
	roots := s.Root(t)
	eventually(t, "a certificate", &said, func() bool { _, err := p.shake(host, roots); return err == nil })

	var told log
	unbound.Logger = slog.New(slog.NewTextHandler(&told, nil))
	_, stop := open(t, listen(t, "127.0.0.1:0"), unbound, &told)
	eventually(t, "word of the binding", &told, func() bool { return strings.Contains(told.String(), "--acme-eab-kid") })
	stop()
}

// What is no challenge on that listener is sent to https by names of ours, or not there.
func TestHandler(t *testing.T) {
	m, err := acmecert.New(acmecert.Config{Domains: []string{host}, Dir: t.TempDir(), Client: guard.NewClient(guard.Policy{})})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, host, path string
		want               int
		location           string
	}{
		{"GET", host, "/a/b?c=d", http.StatusPermanentRedirect, "https://" + host + "/a/b?c=d"},
		{"HEAD", "SSF.example.com:80", "/", http.StatusPermanentRedirect, "https://" + host + "/"},
		{"GET", "evil.example", "/", http.StatusNotFound, ""},
		{"GET", host, "/.well-known/acme-challenge/x", http.StatusNotFound, ""},
		{"POST", host, "/v1/events", http.StatusNotFound, ""},
		{"GET", host + ".", "//evil.example/", http.StatusPermanentRedirect, "https://" + host + "//evil.example/"},
		{"GET", host, "x:.evil.example/", http.StatusNotFound, ""},
	} {
		r, w := httptest.NewRequest(c.method, c.path, nil), httptest.NewRecorder()
		r.Host = c.host
		m.Handler().ServeHTTP(w, r)
		if w.Code != c.want || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s%s: got %d to %q, want %d to %q", c.method, c.host, c.path, w.Code, w.Header().Get("Location"), c.want, c.location)
		}
	}
}

// The server goes away before a renewal: the certificate before is served on, the log tells
// of it and what to do, and when the server is back, though it has forgotten the account,
// all goes on.
func TestServerAway(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0")
	s := acmetest.Start(t, acmetest.Config{TLSPort: acmetest.Port(t, l.Addr().String()), Validity: 9 * time.Second})
	var said log
	p, _ := open(t, l, config(t, s, &said), &said)
	roots := s.Root(t)
	eventually(t, "a certificate", &said, func() bool { _, err := p.shake(host, roots); return err == nil })
	s.Down()
	eventually(t, "word of the failure", &said, func() bool {
		return strings.Contains(said.String(), "THE CERTIFICATE COULD NOT BE RENEWED") && strings.Contains(said.String(), "--acme-directory") && strings.Contains(said.String(), "not_after=")
	})
	if _, err := p.shake(host, nil); err != nil {
		t.Errorf("while the server is away: got %v, want the certificate before", err)
	}
	s.Up(t)
	roots = s.Root(t)
	eventually(t, "a renewal at the server that is back", &said, func() bool { _, err := p.shake(host, roots); return err == nil })
}

// Terms are agreed to by who runs this, or not at all; the log says how.
func TestTerms(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0")
	s := acmetest.Start(t, acmetest.Config{TLSPort: acmetest.Port(t, l.Addr().String())})
	var said log
	cfg := config(t, s, &said)
	cfg.AcceptTerms = false
	p, _ := open(t, l, cfg, &said)
	eventually(t, "word of the terms", &said, func() bool { return strings.Contains(said.String(), "--acme-accept-terms") })
	if _, err := p.shake(host, nil); err == nil || s.Orders() != 0 {
		t.Errorf("got %v and %d orders, want no certificate and none", err, s.Orders())
	}
}

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"ssf.example.com": "ssf.example.com", "SSF.Example.COM.": "ssf.example.com", "bücher.example": "xn--bcher-kva.example",
		"a..b": "", "..": "", "...": "", ".a.b": "", "example.com..": "", strings.Repeat("a", 64) + ".example": "", strings.Repeat("a.", 130) + "b": "", "a_b.example": "",
		"localhost": "", "": "", "10.0.0.1": "", "*.example.com": "", "a b.example": "", "https://a.example": "", "a.example:443": "", "../a.example": "",
	} {
		if got, err := acmecert.Name(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q (%v), want %q", name, got, err, want)
		}
	}
}
