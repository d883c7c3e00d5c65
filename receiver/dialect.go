package receiver

import (
	"context"
	"net/http"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Dialect is how a transmitter says what it has to say. That of Shared Signals is built
// in; another is for one whose notifications mean the same and are no SETs, such as
// those of Sign in with Apple (receiver/siwa). Everything behind it is one road: the
// signed bytes go to the inbox as they came (those of a SET that was encrypted without
// that), are read again for the hooks, and are known
// again by issuer and ID of the token.
//
// Safe for concurrent use.
type Dialect interface {
	// Push is what a push of it looks like.
	Push() PushForm
	// Verify judges signed bytes as [set.Verifier.Verify] does: a *set.Error is the
	// verdict on them, any other error says to offer them again. A token has an issuer,
	// an ID, a subject and an event at least.
	Verify(ctx context.Context, signed []byte) (*set.Token, error)
	// Read reads again what Verify accepted, whenever that was, and verifies nothing.
	// Equal bytes give equal tokens.
	Read(signed []byte) (*set.Token, error)
}

// PushForm is the HTTP side of a [Dialect].
type PushForm struct {
	// MediaType is the Content-Type of a request.
	MediaType string
	// Status answers what was accepted.
	Status int
	// Signed returns the signed bytes that a body bears, which may be a part of it, or
	// a *set.Error. Nil: the whole body.
	Signed func(body []byte) ([]byte, error)
}

// sets is the dialect of Shared Signals (RFC 8935 §2).
type sets struct{ *set.Verifier }

// Push is RFC 8935.
func (sets) Push() PushForm {
	return PushForm{MediaType: delivery.MediaType, Status: http.StatusAccepted}
}
