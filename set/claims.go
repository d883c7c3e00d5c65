package set

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// claims reads the claims of a SET in one pass over their bytes. The jsontext
// decoder refuses duplicate member names at every depth (SET-2.2-03) and
// invalid UTF-8 (JWT-3.7-01).
type claims struct {
	raw   []byte
	buf   bytes.Buffer
	dec   jsontext.Decoder
	token *Token

	tolerances  Tolerances
	issued, sub bool
	expires     time.Time // exp; zero if absent
	exp         bool
	subID       []byte // raw value; nil if absent
	subjectless bool   // there need be no subject
	shown       bool   // read to be shown: two places for the subject are no matter
}

var (
	errJSON  = invalid("the claims are not JSON or have a member twice")
	errEvent = invalid("events must be an object with one JSON object for each event type URI")
)

// maxSeconds is the last second of the year 9999, the bound of NumericDates.
const maxSeconds = 253402300799

// reset makes c ready for raw. It keeps the decoder's scratch space alone, so
// that a claims value can serve one SET after the other.
func (c *claims) reset(token *Token, raw []byte, tolerances Tolerances) {
	c.raw, c.token, c.tolerances = raw, token, tolerances
	c.issued, c.sub, c.exp, c.expires, c.subID, c.subjectless = false, false, false, time.Time{}, nil, false
	c.shown = false
	c.buf = *bytes.NewBuffer(raw)
	c.dec.Reset(&c.buf)
}

// read fills the token. What depends on the reader (typ, presence of sub,
// exp, aud and sub_id) is left to the caller.
func (c *claims) read() error {
	token := c.token
	if c.dec.PeekKind() != '{' {
		return invalid("the claims are not a JSON object")
	}
	if err := c.members(c.claim); err != nil {
		return err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	switch {
	case token.Issuer == "":
		return invalid("iss is missing")
	case token.ID == "":
		return invalid("jti is missing")
	case !c.issued:
		return invalid("iat is missing")
	case len(token.Events) == 0:
		return errEvent
	}
	if c.tolerances.FormerEventTypes || c.tolerances.LegacyVerificationURI {
		c.renameFormer()
	}
	return c.subject()
}

// claim reads the value of one claim.
func (c *claims) claim(name []byte) (err error) {
	if c.tolerances.NullMembers && c.dec.PeekKind() == 'n' {
		return c.skip()
	}
	switch string(name) {
	case "iss":
		c.token.Issuer, err = c.text("iss", MaxIssuerBytes)
	case "jti":
		c.token.ID, err = c.text("jti", MaxIDBytes)
	case "iat":
		c.issued = true
		c.token.IssuedAt, err = c.date("iat")
	case "toe":
		c.token.TimeOfEvent, err = c.date("toe")
	case "aud":
		c.token.Audience, err = c.audience()
	case "txn":
		c.token.TransactionID, err = c.txn()
	case "sub_id":
		c.subID, err = c.value()
	case "events":
		err = c.events()
	case "exp":
		c.exp = true
		if !c.tolerances.ExpPresent {
			return c.skip() // its presence is refused, whatever it is
		}
		c.expires, err = c.date("exp")
	case "sub":
		c.sub = true
		return c.skip()
	default:
		return c.skip()
	}
	return err
}

func (c *claims) skip() error {
	if c.dec.SkipValue() != nil {
		return errJSON
	}
	return nil
}

// members calls member for each member of the object that comes next, which
// consumes the value.
func (c *claims) members(member func(name []byte) error) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return errJSON
	}
	for c.dec.PeekKind() == '"' {
		name, err := c.value()
		if err != nil {
			return err
		}
		if bytes.IndexByte(name, '\\') < 0 {
			name = name[1 : len(name)-1]
		} else if name, err = jsontext.AppendUnquote(nil, name); err != nil {
			return errJSON
		}
		if err := member(name); err != nil {
			return err
		}
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return errJSON
	}
	return nil
}

// value returns the next value as it stands in the claims.
func (c *claims) value() ([]byte, error) {
	v, err := c.dec.ReadValue()
	if err != nil {
		return nil, errJSON
	}
	// The decoder lends v until its next step; the same bytes in raw stay.
	end := c.dec.InputOffset()
	return c.raw[end-int64(len(v)) : end : end], nil
}

// text reads a string of 1 to limit bytes.
func (c *claims) text(name string, limit int) (string, error) {
	if c.dec.PeekKind() != '"' {
		return "", invalid(name + " must be a string")
	}
	tok, err := c.dec.ReadToken()
	if err != nil {
		return "", errJSON
	}
	s := tok.String()
	if s == "" || len(s) > limit {
		return "", invalid(name + " is empty or too long")
	}
	return s, nil
}

// date reads a NumericDate (RFC 7519 §2); fractions count to the microsecond.
func (c *claims) date(name string) (time.Time, error) {
	if c.dec.PeekKind() != '0' {
		return time.Time{}, invalid(name + " must be a number")
	}
	v, err := c.value()
	if err != nil {
		return time.Time{}, err
	}
	if whole, err := strconv.ParseInt(string(v), 10, 64); err == nil && 0 <= whole && whole <= maxSeconds {
		return time.Unix(whole, 0).UTC(), nil
	}
	seconds, err := strconv.ParseFloat(string(v), 64)
	if err != nil || !(0 <= seconds && seconds <= maxSeconds) {
		return time.Time{}, invalid(name + " must be seconds since 1970")
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1e3).UTC(), nil
}

// audience reads a string or an array of strings (RFC 7519 §4.1.3).
func (c *claims) audience() ([]string, error) {
	if c.dec.PeekKind() != '[' {
		one, err := c.text("aud", MaxIssuerBytes)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return nil, errJSON
	}
	var list []string
	for c.dec.PeekKind() != ']' {
		if len(list) == MaxAudience {
			return nil, invalid("aud has too many values")
		}
		one, err := c.text("aud", MaxIssuerBytes)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return nil, errJSON
	}
	return list, nil
}

// txn reads a string, or a number where that is tolerated (L12).
func (c *claims) txn() (string, error) {
	if c.tolerances.TxnNumber && c.dec.PeekKind() == '0' {
		v, err := c.value()
		if err == nil && len(v) > MaxIDBytes {
			err = invalid("txn is too long")
		}
		return string(v), err
	}
	return c.text("txn", MaxIDBytes)
}

// events reads a non-empty object of objects (SET-2-01).
func (c *claims) events() error {
	if c.dec.PeekKind() != '{' {
		return errEvent
	}
	return c.members(func(name []byte) error {
		if len(c.token.Events) == MaxEvents {
			return invalid("events has too many members")
		}
		event := Event{Type: string(name)}
		if len(name) > MaxTypeBytes || !isURI(event.Type) || c.dec.PeekKind() != '{' {
			return errEvent
		}
		payload, err := c.value()
		if err != nil {
			return err
		}
		event.Payload = payload
		if c.tolerances.NullMembers {
			event.Payload = withoutNulls(payload)
		}
		c.token.Events = append(c.token.Events, event)
		return nil
	})
}
