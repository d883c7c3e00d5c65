package localca_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

func authority(t *testing.T, dir string, hosts ...string) (*x509.Certificate, []byte) {
	t.Helper()
	cert, path, err := localca.Certificate(dir, hosts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "ca.pem"); path != want {
		t.Errorf("got the authority at %s, want %s", path, want)
	}
	ca, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf, ca
}

// A client that trusts the authority accepts the server under each of its
// hosts, and under no other.
func TestHosts(t *testing.T) {
	leaf, ca := authority(t, t.TempDir(), "localhost", "127.0.0.1", "::1", "ssf.example")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("got no certificate in ca.pem")
	}
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "[::1]": true, "ssf.example": true,
		"127.0.0.2": false, "other.example": false, "a.ssf.example": false,
	} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		if (err == nil) != want {
			t.Errorf("%s: got %v, want accepted %t", host, err, want)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), DNSName: "localhost"}); err == nil {
		t.Error("without the authority: got accepted, want refused")
	}
	if leaf.IsCA {
		t.Error("got a server certificate that can sign others")
	}
}

// The authority is made once; a certificate is fresh each time.
func TestReused(t *testing.T) {
	dir := t.TempDir()
	first, before := authority(t, dir, "localhost")
	second, after := authority(t, dir, "localhost", "ssf.example")
	if !bytes.Equal(before, after) {
		t.Error("got another authority at the second start, want the same")
	}
	if first.SerialNumber.Cmp(second.SerialNumber) == 0 {
		t.Error("got one serial number twice")
	}
	other, ca := authority(t, t.TempDir(), "localhost")
	if bytes.Equal(before, ca) {
		t.Error("got one authority for two folders")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(before)
	if _, err := other.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err == nil {
		t.Error("got another folder's certificate accepted")
	}
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	authority(t, dir, "localhost")
	info, err := os.Stat(filepath.Join(dir, localca.KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: got mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
}

// A start that was cut off between key and certificate is begun again; files
// that do not belong together are an error, never silently replaced.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, localca.KeyFile), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	authority(t, dir, "localhost")
	info, err := os.Stat(filepath.Join(dir, localca.KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a key over what was left: got mode %v (%v), want 0600", info.Mode().Perm(), err)
	}

	other := t.TempDir()
	authority(t, other, "localhost")
	key, err := os.ReadFile(filepath.Join(other, localca.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, localca.KeyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := localca.Certificate(dir, []string{"localhost"}, nil); err == nil {
		t.Error("a key of another authority: got no error")
	}
	if err := os.Remove(filepath.Join(dir, localca.KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := localca.Certificate(dir, []string{"localhost"}, nil); err == nil {
		t.Error("a certificate without its key: got no error, clients would lose their trust")
	}
	if _, _, err := localca.Certificate(filepath.Join(dir, "missing"), []string{"localhost"}, nil); err == nil {
		t.Error("no folder: got no error")
	}
}

// What a power cut left of the first start is begun again: without the
// certificate the authority does not exist yet.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{localca.KeyFile, localca.CertFile} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority(t, dir, "localhost")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v (%v), want the key and the certificate alone", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, localca.CertFile))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the certificate: got mode %v (%v), want 0644", info.Mode().Perm(), err)
	}
}

// A server that runs for years serves a certificate that is valid, also while
// the authority's key cannot be read for a day.
func TestRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		get, _, err := localca.Renewed(dir, []string{"localhost"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		key, away := filepath.Join(dir, localca.KeyFile), filepath.Join(dir, "away")
		for day := range 3 * 365 {
			switch day {
			case 200:
				err = os.Rename(key, away)
			case 201:
				err = os.Rename(away, key)
			}
			if err != nil {
				t.Fatal(err)
			}
			cert, err := get(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil || time.Now().After(leaf.NotAfter) || time.Now().Before(leaf.NotBefore) {
				t.Fatalf("day %d: got a certificate of %v to %v (%v), want a valid one", day, leaf.NotBefore, leaf.NotAfter, err)
			}
			<-time.After(24 * time.Hour)
		}
	})
}

// The certificate serves TLS as it is.
func TestServes(t *testing.T) {
	cert, ca, err := localca.Certificate(t.TempDir(), []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(raw)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatalf("got %v, want a connection", err)
	}
	_ = conn.Close()
}
