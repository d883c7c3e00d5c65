package doctor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// verdict returns what was found about a check, and fails if it is not told what to do.
func verdict(t *testing.T, r *doctor.Report, check string) doctor.Verdict {
	t.Helper()
	worst := doctor.Verdict("")
	for _, f := range r.Findings {
		if f.Says == "" || f.Verdict != doctor.OK && f.Do == "" {
			t.Errorf("got %+v, want what it means and what to do", f)
		}
		if f.Check == check && (worst == "" || worst == doctor.OK || f.Verdict == doctor.Fail) {
			worst = f.Verdict
		}
	}
	return worst
}

// check fails unless a check came to want.
func check(t *testing.T, r *doctor.Report, name string, want doctor.Verdict) {
	t.Helper()
	if got := verdict(t, r, name); got != want {
		t.Errorf("%s: got %q, want %q in\n%s", name, got, want, said(r))
	}
}

func said(r *doctor.Report) string {
	var out bytes.Buffer
	if _, err := r.WriteTo(&out); err != nil {
		return err.Error()
	}
	return out.String()
}

// issued makes a certificate and its key as files.
type issued struct {
	names      []string
	begin, end time.Time
	weak       bool
}

func (c issued) write(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	curve := elliptic.P256()
	if c.weak {
		curve = elliptic.P224()
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: c.begin, NotAfter: c.end,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true,
	}
	for _, name := range c.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestCertificate(t *testing.T) {
	now := time.Now()
	year := 365 * 24 * time.Hour
	good := issued{names: []string{"ssf.example.com"}, begin: now.Add(-year / 2), end: now.Add(year / 2)}
	cert, key := good.write(t)
	r := new(doctor.Report)
	doctor.Certificate(r, cert, key, good.names, now)
	for _, name := range []string{"tls.files", "tls.key", "tls.expiry", "tls.name"} {
		check(t, r, name, doctor.OK)
	}
	check(t, r, "tls.chain", doctor.Warn) // it is its own authority
	check(t, r, "tls.strength", "")

	for _, tt := range []struct {
		name  string
		of    func() (cert, key string)
		names []string
		check string
		want  doctor.Verdict
	}{
		{"other name", good.twice(t), []string{"other.example.com"}, "tls.name", doctor.Fail},
		{"no file", func() (string, string) { return "/nowhere/cert.pem", key }, nil, "tls.files", doctor.Fail},
		{"no pair", func() (string, string) { other, _ := good.write(t); return other, key }, nil, "tls.files", doctor.Fail},
		{"expired", issued{begin: now.Add(-year), end: now.Add(-time.Hour)}.twice(t), nil, "tls.expiry", doctor.Fail},
		{"soon", issued{begin: now.Add(-year), end: now.Add(9 * 24 * time.Hour)}.twice(t), nil, "tls.expiry", doctor.Warn},
		{"short-lived, fresh", issued{begin: now.Add(-time.Hour), end: now.Add(6 * 24 * time.Hour)}.twice(t), nil, "tls.expiry", doctor.OK},
		{"not yet", issued{begin: now.Add(time.Hour), end: now.Add(year)}.twice(t), nil, "tls.expiry", doctor.Fail},
		{"weak", issued{begin: now.Add(-time.Hour), end: now.Add(year), weak: true}.twice(t), nil, "tls.strength", doctor.Fail},
		{"key for all", func() (string, string) {
			cert, key := good.write(t)
			if err := os.Chmod(key, 0o644); err != nil {
				t.Fatal(err)
			}
			return cert, key
		}, nil, "tls.key", doctor.Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := new(doctor.Report)
			cert, key := tt.of()
			doctor.Certificate(r, cert, key, tt.names, now)
			check(t, r, tt.check, tt.want)
		})
	}
}

func (c issued) twice(t *testing.T) func() (string, string) {
	return func() (string, string) { return c.write(t) }
}

// roomy is a disk that is well.
func roomy(string) (doctor.Disk, error) { return doctor.Disk{Free: 100 << 30, Total: 200 << 30}, nil }

func TestFolder(t *testing.T) {
	database := func(version byte) []byte {
		head := append([]byte("SQLite format 3\x00"), make([]byte, 84)...)
		head[18], head[19] = version, version
		return head
	}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		disk  func(string) (doctor.Disk, error)
		check string
		want  doctor.Verdict
	}{
		{"well", nil, roomy, "store.journal", doctor.OK},
		{"well, rights", nil, roomy, "folder.mode", doctor.OK},
		{"well, disk", nil, roomy, "disk.space", doctor.OK},
		{"others read", func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o755)) }, roomy, "folder.mode", doctor.Fail},
		{"no database", func(t *testing.T, dir string) { must(t, os.WriteFile(dir+"/log.db", []byte("gone"), 0o600)) }, roomy, "store.file", doctor.Fail},
		{"another's journal", func(t *testing.T, dir string) { must(t, os.WriteFile(dir+"/log.db", database(1), 0o600)) }, roomy, "store.journal", doctor.Fail},
		{"file for all", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/log.db", 0o604)) }, roomy, "store.mode", doctor.Warn},
		{"long log", func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/log.db-wal", nil, 0o600))
			must(t, os.Truncate(dir+"/log.db-wal", 2<<30)) // of holes
		}, roomy, "store.wal", doctor.Warn},
		{"nearly full", nil, func(string) (doctor.Disk, error) { return doctor.Disk{Free: 1 << 20, Total: 1 << 40}, nil }, "disk.space", doctor.Fail},
		{"little room", nil, func(string) (doctor.Disk, error) { return doctor.Disk{Free: 4 << 30, Total: 1 << 40}, nil }, "disk.space", doctor.Warn},
		{"network", nil, func(string) (doctor.Disk, error) {
			return doctor.Disk{Free: 1 << 40, Total: 1 << 40, Kind: "network"}, nil
		}, "disk.kind", doctor.Fail},
		{"memory", nil, func(string) (doctor.Disk, error) {
			return doctor.Disk{Free: 1 << 40, Total: 1 << 40, Kind: "memory"}, nil
		}, "disk.kind", doctor.Warn},
		{"none", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, roomy, "folder", doctor.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(dir+"/log.db", database(2), 0o600))
			if tt.spoil != nil {
				tt.spoil(t, dir)
			}
			r := new(doctor.Report)
			doctor.Folder(r, dir, tt.disk)
			check(t, r, tt.check, tt.want)
		})
	}
	if d, err := doctor.DiskOf(t.TempDir()); err == nil && (d.Total == 0 || d.Free > d.Total) {
		t.Errorf("got a disk of %+v, want its size", d)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSealed(t *testing.T) {
	dir := t.TempDir()
	r := new(doctor.Report)
	doctor.Sealed(r, dir, true, true)
	check(t, r, "keys.sealed", doctor.OK)
	if _, _, err := localca.Certificate(dir, []string{"localhost"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []bool{true, false} {
		r = new(doctor.Report)
		doctor.Sealed(r, dir, secret, secret)
		check(t, r, "keys.sealed", doctor.Warn)
	}
}

func TestSteady(t *testing.T) {
	wall, steady := time.Now(), time.Duration(0)
	r := new(doctor.Report)
	done := doctor.Steady(r, func() (time.Time, time.Duration) { return wall, steady })
	wall, steady = wall.Add(time.Minute), time.Minute
	done()
	check(t, r, "clock.steady", doctor.OK)
	done = doctor.Steady(r, func() (time.Time, time.Duration) { return wall, steady })
	wall, steady = wall.Add(-time.Second), steady+time.Second
	done()
	check(t, r, "clock.steady", doctor.Warn)
}

func TestAllowed(t *testing.T) {
	for text, want := range map[string]doctor.Verdict{"10.0.0.0/8": "", "0.0.0.0/0": doctor.Fail, "::/0": doctor.Fail, "fc00::/7": "", "fd12::/48": "", "128.0.0.0/1": doctor.Fail} {
		r := new(doctor.Report)
		doctor.Allowed(r, "push-allow", "", []netip.Prefix{netip.MustParsePrefix(text)})
		check(t, r, "insecure.push-allow", want)
	}
}

func TestReport(t *testing.T) {
	r := new(doctor.Report)
	raw, err := json.Marshal(r)
	if err != nil || string(raw) != `{"ok":0,"warn":0,"fail":0,"findings":[]}` {
		t.Errorf("nothing: got %s (%v)", raw, err)
	}
	r.OK("a", "", "well")
	r.Fail("b", "x", "do it", "broken: %d", 7)
	r.Sort()
	if got, want := said(r), "fail  b x: broken: 7\n      do: do it\nok    a: well\n1 ok, 0 warn, 1 fail\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if raw, err = json.Marshal(r); err != nil || !strings.Contains(string(raw), `{"check":"b","of":"x","verdict":"fail","says":"broken: 7","do":"do it"}`) {
		t.Errorf("got %s (%v)", raw, err)
	}
}

func TestPublic(t *testing.T) {
	for host, want := range map[string]bool{"": false, "localhost": false, "127.0.0.1": false, "127.0.0.1:8443": false, "::1": false, "ssf.example.com": true, "0.0.0.0": true, "10.0.0.1:1": true} {
		if got := doctor.Public(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}
