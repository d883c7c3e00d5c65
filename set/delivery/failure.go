package delivery

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Code is a Security Event Token error code (RFC 8935 §2.4, SSF §8.1.4.3).
// Codes are case-sensitive, and a peer may send codes that are not listed here.
type Code string

// The registered codes.
const (
	CodeInvalidRequest       Code = "invalid_request"       // not a SET, or its content is wrong
	CodeInvalidKey           Code = "invalid_key"           // key unknown, too small or its algorithm not allowed
	CodeInvalidIssuer        Code = "invalid_issuer"        // not the issuer expected
	CodeInvalidAudience      Code = "invalid_audience"      // not for this receiver
	CodeAuthenticationFailed Code = "authentication_failed" // signature or credential wrong
	CodeAccessDenied         Code = "access_denied"         // known, but not allowed here
	CodeInvalidState         Code = "invalid_state"         // verification state wrong (SSF §8.1.4.3)
)

// Known reports whether c is one of the registered codes.
func (c Code) Known() bool {
	switch c {
	case CodeInvalidRequest, CodeInvalidKey, CodeInvalidIssuer, CodeInvalidAudience,
		CodeAuthenticationFailed, CodeAccessDenied, CodeInvalidState:
		return true
	}
	return false
}

// Failure says why a SET was refused: the body of a 400 answer to a push
// (RFC 8935 §2.3) and a value of setErrs in a poll (RFC 8936 §2.2).
type Failure struct {
	Err         Code   `json:"err"`                   // required
	Description string `json:"description,omitempty"` // for people; may be empty
}

// ParseFailure reads the body of a 400 answer to a push. Reading is tolerant,
// since the answer only chooses between trying again and giving up: members
// given twice, unknown ones and broken UTF-8 are let pass, and overlong texts
// are cut. It reports false, and a zero Failure, if body exceeds
// [MaxFailureBytes], is no JSON object or has no err string.
func ParseFailure(body []byte) (Failure, bool) {
	if len(body) > MaxFailureBytes {
		return Failure{}, false
	}
	r := newReader(body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var f Failure
	err := r.object(func(name string) error {
		if r.dec.PeekKind() != '"' || (name != "err" && name != "description") {
			return r.dec.SkipValue()
		}
		text, err := r.text(name, MaxFailureBytes)
		if err != nil {
			return err
		}
		if name == "err" {
			f.Err = Code(cut(text, MaxCodeBytes))
		} else {
			f.Description = cut(text, MaxDescriptionBytes)
		}
		return nil
	})
	if err != nil || r.end() != nil || f.Err == "" {
		return Failure{}, false
	}
	return f, true
}

// cut returns valid UTF-8 of at most limit bytes.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
