package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

var errHeader = fmt.Errorf("%w: header is not JSON or has a member twice", ErrMalformed)

// Header is what we read of a JOSE header. It is unverified until [Verify]
// returned nil. Places to find keys (jku, x5u, jwk, x5c) are not even read.
type Header struct {
	Algorithm   string // alg, any text
	KeyID       string // kid, "" if absent
	Type        string // typ, "" if absent
	ContentType string // cty, "" if absent
}

// Message is a parsed compact JWS.
type Message struct {
	Header  Header
	Payload []byte // decoded; the caller must not change it

	compact   []byte // own copy
	signed    int    // length of header and payload with their dot
	signature []byte // decoded
}

// Compact returns the message as it came.
func (m *Message) Compact() string { return string(m.compact) }

// Parser takes compact JWS apart and reuses its scratch space from one to the
// next. The zero value is ready; it is safe for concurrent use and must not be
// copied after its first use.
type Parser struct{ scanners sync.Pool }

// scanner is the scratch space of one parse.
type scanner struct {
	buf bytes.Buffer
	dec jsontext.Decoder
}

// Parse is [Parser.Parse] for a single message.
func Parse(compact []byte) (*Message, error) { return new(Parser).Parse(compact) }

// Parse takes a compact JWS apart (RFC 7515 §7.1) and verifies nothing. It
// does not keep compact.
//
// Parsing is strict: three parts of unpadded base64url, the header a JSON
// object with alg and without duplicate members (SET-2.2-03), no crit and no
// b64, since we understand no extension (RFC 7515 §4.1.11, RFC 7797). Unknown
// members are ignored. The signature may be empty (alg "none", for display):
// no key verifies it.
//
// Errors: [ErrTooLarge] beyond [MaxCompactBytes], [MaxHeaderBytes] or
// [MaxKeyIDBytes]; else [ErrMalformed].
func (p *Parser) Parse(compact []byte) (*Message, error) {
	if len(compact) > MaxCompactBytes {
		return nil, fmt.Errorf("%w: JWS exceeds %d bytes", ErrTooLarge, MaxCompactBytes)
	}
	first := bytes.IndexByte(compact, '.')
	last := bytes.LastIndexByte(compact, '.')
	if first <= 0 || last == first || bytes.IndexByte(compact[first+1:last], '.') >= 0 {
		return nil, fmt.Errorf("%w: not a JWS of three parts", ErrMalformed)
	}
	header, rest, err := decode(make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(compact))), compact[:first])
	if err != nil {
		return nil, fmt.Errorf("%w: header is not base64url", ErrMalformed)
	}
	payload, rest, err := decode(rest, compact[first+1:last])
	if err != nil {
		return nil, fmt.Errorf("%w: payload is not base64url", ErrMalformed)
	}
	signature, _, err := decode(rest, compact[last+1:])
	if err != nil {
		return nil, fmt.Errorf("%w: signature is not base64url", ErrMalformed)
	}
	m := &Message{Payload: payload, compact: bytes.Clone(compact), signed: last, signature: signature}
	if len(header) > MaxHeaderBytes {
		return nil, fmt.Errorf("%w: header exceeds %d bytes", ErrTooLarge, MaxHeaderBytes)
	}
	sc, ok := p.scanners.Get().(*scanner)
	if !ok {
		sc = new(scanner)
	}
	defer func() {
		sc.read(nil) // let go of the message
		p.scanners.Put(sc)
	}()
	sc.read(header)
	if err := m.Header.parse(&sc.dec); err != nil {
		return nil, err
	}
	return m, nil
}

func (sc *scanner) read(header []byte) {
	sc.buf = *bytes.NewBuffer(header)
	sc.dec.Reset(&sc.buf)
}

// decode decodes part into the free space of buf and returns what is left.
func decode(buf, part []byte) (decoded, rest []byte, err error) {
	// The standard decoder skips line breaks, which have no place in a JWS.
	if bytes.IndexByte(part, '\n') >= 0 || bytes.IndexByte(part, '\r') >= 0 {
		return nil, nil, errors.New("line break")
	}
	decoded, err = base64.RawURLEncoding.Strict().AppendDecode(buf, part)
	if err != nil {
		return nil, nil, err
	}
	n := len(decoded)
	return decoded[:n:n], decoded[n:], nil
}

func (h *Header) parse(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return fmt.Errorf("%w: header is not a JSON object", ErrMalformed)
	}
	if err := h.members(dec); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: header is more than a JSON object", ErrMalformed)
	}
	if h.Algorithm == "" {
		return fmt.Errorf("%w: header without alg", ErrMalformed)
	}
	if len(h.KeyID) > MaxKeyIDBytes {
		return fmt.Errorf("%w: kid exceeds %d bytes", ErrTooLarge, MaxKeyIDBytes)
	}
	return nil
}

func (h *Header) members(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); err != nil {
		return errHeader
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return errHeader
		}
		var field *string
		switch name := name.String(); name {
		case "alg":
			field = &h.Algorithm
		case "kid":
			field = &h.KeyID
		case "typ":
			field = &h.Type
		case "cty":
			field = &h.ContentType
		case "crit", "b64":
			return fmt.Errorf("%w: header with %s", ErrMalformed, name)
		default:
			if dec.SkipValue() != nil {
				return errHeader
			}
			continue
		}
		if dec.PeekKind() != '"' {
			return fmt.Errorf("%w: header member is not a string", ErrMalformed)
		}
		value, err := dec.ReadToken()
		if err != nil {
			return errHeader
		}
		*field = value.String()
	}
	if _, err := dec.ReadToken(); err != nil {
		return errHeader
	}
	return nil
}

// Verify checks the signature of m with key. The caller has found key by the
// issuer and the exact kid ([KeySet.Find]).
//
// Errors: [ErrUnknownKey] if key is nil; [ErrAlgorithm] if the header does not
// name the key's algorithm (RFC 8725 §3.1); [ErrSignature].
func Verify(m *Message, key *PublicKey) error {
	if key == nil {
		return ErrUnknownKey
	}
	if m.Header.Algorithm != string(key.alg) {
		return fmt.Errorf("%w: not the algorithm of the key", ErrAlgorithm)
	}
	if err := key.verifier.Verify(m.compact[:m.signed], m.signature, key.raw); err != nil {
		return ErrSignature
	}
	return nil
}
