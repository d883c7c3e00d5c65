package main_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// PUSH-5.3-01, POLL-4.3-01: the server speaks TLS 1.2 or newer alone, with a
// certificate of its name from an authority that a client can check.
func TestServerTLS(t *testing.T) {
	dir := t.TempDir()
	server := exec.CommandContext(t.Context(), proctest.Binary(t), "serve", "--data", dir, "--listen", "127.0.0.1:0", "--log-level", "error")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 4 {
		t.Fatalf("got first line %q, %v, want it ready", line, err)
	}
	issuer, err := url.Parse(words[2])
	if err != nil || issuer.Scheme != "https" {
		t.Fatalf("got issuer %s, %v, want https", words[2], err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(pem)
	for _, c := range []struct {
		name  string
		most  uint16
		roots *x509.CertPool
		as    string
		want  bool
	}{
		{"TLS 1.1", tls.VersionTLS11, ca, issuer.Hostname(), false},
		{"TLS 1.2", tls.VersionTLS12, ca, issuer.Hostname(), true},
		{"TLS 1.3", tls.VersionTLS13, ca, issuer.Hostname(), true},
		{"a client that does not trust its authority", tls.VersionTLS13, x509.NewCertPool(), issuer.Hostname(), false},
		{"a client that means another name", tls.VersionTLS13, ca, "other.example", false},
	} {
		conn, err := tls.Dial("tcp", issuer.Host, &tls.Config{
			MinVersion: tls.VersionTLS10, MaxVersion: c.most, RootCAs: c.roots, ServerName: c.as, // the test's own client
		})
		if (err == nil) != c.want {
			t.Errorf("PUSH-5.3-01 %s: got %v, want a connection %v", c.name, err, c.want)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
