package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

func block(typ string, bytes []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: bytes})
}

// PEM files hold public keys in three forms, each known by its thumbprint; a private
// key, a weak one and what is none are refused.
func TestParsePEM(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkix1, err := x509.MarshalPKIXPublicKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Unix(1, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, ec.Public(), ec)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaPKCS1 := block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))
	keys, err := jose.ParsePEM(slices.Concat(block("PUBLIC KEY", pkix1), []byte("some words\n"), rsaPKCS1, block("CERTIFICATE", certificate)))
	if err != nil {
		t.Fatal(err)
	}
	var algorithms []jose.Algorithm
	for _, key := range keys {
		algorithms = append(algorithms, key.Algorithm())
		if print, err := key.Thumbprint(); err != nil || key.ID() != print {
			t.Errorf("got kid %s (%v), want the thumbprint %s", key.ID(), err, print)
		}
	}
	if want := []jose.Algorithm{jose.EdDSA, jose.RS256, jose.ES256}; !slices.Equal(algorithms, want) {
		t.Errorf("got %v, want %v", algorithms, want)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", []byte("words"), jose.ErrMalformed},
		{"private key", block("PRIVATE KEY", private), jose.ErrMalformed},
		{"broken", block("PUBLIC KEY", pkix1[:10]), jose.ErrMalformed},
		{"weak", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&weak.PublicKey)), jose.ErrWeakKey},
		{"large", []byte(strings.Repeat("x", jose.MaxKeySetBytes+1)), jose.ErrTooLarge},
		{"many", slices.Repeat(rsaPKCS1, jose.MaxKeys+1), jose.ErrTooLarge},
	} {
		if _, err := jose.ParsePEM(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
