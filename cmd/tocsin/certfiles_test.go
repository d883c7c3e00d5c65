package main_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// pairFiles are a certificate and its key in files.
type pairFiles struct {
	t         *testing.T
	cert, key string
}

func newPair(t *testing.T) pairFiles {
	dir := t.TempDir()
	return pairFiles{t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// write makes a pair that is good until end and writes its files, or the first alone.
func (p pairFiles) write(end time.Time, both bool) (der []byte) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"}, NotBefore: end.Add(-48 * time.Hour), NotAfter: end}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.put(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if both {
		p.put(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	}
	return der
}

func (p pairFiles) put(name string, text []byte) {
	p.t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// A certificate that is renewed in its files is served without a restart; half of a
// pair, rubbish, one that has expired, or nothing leaves the one before in force, which
// the log tells loudly and once, and the metric tells how long it lasts.
func TestCertificateIsRenewed(t *testing.T) {
	p := newPair(t)
	long := time.Now().Add(90 * 24 * time.Hour).Truncate(time.Second)
	first := p.write(long, true)
	var logged bytes.Buffer
	secure, look, err := main.CertFiles(p.cert, p.key, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(main.CertExpiry(secure))
	want := func(step string, der []byte, end time.Time, loud bool) {
		t.Helper()
		for range 3 {
			look()
			got, err := secure.GetCertificate(nil)
			if err != nil || !bytes.Equal(got.Certificate[0], der) {
				t.Errorf("%s: got another certificate (%v), want the one in force", step, err)
			}
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 2 {
			t.Fatalf("%s: got %v, %v", step, families, err)
		}
		if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != float64(end.Unix()) {
			t.Errorf("%s: got expiry %v, want %v", step, got, end.Unix())
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := families[1].GetMetric()[0].GetGauge().GetValue(); got != float64(leaf.NotBefore.Unix()) {
			t.Errorf("%s: got start %v, want %v", step, got, leaf.NotBefore.Unix())
		}
		said := strings.Count(logged.String(), "THE CERTIFICATE'S FILES CANNOT BE USED")
		if said != map[bool]int{true: 1, false: 0}[loud] {
			t.Errorf("%s: got %q, want it told once: %t", step, logged.String(), loud)
		}
		logged.Reset()
	}
	want("at first", first, long, false)
	p.write(long, false)
	want("half of a pair", first, long, true)
	second := p.write(long.Add(time.Hour), true)
	want("renewed", second, long.Add(time.Hour), false)
	good, err := os.ReadFile(p.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.key); err != nil {
		t.Fatal(err)
	}
	want("a file is gone", second, long.Add(time.Hour), true)
	p.put(p.key, good)
	want("it is back", second, long.Add(time.Hour), false)
	p.put(p.cert, []byte("rubbish"))
	want("rubbish", second, long.Add(time.Hour), true)
	p.put(p.cert, make([]byte, 2<<20))
	want("too long", second, long.Add(time.Hour), true)
	p.write(time.Now().Add(-time.Hour), true)
	want("one that has expired", second, long.Add(time.Hour), true)
	third := p.write(long.Add(2*time.Hour), true)
	want("renewed again", third, long.Add(2*time.Hour), false)
	if err := os.Remove(p.key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := main.CertFiles(p.cert, p.key, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a start without a key: got no error")
	}
}

// A connection that there is outlives the renewal of the certificate, and the next one
// gets the new one.
func TestRenewalDropsNothing(t *testing.T) {
	p := newPair(t)
	p.write(time.Now().Add(time.Hour), true)
	secure, look, err := main.CertFiles(p.cert, p.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	to := door(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "!") }), config.EdgeSettings{}, secure)
	dial := func() (*tls.Conn, []byte) {
		t.Helper()
		c := tls.Client(raw(t, to), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // which certificate it is, is what is asked
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c, c.ConnectionState().PeerCertificates[0].Raw
	}
	get := func(c *tls.Conn, r *bufio.Reader) {
		t.Helper()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %d, %v", resp.StatusCode, err)
		}
	}
	old, before := dial()
	reader := bufio.NewReader(old)
	get(old, reader)
	renewed := p.write(time.Now().Add(2*time.Hour), true)
	look()
	fresh, after := dial()
	if !bytes.Equal(after, renewed) || bytes.Equal(before, after) {
		t.Error("a new connection: got the old certificate")
	}
	get(fresh, bufio.NewReader(fresh))
	get(old, reader)
}

// TLS is 1.2 or newer, with forward secrecy and authenticated encryption alone; of its
// older ways none is spoken.
func TestTLSVersionsAndSuites(t *testing.T) {
	pair, _, err := localca.Certificate(t.TempDir(), []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t)
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p.put(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	p.put(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	secure, _, err := main.CertFiles(p.cert, p.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	try := func(c *tls.Config) error {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		go func() { _ = tls.Server(theirs, secure).HandshakeContext(t.Context()) }() // ends with the pipe
		c.InsecureSkipVerify = true
		return tls.Client(ours, c).HandshakeContext(t.Context())
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if try(&tls.Config{MinVersion: version, MaxVersion: version}) == nil { //nolint:gosec // it is what must be refused
			t.Errorf("%s: got it spoken", tls.VersionName(version))
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := try(&tls.Config{MinVersion: version, MaxVersion: version}); err != nil { //nolint:gosec // no older one is asked for
			t.Errorf("%s: got %v", tls.VersionName(version), err)
		}
	}
	offered := 0
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		offered++
		want := strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_") && (strings.Contains(suite.Name, "GCM") || strings.Contains(suite.Name, "POLY1305"))
		if got := try(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}) == nil; got != want { //nolint:gosec // as above
			t.Errorf("%s: got it spoken %t, want %t", suite.Name, got, want)
		}
	}
	if offered < 10 {
		t.Errorf("got %d suites tried, want all of TLS 1.2", offered)
	}
}
