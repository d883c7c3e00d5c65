package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

func ownUser() int { return os.Getuid() }

func randomness() io.Reader { return rand.Reader }

// pss is what PS256 is: a salt as long as the digest (RFC 7518 §3.5).
func pss() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
}

// input returns what is to be signed, and how, or why not.
func (r request) input() ([]byte, crypto.SignerOpts, *Refusal) {
	if r.Algorithm == jose.EdDSA {
		if r.Digest != nil || !signingInput(r.Message, r.KeyID) {
			return nil, nil, &Refusal{CodeInput, "EdDSA signs a message that is the signing input of a JWS with this alg and kid"}
		}
		return r.Message, crypto.Hash(0), nil
	}
	if r.Message != nil || len(r.Digest) != digestSize {
		return nil, nil, &Refusal{CodeInput, string(r.Algorithm) + " signs a digest of 32 bytes"}
	}
	if r.Algorithm == jose.PS256 {
		return r.Digest, pss(), nil
	}
	return r.Digest, crypto.SHA256, nil
}

// signingInput reports whether a message is header and payload of a JWS under the key, so
// that the key signs nothing of another protocol.
func signingInput(message []byte, kid string) bool {
	m, err := jose.Parse(append(message[:len(message):len(message)], '.'))
	return err == nil && m.Header.Algorithm == string(jose.EdDSA) && m.Header.KeyID == kid
}

var errOpts = errors.New("signer: the key does not sign in this way")

// ask returns the request for a signature of key. opts are those that its algorithm has.
func ask(key *jose.PublicKey, input []byte, opts crypto.SignerOpts) (request, error) {
	r := request{Op: opSign, KeyID: key.ID(), Algorithm: key.Algorithm()}
	if r.Algorithm == jose.EdDSA {
		r.Message = input
		if opts.HashFunc() != 0 {
			return r, errOpts
		}
		return r, nil
	}
	salted, isPSS := opts.(*rsa.PSSOptions)
	if isPSS != (r.Algorithm == jose.PS256) || opts.HashFunc() != crypto.SHA256 || len(input) != sha256.Size {
		return r, errOpts
	}
	if isPSS && salted.SaltLength != rsa.PSSSaltLengthEqualsHash && salted.SaltLength != digestSize {
		return r, errOpts
	}
	r.Digest = input
	return r, nil
}

// verify reports whether a signature is that of the key: what a faulty signer made shall
// not leave the house.
func verify(key *jose.PublicKey, input, signature []byte) bool {
	switch public := key.Raw().(type) {
	case *rsa.PublicKey:
		if key.Algorithm() == jose.PS256 {
			return rsa.VerifyPSS(public, crypto.SHA256, input, signature, pss()) == nil
		}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, input, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, input, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(public, input, signature)
	}
	return false
}
