package set_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// batch is how many operations are timed as one.
const batch = 8

// ratio compares work with its floor, the bare RSA operation: both run in turns,
// and each is worth the median of its batches, so that neither a busy machine nor
// a pause of one of them counts.
func ratio(b *testing.B, floor, work func() error) {
	var floors, works []time.Duration
	clock := func(f func() error) time.Duration {
		start := time.Now()
		for range batch {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start) / batch
	}
	for b.Loop() {
		floors = append(floors, clock(floor))
		works = append(works, clock(work))
	}
	slices.Sort(floors)
	slices.Sort(works)
	low, high := floors[len(floors)/2], works[len(works)/2]
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
	b.ReportMetric(float64(low.Nanoseconds()), "floor-ns")
	b.ReportMetric(float64(high.Nanoseconds()), "work-ns")
	b.ReportMetric(float64(high)/float64(low), "x-floor")
	b.ReportMetric(testing.AllocsPerRun(20, func() { _ = work() }), "allocs")
}

// BenchmarkVerify reports Verify as a multiple of the bare RSA check
// (target: 1.6) and its allocations (target: 60).
func BenchmarkVerify(b *testing.B) {
	key := rawKey(b)
	compact := []byte(sign(b, header, mustClaims(b, sessionRevoked())))
	verifier := newVerifier(b, set.Tolerances{})
	cut := bytes.LastIndexByte(compact, '.')
	signature, err := base64.RawURLEncoding.DecodeString(string(compact[cut+1:]))
	if err != nil {
		b.Fatal(err)
	}
	ratio(b, func() error {
		digest := sha256.Sum256(compact[:cut])
		return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature)
	}, func() error {
		_, err := verifier.Verify(b.Context(), compact)
		return err
	})
}

// BenchmarkSign reports Builder.Sign as a multiple of the bare RSA signature.
func BenchmarkSign(b *testing.B) {
	key := rawKey(b)
	signer := newSigner(b)
	builder := sessionRevoked()
	digest := sha256.Sum256([]byte(mustClaims(b, builder)))
	ratio(b, func() error {
		_, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		return err
	}, func() error {
		_, err := builder.Sign(signer)
		return err
	})
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

// Building claims runs once for every SET that is sent: one allocation.
func TestClaimsAllocations(t *testing.T) {
	b, want := sessionRevoked(), 2.0
	if !pooled {
		want = 8
	}
	if got := testing.AllocsPerRun(50, func() { _, _ = b.Claims() }); got > want {
		t.Errorf("got %v allocations, want at most %v", got, want)
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
