package transmitters

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// token is a SET as it came, read without judging it.
type token struct {
	compact   string
	key       string // its name in a poll's answer
	rawHeader []byte
	rawClaims []byte
	header    object
	claims    object
	signature []byte
	err       error // why it could not be read

	stream   *stream
	push     *push // nil: it was polled
	exchange conformance.Exchange
}

// maxCompact bounds a SET.
const maxCompact = 64 << 10

func readToken(compact string) *token {
	t := &token{compact: compact}
	if len(compact) > maxCompact {
		t.err = errors.New("it has more than 64 KiB")
		return t
	}
	parts := bytes.Split([]byte(compact), []byte("."))
	if len(parts) != 3 {
		t.err = errors.New("it is not three parts with points between them")
		return t
	}
	var errs [3]error
	t.rawHeader, errs[0] = base64.RawURLEncoding.DecodeString(string(parts[0]))
	t.rawClaims, errs[1] = base64.RawURLEncoding.DecodeString(string(parts[1]))
	t.signature, errs[2] = base64.RawURLEncoding.DecodeString(string(parts[2]))
	if errors.Join(errs[:]...) != nil {
		t.err = errors.New("a part of it is not base64url")
		return t
	}
	if t.header, t.err = parseObject(t.rawHeader); t.err != nil {
		return t
	}
	t.claims, t.err = parseObject(t.rawClaims)
	return t
}

// jti returns its identifier.
func (t *token) jti() string { return t.claims.text("jti") }

// event returns the members of an event of a type, and whether there is one.
func (t *token) event(eventType string) (object, bool) {
	events := t.claims.object("events")
	if !events.has(eventType) {
		return nil, false
	}
	return events.object(eventType), true
}

// is reports whether it tells of an event of a type.
func (t *token) is(eventType string) bool {
	_, ok := t.event(eventType)
	return ok
}
