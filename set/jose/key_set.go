package jose

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// KeySet is a set of public keys (RFC 7517 §5). It is immutable and safe for
// concurrent use; the zero value is empty.
type KeySet struct {
	keys []*PublicKey            // in document order
	byID map[string][]*PublicKey // keys of different algorithms may share a kid
	weak map[string]struct{}     // kid of keys refused for their size

	nameless []*PublicKey // of a document, without kid: for Sole alone
}

// NewKeySet returns the set of these keys, published in this order.
func NewKeySet(keys ...*PublicKey) *KeySet {
	s := &KeySet{byID: make(map[string][]*PublicKey, len(keys)), weak: map[string]struct{}{}}
	for _, key := range keys {
		s.add(key)
	}
	return s
}

func (s *KeySet) add(key *PublicKey) {
	s.keys = append(s.keys, key)
	s.byID[key.id] = append(s.byID[key.id], key)
}

// ParseKeySet reads a JWKS document. What we cannot use is skipped, since a
// document may serve others too: keys of unknown or symmetric type, for
// encryption, with an algorithm that we do not have, RSA keys outside
// [MinRSABits] to [MaxRSABits]. Keys without kid are for [KeySet.Sole] alone. A
// private key gives its public half.
//
// Errors: [ErrTooLarge] beyond [MaxKeySetBytes] or [MaxKeys]; [ErrMalformed]
// if the document is no JSON object with an array `keys`, or has a member twice.
func ParseKeySet(jwks []byte) (*KeySet, error) {
	if len(jwks) > MaxKeySetBytes {
		return nil, fmt.Errorf("%w: JWKS exceeds %d bytes", ErrTooLarge, MaxKeySetBytes)
	}
	var document struct {
		Keys *[]jsontext.Value `json:"keys"`
	}
	if err := jsonv2.Unmarshal(jwks, &document); err != nil || document.Keys == nil {
		return nil, fmt.Errorf("%w: not a JWKS", ErrMalformed)
	}
	if len(*document.Keys) > MaxKeys {
		return nil, fmt.Errorf("%w: JWKS has more than %d keys", ErrTooLarge, MaxKeys)
	}
	s := NewKeySet()
	for _, raw := range *document.Keys {
		key, err := parseJWK(raw)
		if err != nil || !signs(key) {
			continue
		}
		if key.KeyID() == "" {
			if public, err := ParsePublicKey(raw); err == nil {
				s.nameless = append(s.nameless, public)
			}
			continue
		}
		public, err := newPublicKey(key)
		switch {
		case errors.Is(err, ErrWeakKey):
			s.weak[key.KeyID()] = struct{}{}
		case err == nil:
			s.add(public)
		}
	}
	return s, nil
}

// signs reports whether use and key_ops, where given, allow signatures.
func signs(key jwk.Key) bool {
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return false
	}
	for _, op := range key.KeyOps() {
		if op == jwk.KeyOpVerify || op == jwk.KeyOpSign {
			return true
		}
	}
	return len(key.KeyOps()) == 0
}

// Find returns the key with exactly this kid for alg.
//
// Errors: [ErrUnknownKey] if there is none (fetching the set again may help);
// [ErrAlgorithm] if it exists for another algorithm; [ErrWeakKey] if it was
// refused for its size.
func (s *KeySet) Find(kid string, alg Algorithm) (*PublicKey, error) {
	candidates := s.byID[kid]
	for _, key := range candidates {
		if key.alg == alg {
			return key, nil
		}
	}
	for _, key := range candidates {
		if key.unbound && alg.fits(key.raw) {
			return key.bind(alg)
		}
	}
	if len(candidates) > 0 {
		return nil, fmt.Errorf("%w: the key serves another one", ErrAlgorithm)
	}
	if _, weak := s.weak[kid]; weak {
		return nil, fmt.Errorf("%w: want RSA of %d to %d bits", ErrWeakKey, MinRSABits, MaxRSABits)
	}
	return nil, ErrUnknownKey
}

// Sole returns the one key for alg, whatever its kid, for issuers whose tokens name
// none. Error: [ErrUnknownKey] if there is none or several.
func (s *KeySet) Sole(alg Algorithm) (*PublicKey, error) {
	var found *PublicKey
	for _, key := range slices.Concat(s.keys, s.nameless) {
		if key.alg != alg && !(key.unbound && alg.fits(key.raw)) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: several fit and the token names none", ErrUnknownKey)
		}
		found = key
	}
	if found == nil {
		return nil, ErrUnknownKey
	}
	if found.alg == alg {
		return found, nil
	}
	return found.bind(alg)
}

// Has reports whether the set has this very key ([PublicKey.Raw]), whatever its kid and
// algorithm.
func (s *KeySet) Has(raw crypto.PublicKey) bool {
	same, ok := raw.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && slices.ContainsFunc(slices.Concat(s.keys, s.nameless), func(key *PublicKey) bool { return same.Equal(key.raw) })
}

// Len is the number of usable keys, those without kid included.
func (s *KeySet) Len() int { return len(s.keys) + len(s.nameless) }

// Keys returns the usable keys in document order. The slice is the caller's.
func (s *KeySet) Keys() []*PublicKey { return append([]*PublicKey(nil), s.keys...) }

// MarshalJSON returns the JWKS document, {"keys":[…]}.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	keys := s.keys
	if keys == nil {
		keys = []*PublicKey{}
	}
	return json.Marshal(struct {
		Keys []*PublicKey `json:"keys"`
	}{keys})
}
