// Package localca keeps a certificate authority of a data folder's own, for
// https without a certificate from elsewhere. Its key never leaves the folder, and is
// encrypted there if a vault is given; clients trust it by its certificate (curl --cacert
// DIR/ca.pem).
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

// Files of the authority.
const (
	CertFile = "ca.pem"
	KeyFile  = "ca-key.pem"
)

const (
	caLife     = 10 * 365 * 24 * time.Hour
	leafLife   = 397 * 24 * time.Hour
	renewAfter = leafLife / 2
	backdate   = time.Hour // clocks of clients may be behind

	keyMode  = 0o600
	certMode = 0o644
)

// Certificate returns a fresh server certificate for the hosts (names or
// addresses), signed by the authority of dir, which is made if there is none,
// and the path of the authority's certificate.
//
// v encrypts the authority's key; nil: it is in clear.
func Certificate(dir string, hosts []string, v *vault.Vault) (tls.Certificate, string, error) {
	path := filepath.Join(dir, CertFile)
	found := load
	// An empty certificate is a start's that a power cut ended.
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		found = create
	}
	ca, key, err := found(dir, v)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("the certificate authority of %s: %w", dir, err)
	}
	leaf, err := issue(ca, key, hosts)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("the certificate authority of %s: %w", dir, err)
	}
	return leaf, path, nil
}

// WritePair writes a certificate as of [Certificate] and its key to files, PEM, for a
// server of somebody else's on this machine.
func WritePair(dir string, hosts []string, certFile, keyFile string) error {
	pair, _, err := Certificate(dir, hosts, nil)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	if err := wholefile.Replace(keyFile, encode("PRIVATE KEY", private), keyMode); err != nil {
		return err
	}
	return wholefile.Replace(certFile, encode("CERTIFICATE", pair.Certificate[0]), certMode)
}

// Renewed returns what tls.Config.GetCertificate wants: a certificate as of
// [Certificate], the next one while there is still time, for a server may run
// longer than a certificate lasts.
func Renewed(dir string, hosts []string, v *vault.Vault) (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), ca string, err error) {
	now, ca, err := Certificate(dir, hosts, v)
	if err != nil {
		return nil, "", err
	}
	var mu sync.Mutex
	due := time.Now().Add(renewAfter)
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().After(due) {
			next, _, err := Certificate(dir, hosts, v)
			if err == nil {
				now, due = next, time.Now().Add(renewAfter)
			} else { // the one that there is lasts for a while
				due = time.Now().Add(time.Hour)
			}
		}
		cert := now
		return &cert, nil
	}, ca, nil
}

// keyName is what the authority's key is sealed under.
const keyName = "CA key"

// Seal encrypts the key of an authority that has it in clear, and reports whether it did.
func Seal(dir string, v *vault.Vault) (bool, error) {
	path := filepath.Join(dir, KeyFile)
	stored, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(stored) == 0 || vault.Sealed(stored)) || !v.Opens() {
		return false, nil
	}
	if err == nil {
		stored, err = v.Seal(keyName, stored)
	}
	if err == nil {
		err = wholefile.Replace(path, stored, keyMode)
	}
	if err != nil {
		return false, fmt.Errorf("encrypting the key of the certificate authority of %s: %w", dir, err)
	}
	return true, nil
}

func load(dir string, v *vault.Vault) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		return nil, nil, err
	}
	stored, err := os.ReadFile(filepath.Join(dir, KeyFile))
	if err != nil {
		return nil, nil, err
	}
	if stored, err = v.Open(keyName, stored); err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(cert, stored)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("its key is not one that was made here")
	}
	return pair.Leaf, key, nil
}

func create(dir string, v *vault.Vault) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate("Tocsin local CA", caLife)
	if err != nil {
		return nil, nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	// The certificate last: without it the authority does not exist yet.
	stored, err := v.Seal(keyName, encode("PRIVATE KEY", private))
	if err != nil {
		return nil, nil, err
	}
	if err := wholefile.Replace(filepath.Join(dir, KeyFile), stored, keyMode); err != nil {
		return nil, nil, err
	}
	if err := wholefile.Replace(filepath.Join(dir, CertFile), encode("CERTIFICATE", der), certMode); err != nil {
		return nil, nil, err
	}
	return load(dir, v)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func issue(ca *x509.Certificate, caKey *ecdsa.PrivateKey, hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := newTemplate("Tocsin", leafLife)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.Raw}, PrivateKey: key, Leaf: made}, nil
}

func newTemplate(name string, life time.Duration) (*x509.Certificate, error) {
	const serialBits = 127
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
	}, nil
}
