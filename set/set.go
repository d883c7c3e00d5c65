// Package set builds, signs, reads and verifies Security Event Tokens
// (RFC 8417) as the Shared Signals Framework profiles them (SSF §4).
//
// A transmitter fills a [Builder] and calls Sign; a receiver makes one
// [Verifier] per transmitter and calls Verify, whose refusal is an [*Error]
// that bears the RFC 8935 code to answer with. An event's payload stays the
// JSON that was sent; [EventAs] decodes it into a type of set/caep, set/risc or
// set/ssf on demand, and events of unknown types pass through whole.
package set

import (
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// HeaderType is the JOSE typ of every SET (RFC 8417 §2.3).
const HeaderType = "secevent+jwt"

// Bounds on what a SET may hold; the whole is bounded by [jose.MaxCompactBytes].
const (
	MaxIssuerBytes = 2048 // iss, and each value of aud
	MaxIDBytes     = 1024 // jti and txn
	MaxTypeBytes   = 2048 // the URI of an event type
	MaxAudience    = 64   // values of aud
	MaxEvents      = 16   // members of events
)

// Event is one member of `events` (RFC 8417 §2.2).
type Event struct {
	Type    string          // URI of the event type; see also [Tolerances.FormerEventTypes]
	Payload json.RawMessage // JSON object, byte for byte as sent (see [Tolerances.NullMembers]); read-only
}

// LogValue shows the type; the payload may say who the subject is.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.Type) }

// Token is a SET that was read. Only a [Verifier] returns verified ones.
// It must not be changed and may then be read concurrently.
type Token struct {
	Header        jose.Header
	Issuer        string
	ID            string             // jti, unique per issuer
	Audience      []string           // empty only if unverified
	IssuedAt      time.Time          // UTC
	TimeOfEvent   time.Time          // toe, UTC; zero if the transmitter does not share it
	TransactionID string             // txn; "" if absent
	Subject       subject.Identifier // sub_id; zero only if unverified, or see [Tolerances.LegacyVerificationURI]
	Events        []Event            // at least one, in the order sent; several name one event (SSF §4.2.1)

	compact string
	claims  []byte
}

// Adapt returns t with the header, the compact form and the claims of message: for
// readers of signed notifications that say in other words what a SET says (receiver's
// Dialect). Verifying message is theirs.
func Adapt(message *jose.Message, t Token) *Token {
	t.Header, t.compact, t.claims = message.Header, message.Compact(), message.Payload
	return &t
}

// Compact returns the SET as it came, signature included (RFC 8935 §5.5).
func (t *Token) Compact() string { return t.compact }

// Claims returns the payload of the SET byte for byte, unknown members
// included (SSF §4.2.3). It is shared and read-only.
func (t *Token) Claims() []byte { return t.claims }

// Type returns the type of the first event.
func (t *Token) Type() string {
	if len(t.Events) == 0 {
		return ""
	}
	return t.Events[0].Type
}

// Event returns the event of that type.
func (t *Token) Event(typ string) (Event, bool) {
	for _, event := range t.Events {
		if event.Type == typ {
			return event, true
		}
	}
	return Event{}, false
}

// LogValue shows what identifies the token, never its subject or content.
func (t *Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("jti", t.ID), slog.String("txn", t.TransactionID),
		slog.String("event_type", t.Type()))
}

// isURI reports whether s begins with a scheme and holds no character that
// ends a URI. What else it says is the business of whoever named the type.
func isURI(s string) bool {
	colon := strings.IndexByte(s, ':')
	if colon <= 0 || colon == len(s)-1 {
		return false
	}
	for i := range colon {
		letter := 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	for i := colon; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || strings.IndexByte(`"<>\^{|}`+"`", s[i]) >= 0 {
			return false
		}
	}
	return true
}
