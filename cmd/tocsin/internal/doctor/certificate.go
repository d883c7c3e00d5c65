package doctor

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Bounds of certificates.
const (
	renewSoon   = 21 * 24 * time.Hour // before the end: whoever renews has failed by now
	maxCertFile = 1 << 20             // bytes
	minRSABits  = 2048
	minECBits   = 256
	othersMay   = 0o007 // rights of users who are neither owner nor group
)

// Certificate looks at the files of a certificate: whether they are a pair, whom it is
// good for, how long, whether clients can build a chain, and who can read the key. names
// are the hosts by which others come; now is the time.
func Certificate(r *Report, certFile, keyFile string, names []string, now time.Time) {
	chain, key, err := readPair(certFile, keyFile)
	if err != nil {
		r.Fail("tls.files", certFile, "name a PEM chain and its key with tls-cert and tls-key", "the certificate cannot be used: %v", err)
		return
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		r.Fail("tls.files", certFile, "the key must be that of the first certificate in the file", "certificate and key are no pair: %v", err)
		return
	}
	r.OK("tls.files", certFile, "certificate and key belong together")
	keyMode(r, "tls.key", keyFile)
	certs := parseChain(chain)
	if len(certs) == 0 {
		r.Fail("tls.files", certFile, "name a PEM chain with tls-cert", "there is no certificate that can be read in it")
		return
	}
	leaf := certs[0]
	expiry(r, "tls.expiry", certFile, leaf, now)
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			r.Fail("tls.name", name, "get a certificate for this name, or correct issuer, public_url or tls-cert", "clients that come by this name refuse the certificate: %v", err)
		} else {
			r.OK("tls.name", name, "the certificate is good for it")
		}
	}
	strength(r, certFile, leaf)
	trusted(r, certFile, certs, nil, now)
}

// readPair reads both files, within bounds.
func readPair(certFile, keyFile string) (chain, key []byte, err error) {
	if chain, err = readBounded(certFile, maxCertFile); err == nil {
		key, err = readBounded(keyFile, maxCertFile)
	}
	return chain, key, err
}

func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = errors.New(name + " is too large")
	}
	return raw, err
}

func parseChain(raw []byte) (certs []*x509.Certificate) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			certs = append(certs, cert)
		}
	}
	return certs
}

// keyMode looks at who can read a file with a secret.
func keyMode(r *Report, check, name string) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Fail(check, name, "name the file that holds it", "there is no such file")
	case err != nil:
		r.Fail(check, name, "let the user of the server read it", "it cannot be looked at: %v", err)
	case info.Mode().Perm()&othersMay != 0:
		r.Fail(check, name, "chmod o= "+name, "every user of this machine can read or change this secret (mode %04o)", info.Mode().Perm())
	default:
		r.OK(check, name, "its owner and group alone have rights to it")
	}
}

// expiry looks at the time in which a certificate is good.
func expiry(r *Report, check, of string, cert *x509.Certificate, now time.Time) {
	left := cert.NotAfter.Sub(now)
	until := cert.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.Before(cert.NotBefore):
		r.Fail(check, of, "wait, or set the clock of this machine", "the certificate is not good before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case left <= 0:
		r.Fail(check, of, "renew it; the files are read again by themselves within seconds", "the certificate has expired on %s: others refuse to connect", until)
	case left < min(renewSoon, cert.NotAfter.Sub(cert.NotBefore)/4):
		r.Warn(check, of, "renew it; the files are read again by themselves within seconds", "the certificate expires in %d days, on %s", int(left.Hours()/24), until)
	default:
		r.OK(check, of, "the certificate is good until %s", until)
	}
}

func strength(r *Report, of string, cert *x509.Certificate) {
	bits := 0
	least := minRSABits
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		bits = key.N.BitLen()
	case *ecdsa.PublicKey:
		bits, least = key.Params().BitSize, minECBits
	default:
		return // Ed25519 has one size
	}
	if bits < least {
		r.Fail("tls.strength", of, "make a new key: RSA of 2048 bits at least, or P-256", "its key has %d bits: clients refuse it, and it can be broken", bits)
	}
}

// trusted looks whether a client can build a chain to one of roots; nil: this machine's
// authorities.
func trusted(r *Report, of string, certs []*x509.Certificate, roots *x509.CertPool, now time.Time) {
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		r.OK("tls.chain", of, "the chain leads to an authority that this machine trusts")
	case errors.As(err, &unknown):
		r.Warn("tls.chain", of, "put the intermediate certificates behind the first in the file; with an authority of your own give others its certificate",
			"the chain of %d certificates leads to no authority that this machine trusts (issuer %q): others refuse it, unless they have that authority", len(certs), certs[len(certs)-1].Issuer.CommonName)
	}
}
