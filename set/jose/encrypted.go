package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwe"
)

// encryptedParts is how many parts a compact JWE has (RFC 7516 §3.1); a JWS has three.
const encryptedParts = 5

// IsEncrypted reports whether compact has the form of a compact JWE. It looks at nothing
// but the number of parts (RFC 7516 §9).
func IsEncrypted(compact []byte) bool {
	return bytes.Count(compact, []byte{'.'}) == encryptedParts-1
}

// Encrypted is a parsed compact JWE that nobody has decrypted.
type Encrypted struct {
	Algorithm   KeyManagement     // alg
	Encryption  ContentEncryption // enc
	KeyID       string            // kid, "" if absent
	ContentType string            // cty, "" if absent

	compact []byte // the caller's
}

// ParseEncrypted takes a compact JWE apart (RFC 7516 §7.1) and decrypts nothing. It
// keeps compact.
//
// Parsing is strict, and everything that could cost much is refused before any
// cryptography: five parts of unpadded base64url, each of a size that alg and enc can
// have; the header a JSON object with alg and enc that exist for us and without
// duplicate members; no crit, and no zip, since a small message could become a huge one
// (RFC 8725 §3.6).
//
// Errors: [ErrTooLarge] beyond [MaxEncryptedBytes], [MaxHeaderBytes] or
// [MaxKeyIDBytes]; [ErrAlgorithm]; else [ErrMalformed].
func ParseEncrypted(compact []byte) (*Encrypted, error) {
	if len(compact) > MaxEncryptedBytes {
		return nil, fmt.Errorf("%w: JWE exceeds %d bytes", ErrTooLarge, MaxEncryptedBytes)
	}
	if !IsEncrypted(compact) {
		return nil, fmt.Errorf("%w: not a JWE of five parts", ErrMalformed)
	}
	var parts [encryptedParts][]byte
	rest := make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(compact)))
	for i, part := range bytes.Split(compact, []byte{'.'}) {
		var err error
		if parts[i], rest, err = decode(rest, part); err != nil {
			return nil, fmt.Errorf("%w: a part is not base64url", ErrMalformed)
		}
	}
	header, key, iv, text, tag := parts[0], parts[1], parts[2], parts[3], parts[4]
	if len(header) > MaxHeaderBytes {
		return nil, fmt.Errorf("%w: header exceeds %d bytes", ErrTooLarge, MaxHeaderBytes)
	}
	m := &Encrypted{compact: compact}
	if err := m.header(header); err != nil {
		return nil, err
	}
	_, ivSize, tagSize := m.Encryption.sizes()
	if len(iv) != ivSize || len(tag) != tagSize || len(text) == 0 || !m.Algorithm.wrapped(len(key), m.Encryption) {
		return nil, fmt.Errorf("%w: a part has not the size that alg and enc want", ErrMalformed)
	}
	return m, nil
}

// header reads the protected header.
func (m *Encrypted) header(raw []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if dec.PeekKind() != '{' {
		return fmt.Errorf("%w: header is not a JSON object", ErrMalformed)
	}
	if _, err := dec.ReadToken(); err != nil {
		return errHeader
	}
	agreed := false
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return errHeader
		}
		switch name := name.String(); name {
		case "alg", "enc", "kid", "cty":
			if err := m.member(dec, name); err != nil {
				return err
			}
			continue
		case "epk":
			agreed = dec.PeekKind() == '{'
		case "crit", "zip", "b64":
			return fmt.Errorf("%w: header with %s", ErrMalformed, name)
		}
		if dec.SkipValue() != nil {
			return errHeader
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return errHeader
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: header is more than a JSON object", ErrMalformed)
	}
	return m.check(agreed)
}

func (m *Encrypted) member(dec *jsontext.Decoder, name string) error {
	if dec.PeekKind() != '"' {
		return fmt.Errorf("%w: header member is not a string", ErrMalformed)
	}
	token, err := dec.ReadToken()
	if err != nil {
		return errHeader
	}
	switch value := token.String(); name {
	case "alg":
		m.Algorithm = KeyManagement(value)
	case "enc":
		m.Encryption = ContentEncryption(value)
	case "kid":
		m.KeyID = value
	case "cty":
		m.ContentType = value
	}
	return nil
}

// check judges a header that was read; agreed says that it has an epk.
func (m *Encrypted) check(agreed bool) error {
	switch {
	case m.Algorithm == "" || m.Encryption == "":
		return fmt.Errorf("%w: header without alg or enc", ErrMalformed)
	case len(m.KeyID) > MaxKeyIDBytes:
		return fmt.Errorf("%w: kid exceeds %d bytes", ErrTooLarge, MaxKeyIDBytes)
	}
	if _, err := ParseKeyManagement(string(m.Algorithm)); err != nil {
		return err
	}
	if _, err := ParseContentEncryption(string(m.Encryption)); err != nil {
		return err
	}
	if !m.Algorithm.ofRSA() && !agreed {
		return fmt.Errorf("%w: header without epk", ErrMalformed)
	}
	return nil
}

// DecryptionKeys are the private keys of one recipient: the current one, and those
// before it while something encrypted to them may still come. It is immutable and safe
// for concurrent use.
type DecryptionKeys struct{ keys []*DecryptionKey }

// NewDecryptionKeys returns these keys. Errors: [ErrTooLarge] beyond
// [MaxDecryptionKeys]; [ErrMalformed] if two have one kid.
func NewDecryptionKeys(keys ...*DecryptionKey) (*DecryptionKeys, error) {
	if len(keys) > MaxDecryptionKeys {
		return nil, fmt.Errorf("%w: more than %d decryption keys", ErrTooLarge, MaxDecryptionKeys)
	}
	seen := map[string]bool{}
	for _, key := range keys {
		if seen[key.ID()] {
			return nil, fmt.Errorf("%w: two decryption keys with the kid %q", ErrMalformed, key.ID())
		}
		seen[key.ID()] = true
	}
	return &DecryptionKeys{slices.Clone(keys)}, nil
}

// Public returns the keys to hand out, in the order in which they were given.
func (s *DecryptionKeys) Public() []*EncryptionKey {
	list := make([]*EncryptionKey, len(s.keys))
	for i, key := range s.keys {
		list[i] = key.public
	}
	return list
}

// Decrypt returns what m holds, at most as long as m. The key is that of m's kid; where m
// names none, each that serves its alg is tried.
//
// Errors: [ErrUnknownKey] if there is no such key; [ErrAlgorithm] if it serves another
// algorithm; [ErrDecryption] for all else, whatever it was: why something did not
// decrypt is for nobody to know (RFC 7516 §11.5).
func (s *DecryptionKeys) Decrypt(m *Encrypted) ([]byte, error) {
	var found, tried bool
	for _, key := range s.keys {
		if m.KeyID != "" && m.KeyID != key.ID() {
			continue
		}
		found = true
		if !key.public.serves(m.Algorithm) {
			continue
		}
		tried = true
		if plain, err := jwe.Decrypt(m.compact, jwe.WithKey(m.Algorithm.jwa(), key.raw)); err == nil {
			return plain, nil
		}
	}
	switch {
	case tried:
		return nil, ErrDecryption
	case found:
		return nil, fmt.Errorf("%w: the decryption key serves another one", ErrAlgorithm)
	}
	return nil, fmt.Errorf("%w: no decryption key of this kid", ErrUnknownKey)
}
