package set_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// floor is what the bare RSA operation costs, measured between the runs of
// what it is compared with, so that a busy machine slows both.
type floor struct{ spent, base time.Duration }

func (f *floor) time(target *time.Duration, work func()) {
	start := time.Now()
	work()
	*target += time.Since(start)
}

// BenchmarkVerify reports Verify as a multiple of the bare RSA check
// (target: 1.6) and its allocations (target: 60).
func BenchmarkVerify(b *testing.B) {
	key := rawKey(b)
	compact := []byte(sign(b, header, mustClaims(b, sessionRevoked())))
	verifier := newVerifier(b, set.Tolerances{})
	cut := strings.LastIndexByte(string(compact), '.')
	signature, err := base64.RawURLEncoding.DecodeString(string(compact[cut+1:]))
	if err != nil {
		b.Fatal(err)
	}
	var f floor
	for b.Loop() {
		f.time(&f.base, func() {
			digest := sha256.Sum256(compact[:cut])
			if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
				b.Fatal(err)
			}
		})
		f.time(&f.spent, func() {
			if _, err := verifier.Verify(b.Context(), compact); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(f.spent)/float64(f.base), "x-floor")
	b.ReportMetric(testing.AllocsPerRun(100, func() { _, _ = verifier.Verify(b.Context(), compact) }), "allocs")
}

// BenchmarkSign reports Builder.Sign as a multiple of the bare RSA signature.
func BenchmarkSign(b *testing.B) {
	key := rawKey(b)
	signer := newSigner(b)
	builder := sessionRevoked()
	digest := sha256.Sum256([]byte(mustClaims(b, builder)))
	var f floor
	for b.Loop() {
		f.time(&f.base, func() {
			if _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]); err != nil {
				b.Fatal(err)
			}
		})
		f.time(&f.spent, func() {
			if _, err := builder.Sign(signer); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(f.spent)/float64(f.base), "x-floor")
	b.ReportMetric(testing.AllocsPerRun(10, func() { _, _ = builder.Sign(signer) }), "allocs")
}

// Reading and verifying a SET stays within 60 allocations.
func TestVerifyAllocations(t *testing.T) {
	compact := []byte(sign(t, header, mustClaims(t, sessionRevoked())))
	verifier := newVerifier(t, set.Tolerances{})
	got := testing.AllocsPerRun(50, func() { _, _ = verifier.Verify(t.Context(), compact) })
	if got > 60 {
		t.Errorf("got %v allocations, want at most 60", got)
	}
}

func BenchmarkParts(b *testing.B) {
	compact := []byte(sign(b, header, mustClaims(b, sessionRevoked())))
	builder := sessionRevoked()
	raw := builder.Subject.Raw()
	for name, work := range map[string]func() error{
		"jose.Parse":    func() error { _, err := jose.Parse(compact); return err },
		"subject.Parse": func() error { _, err := subject.Parse(raw); return err },
		"Parse":         func() error { _, err := set.Parse(compact); return err },
		"Claims":        func() error { _, err := builder.Claims(); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
