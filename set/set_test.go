package set_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	issuer   = "https://idp.example.com/tenant"
	audience = "https://rp.example.com"
	pushURL  = "https://rp.example.com/push"
	header   = `{"alg":"RS256","kid":"test","typ":"secevent+jwt"}`

	revokedType = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
)

// now is the receiver's time in every test.
func now() time.Time { return time.Unix(1764000000, 0) }

func read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// rawKey is the key of RFC 7515 A.2, whose private half everyone knows.
func rawKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := loadKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var loadKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	raw, err := os.ReadFile(filepath.Join("testdata", "key.json"))
	if err != nil {
		return nil, err
	}
	var jwk struct{ N, D, P, Q string }
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return nil, err
	}
	number := func(s string) *big.Int {
		b, decodeErr := base64.RawURLEncoding.DecodeString(s)
		err = errors.Join(err, decodeErr)
		return new(big.Int).SetBytes(b)
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(jwk.N), E: 65537}, D: number(jwk.D),
		Primes: []*big.Int{number(jwk.P), number(jwk.Q)},
	}
	key.Precompute()
	return key, err
})

// sign makes a compact JWS of any header and claims, also of those that no
// Signer would make.
func sign(t testing.TB, header, claims string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(header)) + "." + enc([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, rawKey(t), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc(signature)
}

func newSigner(t testing.TB) *jose.Signer {
	t.Helper()
	key, err := jose.ParsePrivateKey(read(t, "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// keys is a KeySource.
type keys func(issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error)

func (f keys) Key(_ context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return f(issuer, kid, alg)
}

// SoleKey asks for the key without a kid.
func (f keys) SoleKey(_ context.Context, issuer string, alg jose.Algorithm, _ *jose.PublicKey) (*jose.PublicKey, error) {
	return f(issuer, "", alg)
}

// published has the test key for the issuer and for no other (JWT-3.8-01).
func published(t testing.TB) keys {
	t.Helper()
	key, err := jose.ParsePublicKey(read(t, "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	document := jose.NewKeySet(key)
	return func(iss, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
		if iss != issuer {
			return nil, fmt.Errorf("no key set of %s", iss)
		}
		if kid == "" {
			return document.Sole(alg)
		}
		return document.Find(kid, alg)
	}
}

func newVerifier(t testing.TB, tolerances set.Tolerances) *set.Verifier {
	t.Helper()
	v, err := set.NewVerifier(set.VerifierConfig{
		Issuer: issuer, Audience: []string{"other", audience}, PushURL: pushURL,
		Keys: published(t), Now: now, Tolerances: tolerances,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sessionRevoked() set.Builder {
	user := subject.IssSub(issuer, "145234573")
	return set.Builder{
		Issuer: issuer, ID: "24c63fb56e5a2d77a6b512616ca9fa24", Audience: []string{audience},
		IssuedAt: now().Add(-time.Minute), TransactionID: "8675309", Subject: user,
		Event: set.Event{Type: revokedType, Payload: json.RawMessage(`{"initiating_entity":"policy","reason_admin":{"en":"Landspeed Policy Violation: C076E82F"},"event_timestamp":1763999900}`)},
	}
}

func mustClaims(t testing.TB, b set.Builder) string {
	t.Helper()
	claims, err := b.Claims()
	if err != nil {
		t.Fatal(err)
	}
	return string(claims)
}
