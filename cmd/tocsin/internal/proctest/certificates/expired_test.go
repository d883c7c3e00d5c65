package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert/acmetest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// expired writes a certificate of host that has ended, as a run before has left it.
func expired(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(-24 * time.Hour)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: end.Add(-90 * 24 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	path := filepath.Join(dir, "acme", host+".pem")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A start after a long time off, with a certificate that has ended and without the ACME
// server: it is ready, serves what there is, says what is wrong, and shows no secret. The next
// start, while the server takes connections and says nothing, is not kept from its end.
func TestStartWithoutTheServer(t *testing.T) {
	t.Parallel()
	s := proctest.New(t)
	want := expired(t, s.Dir)
	const mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	eab := filepath.Join(t.TempDir(), "eab")
	if err := os.WriteFile(eab, []byte(mac), 0o600); err != nil {
		t.Fatal(err)
	}
	directory := acmetest.Address(t)
	var words said
	s.Secure, s.Said = true, &words
	s.Args = []string{
		"--issuer", "https://" + host, "--acme-domain", host, "--acme-accept-terms", "--acme-eab-kid", "kid", "--acme-eab-key", "@" + eab,
		"--acme-directory", "https://" + directory + "/dir?token=planted-secret", "--acme-allow", "127.0.0.1/32", "--log-level", "debug",
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.Listen, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // it has ended
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(want) {
		t.Errorf("got a certificate that ends %v, want the one that there is", got.NotAfter)
	}
	_ = conn.Close()
	proctest.Eventually(t, "word of it", func() bool { return words.has("THE CERTIFICATE COULD NOT BE RENEWED") })
	if metric := "tocsin_tls_certificate_orders_total{result=\"failed\"} 1"; !strings.Contains(metrics(t, s.Dir), metric) {
		t.Errorf("got no %s", metric)
	}
	for _, secret := range []string{mac, "planted-secret", "PRIVATE KEY"} {
		if words.has(secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	s.Kill()

	l, err := net.Listen("tcp", directory)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody is there any more
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	silent, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // the same
	begun := time.Now()
	if err := s.Process().Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if <-s.Done(); s.ExitCode() != 0 {
		t.Errorf("got exit code %d, want 0", s.ExitCode())
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("got an end after %v, want no wait for the ACME server", took)
	}
}

// metrics reads what the server of a folder tells on its socket.
func metrics(t *testing.T, dir string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
	}}}
	status, text, err := get(client, "http://socket/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("got %d (%v)", status, err)
	}
	return text
}
