package jose

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwe"
)

// ContentTypeJWT is the cty of a JWE that holds a signed JWT (RFC 7519 §5.2).
const ContentTypeJWT = "JWT"

// Encrypter puts signed tokens into compact JWE to one recipient. It is immutable and
// safe for concurrent use.
type Encrypter struct {
	key *EncryptionKey
	enc ContentEncryption
}

// NewEncrypter returns one that encrypts to key by enc; "": A256GCM. Error: [ErrAlgorithm].
func NewEncrypter(key *EncryptionKey, enc ContentEncryption) (*Encrypter, error) {
	if key == nil {
		return nil, errors.New("jose: an encrypter needs a recipient's key")
	}
	if enc == "" {
		enc = A256GCM
	}
	if _, err := ParseContentEncryption(string(enc)); err != nil {
		return nil, err
	}
	return &Encrypter{key: key, enc: enc}, nil
}

// encrypter is how an Encrypter is written.
type encrypter struct {
	Encryption ContentEncryption `json:"enc"`
	Key        jsontext.Value    `json:"key"`
}

// ParseEncrypter reads what [Encrypter.MarshalJSON] writes; errors are those of
// [ParseEncryptionKey].
func ParseEncrypter(raw []byte) (*Encrypter, error) {
	if len(raw) > MaxKeyBytes {
		return nil, fmt.Errorf("%w: recipient exceeds %d bytes", ErrTooLarge, MaxKeyBytes)
	}
	var e encrypter
	if err := jsonv2.Unmarshal(raw, &e); err != nil || len(e.Key) == 0 {
		return nil, fmt.Errorf("%w: not a recipient with enc and key", ErrMalformed)
	}
	key, err := encryptionJWK(e.Key)
	if err != nil {
		return nil, err
	}
	return NewEncrypter(key, e.Encryption)
}

// MarshalJSON returns {"enc":…,"key":{a public JWK}}.
func (e *Encrypter) MarshalJSON() ([]byte, error) {
	return json.Marshal(encrypter{e.enc, e.key.jwk})
}

// Key returns the recipient's key.
func (e *Encrypter) Key() *EncryptionKey { return e.key }

// Content returns the enc in the header.
func (e *Encrypter) Content() ContentEncryption { return e.enc }

// Encrypt returns the compact JWE of a compact JWS (a nested JWT, RFC 7519 §11.2), with
// {"alg","cty":"JWT","enc","kid"} and what alg needs as its header. It is another one
// each time. Error: [ErrTooLarge] if the JWS exceeds [MaxCompactBytes].
func (e *Encrypter) Encrypt(compact string) (string, error) {
	if len(compact) > MaxCompactBytes {
		return "", fmt.Errorf("%w: JWS of %d bytes", ErrTooLarge, len(compact))
	}
	header := jwe.NewHeaders()
	for name, value := range map[string]string{jwe.KeyIDKey: e.key.id, jwe.ContentTypeKey: ContentTypeJWT} {
		if err := header.Set(name, value); err != nil {
			return "", fmt.Errorf("jose: header: %w", err)
		}
	}
	sealed, err := jwe.Encrypt([]byte(compact), jwe.WithKey(e.key.alg.jwa(), e.key.raw),
		jwe.WithContentEncryption(e.enc.jwa()), jwe.WithProtectedHeaders(header))
	if err != nil {
		return "", fmt.Errorf("jose: encrypt: %w", err)
	}
	return string(sealed), nil
}
