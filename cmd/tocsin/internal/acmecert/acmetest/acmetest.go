// Package acmetest runs a real ACME server for tests: Let's Encrypt's pebble, which asks a
// name server of its own (pebble-challtestsrv) where names are, and really validates.
package acmetest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// Config says what the server is like.
type Config struct {
	TLSPort, HTTPPort int               // where challenges are looked for; 0: nowhere that anybody listens
	Validity          time.Duration     // of certificates; zero: pebble's own, years
	Bindings          map[string]string // key ids and keys of accounts that are bound; none: any account will do
}

// Server is a running server.
type Server struct {
	Directory string // URL of its directory
	CAFile    string // of the authority of the server itself, PEM

	cfg     Config
	dir     string
	listen  string
	manage  string
	names   string // address of the name server
	client  *http.Client
	process *exec.Cmd
	said    buffer
}

// patience bounds a start.
const patience = 30 * time.Second

// Start starts a server, which ends with the test. Every name is at 127.0.0.1 for it.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatalf("%s is missing (.ci/needs)", name)
		}
		t.Skipf("SKIPPED: %s is missing (package pebble); nothing tests certificates of ACME", name)
	}
	dir := t.TempDir()
	s := &Server{cfg: cfg, dir: dir, listen: Address(t), manage: Address(t), names: Address(t), CAFile: filepath.Join(dir, localca.CertFile)}
	s.Directory = "https://" + s.listen + "/dir"
	if err := localca.WritePair(dir, []string{"127.0.0.1"}, s.file("cert.pem"), s.file("key.pem")); err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, s.CAFile)}, DisableKeepAlives: true}}
	resolver := exec.Command("pebble-challtestsrv", "-dns01", s.names, "-management", Address(t), "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "")
	begin(t, resolver)
	s.Up(t)
	return s
}

// Up starts the server again after [Server.Down], at the same address and knowing nothing.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": s.listen, "managementListenAddress": s.manage,
		"certificate": s.file("cert.pem"), "privateKey": s.file("key.pem"),
		"httpPort": s.cfg.HTTPPort, "tlsPort": s.cfg.TLSPort,
		"certificateValidityPeriod":      int(s.cfg.Validity.Seconds()),
		"externalAccountBindingRequired": len(s.cfg.Bindings) > 0, "externalAccountMACKeys": s.cfg.Bindings,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("pebble.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command("pebble", "-config", s.file("pebble.json"), "-dnsserver", s.names)
	s.process.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_VA_ALWAYS_VALID=0", "PEBBLE_AUTHZREUSE=0")
	s.process.Stdout, s.process.Stderr = &s.said, &s.said
	begin(t, s.process)
	for end := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		resp, err := s.client.Get(s.Directory)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("pebble: got %v\n%s", err, s.said.String())
		}
	}
}

// Down ends the server.
func (s *Server) Down() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// Orders is how many orders the server has taken.
func (s *Server) Orders() int { return strings.Count(s.said.String(), "Added order") }

// Said is what the server has printed.
func (s *Server) Said() string { return s.said.String() }

// Root has the authority of the certificates that this run of the server gives.
func (s *Server) Root(t testing.TB) *x509.CertPool {
	t.Helper()
	resp, err := s.client.Get("https://" + s.manage + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // it is read to its end
	raw, err := io.ReadAll(resp.Body)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(raw) {
		t.Fatalf("pebble: got no root (%v)", err)
	}
	return roots
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// Address is a free address of loopback.
func Address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // somebody else listens there
	return l.Addr().String()
}

// Port is that of an address.
func Port(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func begin(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func pool(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	raw, err := os.ReadFile(file)
	found := x509.NewCertPool()
	if err != nil || !found.AppendCertsFromPEM(raw) {
		t.Fatalf("%s: got no certificate (%v)", file, err)
	}
	return found
}

// buffer is what a process says, for two who do not wait for each other.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns all.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
