// Package certificates_test has real servers get their certificates from a real ACME server.
package certificates_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert/acmetest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

const host = "ssf.example.com"

// said is what a process says.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends p.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// has reports whether it was said.
func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// visitor trusts roots, and finds the server at address under every name.
func visitor(address string, roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: proctest.Patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}}
}

func get(client *http.Client, url string) (int, string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() // it is read to its end
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// serve gets its certificate by itself, with nothing but the name and the server to ask; a
// stranger's name orders nothing; the next start has the certificate though the ACME server
// is away, with its key encrypted.
func TestServe(t *testing.T) {
	t.Parallel()
	s := proctest.New(t)
	ca := acmetest.Start(t, acmetest.Config{TLSPort: acmetest.Port(t, s.Listen)})
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	var words said
	s.Secure, s.Said = true, &words
	s.Args = []string{
		"--issuer", "https://" + host, "--key-file", key, "--acme-domain", host, "--acme-accept-terms",
		"--acme-directory", ca.Directory, "--acme-ca", ca.CAFile, "--acme-allow", "127.0.0.1/32",
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	client := visitor(s.Listen, ca.Root(t))
	metadata := func() bool {
		status, body, err := get(client, "https://"+host+"/.well-known/ssf-configuration")
		return err == nil && status == http.StatusOK && strings.Contains(body, `"issuer":"https://`+host+`"`)
	}
	proctest.Eventually(t, "metadata with a certificate of the ACME server", metadata)
	if _, _, err := get(client, "https://other.example.com/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("another name: got %v, want the alert unrecognized_name", err)
	}
	if got := ca.Orders(); got != 1 {
		t.Errorf("got %d orders, want 1", got)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "acme", host+".pem"))
	if err != nil || strings.Contains(string(text), "BEGIN PRIVATE KEY") || !strings.Contains(string(text), "BEGIN TOCSIN SEALED PRIVATE KEY") {
		t.Errorf("the file of the certificate: got %v and\n%s\nwant a sealed key", err, text)
	}
	checkDoctor(t, s)
	s.Kill()
	ca.Down()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, "metadata at the next start, without the ACME server", metadata)
	if words.has("COULD NOT BE") {
		t.Error("the next start: got an order, want the certificate that there is")
	}
}

// checkDoctor looks at what doctor says of the certificate.
func checkDoctor(t *testing.T, s *proctest.Server) {
	t.Helper()
	out, _ := s.Command(t.Context(), append([]string{"doctor", "serve", "--json", "--data", s.Dir, "--listen", s.Listen}, s.Args...)...) // fails for others' reasons
	var report struct {
		Findings []struct{ Check, Verdict string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("doctor: got %v\n%s", err, out)
	}
	levels := map[string]string{}
	for _, one := range report.Findings {
		levels[one.Check] = one.Verdict
	}
	for _, check := range []string{"tls.expiry", "tls.key", "tls.name"} {
		if levels[check] != "ok" {
			t.Errorf("doctor: got %s %q, want ok\n%s", check, levels[check], out)
		}
	}
}

// receive does the same by HTTP-01, on a listener that sends all others to https.
func TestReceive(t *testing.T) {
	t.Parallel()
	s := proctest.NewReceiver(t, "")
	plain := acmetest.Address(t)
	ca := acmetest.Start(t, acmetest.Config{HTTPPort: acmetest.Port(t, plain)})
	token := filepath.Join(s.Dir, "token")
	if err := os.WriteFile(token, []byte("a-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := "listen: " + s.Listen + "\ndata: data\npublic_url: https://" + host + "\n" +
		"acme_domain: [" + host + "]\nacme_accept_terms: true\nacme_directory: " + ca.Directory + "\nacme_ca: " + ca.CAFile + "\nacme_allow: [127.0.0.1/32]\nacme_http: " + plain + "\n" +
		"issuers:\n  - name: idp\n    issuer: https://idp.invalid\n    audience: [https://app.example]\n    credentials: {token_file: token}\n"
	if err := os.WriteFile(s.File, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	client := visitor(s.Listen, ca.Root(t))
	proctest.Eventually(t, "an answer with a certificate of the ACME server", func() bool {
		status, _, err := get(client, "https://"+host+"/")
		return err == nil && status == http.StatusNotFound
	})
	stay := visitor(plain, nil)
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if status, _, err := get(stay, "http://"+host+"/push/idp"); err != nil || status != http.StatusPermanentRedirect {
		t.Errorf("plain http: got %d (%v), want a redirect", status, err)
	}
	if status, _, err := get(stay, "http://other.example.com/"); err != nil || status != http.StatusNotFound {
		t.Errorf("plain http by another name: got %d (%v), want 404", status, err)
	}
}
