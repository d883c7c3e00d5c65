package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"runtime"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	verifyRuns   = 20_000 // checks of a round
	verifyAllocs = 60     // allocations that one may make
)

// keySource knows one key set for every issuer.
type keySource struct{ set *jose.KeySet }

// Key finds a key.
func (k keySource) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.set.Find(kid, alg)
}

// verify runs in this process: a receiver's work needs no other.
func (b *bench) verify(ctx context.Context, w workload) ([]Result, error) {
	signed, verifier, err := specimen()
	if err != nil {
		return nil, err
	}
	compact := []byte(signed.compact)
	verifyOne := func() error { _, err := verifier.Verify(ctx, compact); return err }
	n := b.count(verifyRuns)
	rounds, err := b.rounds(ctx, w.name, func(context.Context) (Round, error) {
		raw, err := b.floor.cpu("rs256_verify_us", n, b.floor.cores, signed.check)
		if err != nil {
			return Round{}, err
		}
		us, err := b.floor.cpu("", n, b.floor.cores, verifyOne)
		return Round{us, raw}, err
	})
	if err != nil {
		return nil, err
	}
	allocs, err := allocations(verifyOne)
	return []Result{w.atMost(1.6, "µs CPU/SET", rounds), {
		Name: w.name + "-allocations", Value: allocs, Unit: "allocations/SET", Target: verifyAllocs, Holds: allocs <= verifyAllocs,
		Is: "allocations of reading and verifying a SET",
	}}, err
}

// raw is a SET with what the bare RSA check needs.
type raw struct {
	compact   string
	key       *rsa.PublicKey
	signature []byte
	signed    []byte
}

func (r raw) check() error {
	digest := sha256.Sum256(r.signed)
	return rsa.VerifyPKCS1v15(r.key, crypto.SHA256, digest[:], r.signature)
}

// rsaCheck returns what the bare check of an RS256 SET needs.
func rsaCheck(compact []byte, key *jose.PublicKey) (raw, error) {
	cut := bytes.LastIndexByte(compact, '.')
	r := raw{compact: string(compact), signed: compact[:cut]}
	var err error
	if r.signature, err = base64.RawURLEncoding.DecodeString(string(compact[cut+1:])); err != nil {
		return raw{}, err
	}
	r.key, err = rsaKey(key)
	return r, err
}

// specimen signs a SET and returns it with a verifier that accepts it.
func specimen() (raw, *set.Verifier, error) {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		return raw{}, nil, err
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		return raw{}, nil, err
	}
	const issuer = "https://transmitter.bench.example"
	compact, err := set.Builder{
		Issuer: issuer, Audience: []string{audience}, ID: "756E69717565206964656E746966696572", IssuedAt: time.Now(),
		TransactionID: "8675309", Subject: subject.Email("jo" + subjectHost),
		Event: set.Event{Type: typeWanted, Payload: json.RawMessage(
			`{"event_timestamp":1615304991,"initiating_entity":"policy","reason_admin":{"en":"Landspeed policy violation"}}`)},
	}.Sign(signer)
	if err != nil {
		return raw{}, nil, err
	}
	verifier, err := set.NewVerifier(set.VerifierConfig{
		Issuer: issuer, Audience: []string{audience}, Keys: keySource{jose.NewKeySet(key.Public())},
	})
	if err != nil {
		return raw{}, nil, err
	}
	r, err := rsaCheck([]byte(compact), key.Public())
	return r, verifier, err
}

// allocations returns how many allocations a call of work makes.
func allocations(work func() error) (float64, error) {
	const runs = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if err := work(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / runs), nil
}

// rsaKey takes the bare key out of a JWK.
func rsaKey(key *jose.PublicKey) (*rsa.PublicKey, error) {
	text, err := key.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var jwk struct{ N, E string }
	if err := json.Unmarshal(text, &jwk); err != nil {
		return nil, err
	}
	n, err := base64.RawURLEncoding.DecodeString(jwk.N)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.DecodeString(jwk.E)
	if err != nil {
		return nil, err
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}
