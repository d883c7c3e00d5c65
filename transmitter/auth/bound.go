package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// thumbprintMember is the only member of cnf that is known here (RFC 8705 §3.1).
const thumbprintMember = "x5t#S256"

// thumbprint is what a token is bound to: the SHA-256 of a certificate. nil: nothing.
type thumbprint []byte

func thumbprintOf(cert *x509.Certificate) thumbprint {
	sum := sha256.Sum256(cert.Raw)
	return sum[:]
}

// confirmation writes the claim cnf; nil if there is nothing that a token is bound to.
func (t thumbprint) confirmation() jsontext.Value {
	if t == nil {
		return nil
	}
	return jsontext.Value(`{"` + thumbprintMember + `":"` + base64.RawURLEncoding.EncodeToString(t) + `"}`)
}

// boundTo reads a claim cnf (RFC 7800): the certificate that the token is bound to; nil if
// there is no claim. What is not known here would not be looked at, and is not ok.
func boundTo(cnf jsontext.Value) (t thumbprint, ok bool) {
	if cnf == nil {
		return nil, true
	}
	var members map[string]jsontext.Value
	var text string
	if jsonv2.Unmarshal(cnf, &members) != nil || len(members) != 1 || members[thumbprintMember].Kind() != '"' ||
		jsonv2.Unmarshal(members[thumbprintMember], &text) != nil {
		return nil, false
	}
	t, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return t, err == nil && len(t) == sha256.Size
}

// isBoundAsKnown reports whether a claim cnf is one that can be asked for.
func isBoundAsKnown(cnf jsontext.Value) bool {
	_, ok := boundTo(cnf)
	return ok
}

// confirms reports whether what a token is bound to is the certificate of the connection,
// of which chain has the sender's first.
func (t thumbprint) confirms(chain []*x509.Certificate) bool {
	if t == nil {
		return true
	}
	return len(chain) > 0 && subtle.ConstantTimeCompare(t, thumbprintOf(chain[0])) == 1
}

// binding returns what a token that is issued to the client is bound to; nil: nothing.
func (a *Authenticator) binding(r *Registration, chain []*x509.Certificate) (thumbprint, error) {
	switch {
	case !r.bindsTokens():
		return nil, nil
	case len(chain) > 0:
		return thumbprintOf(chain[0]), nil
	case r.unboundAt(a.cfg.Now()):
		return nil, nil
	}
	return nil, badRequest(CodeInvalidRequest, "the client's tokens are bound to its certificate: ask on a connection that has one (mutual TLS)")
}

// unboundAt reports whether a token that is bound to nothing is good although others of
// the client are: a secret that it had before its certificate is good as yet, so that it
// can change over.
func (r *Registration) unboundAt(now time.Time) bool {
	return !r.BoundTokens && r.OldSecret != nil && now.Before(r.OldUntil)
}
