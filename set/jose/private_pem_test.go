package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// A private key in PEM, in the three forms in which tools write it, is the same key as its
// JWK; what is encrypted, public, weak, two keys or none is refused.
func TestParsePrivatePEM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		return block("PRIVATE KEY", der)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(ec.Public())
	must(t, err)
	for _, tt := range []struct {
		name string
		pem  []byte
		alg  jose.Algorithm
		want jose.Algorithm
		err  error
	}{
		{"RSA, PKCS #8", pkcs8(rsaKey), "", jose.RS256, nil},
		{"RSA, PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "", jose.RS256, nil},
		{"RSA for PS256", pkcs8(rsaKey), jose.PS256, jose.PS256, nil},
		{"EC, SEC 1 with parameters", slices.Concat(block("EC PARAMETERS", []byte{1}), block("EC PRIVATE KEY", sec1)), "", jose.ES256, nil},
		{"Ed25519", pkcs8(ed), "", jose.EdDSA, nil},
		{"EC for RS256", pkcs8(ec), jose.RS256, "", jose.ErrAlgorithm},
		{"P-384", pkcs8(large), "", "", jose.ErrAlgorithm},
		{"two keys", slices.Concat(pkcs8(ec), pkcs8(ed)), "", "", jose.ErrMalformed},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", []byte{1}), "", "", jose.ErrMalformed},
		{"public", block("PUBLIC KEY", public), "", "", jose.ErrMalformed},
		{"damaged", block("PRIVATE KEY", []byte{1, 2}), "", "", jose.ErrMalformed},
		{"none", []byte("{}"), "", "", jose.ErrMalformed},
		{"too large", []byte(strings.Repeat("x", jose.MaxKeyBytes+1)), "", "", jose.ErrTooLarge},
	} {
		key, err := jose.ParsePrivatePEM(tt.pem, tt.alg)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
		}
		if err != nil || tt.err != nil {
			continue
		}
		again, err := jose.NewPublicKey(key.Raw().Public(), tt.alg)
		if err != nil || key.Algorithm() != tt.want || again.ID() != key.ID() || again.Algorithm() != tt.want {
			t.Errorf("%s: got %v, and %v (%v) of its public half, want %s", tt.name, key, again, err, tt.want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
