package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jws"
)

// Signer makes compact JWS of one key and one `typ`. It is immutable and safe
// for concurrent use.
type Signer struct {
	key    *PrivateKey
	header string // encoded once, with the dot
	signer jws.Signer
}

// NewSigner returns a signer whose tokens bear {"alg","kid","typ"} as their
// header (RFC 8417 §2.3: typ "secevent+jwt"; RFC 9068 §2.1: "at+jwt").
// typ must not be empty: everything we sign is typed (RFC 8725 §3.11).
func NewSigner(k *PrivateKey, typ string) (*Signer, error) {
	if k == nil || typ == "" {
		return nil, errors.New("jose: a signer needs a key and a typ")
	}
	signer, err := jws.NewSigner(k.Algorithm().jwa())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ"`
	}{k.Algorithm(), k.ID(), typ})
	if err != nil {
		return nil, fmt.Errorf("jose: header: %w", err)
	}
	return &Signer{key: k, header: base64.RawURLEncoding.EncodeToString(header) + ".", signer: signer}, nil
}

// KeyID returns the kid in the header.
func (s *Signer) KeyID() string { return s.key.ID() }

// Algorithm returns the alg in the header.
func (s *Signer) Algorithm() Algorithm { return s.key.Algorithm() }

// Sign returns the compact JWS of payload, which it does not look into. RS256
// and EdDSA give the same bytes for the same payload, PS256 and ES256 do not.
// It returns [ErrTooLarge] if the result would exceed [MaxCompactBytes].
func (s *Signer) Sign(payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	const room = MaxRSABits/8*4/3 + 2 // of the signature
	compact := make([]byte, 0, len(s.header)+enc.EncodedLen(len(payload))+room)
	compact = append(compact, s.header...)
	compact = enc.AppendEncode(compact, payload)
	signature, err := s.signer.Sign(compact, s.key.raw)
	if err != nil {
		return "", fmt.Errorf("jose: sign: %w", err)
	}
	compact = append(compact, '.')
	compact = enc.AppendEncode(compact, signature)
	if len(compact) > MaxCompactBytes {
		return "", fmt.Errorf("%w: JWS of %d bytes", ErrTooLarge, len(compact))
	}
	return string(compact), nil
}
