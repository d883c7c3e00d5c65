package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TLS is a server that speaks TLS alone and asks for client certificates.
type TLS struct {
	Addr          string // its certificate is for redis.example and 127.0.0.1
	CA, Cert, Key string // files: who signed it, and a client certificate
}

// StartTLS starts one.
func StartTLS(t testing.TB) *TLS {
	t.Helper()
	path := require(t)
	dir := t.TempDir()
	ca, caKey := certificate(t, dir, "ca", nil, nil)
	certificate(t, dir, "server", ca, caKey)
	certificate(t, dir, "client", ca, caKey)
	file := func(name string) string { return filepath.Join(dir, name) }
	port := freePort(t)
	startProcess(t, path, "--tls-port", port, "--tls-ca-cert-file", file("ca.pem"),
		"--tls-cert-file", file("server.pem"), "--tls-key-file", file("server.key"), "--tls-auth-clients", "yes")
	return &TLS{
		Addr: net.JoinHostPort("127.0.0.1", port), CA: file("ca.pem"), Cert: file("client.pem"), Key: file("client.key"),
	}
}

// certificate writes NAME.pem and NAME.key, signed by ca, or by itself where that is nil.
func certificate(t testing.TB, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"redis.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: ca == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ca == nil {
		ca, caKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name  string
		block *pem.Block
	}{
		{name + ".pem", &pem.Block{Type: "CERTIFICATE", Bytes: der}},
		{name + ".key", &pem.Block{Type: "PRIVATE KEY", Bytes: raw}},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), pem.EncodeToMemory(f.block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c, key
}
