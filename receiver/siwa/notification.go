package siwa

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// maxTypeBytes bounds the type of an event.
const maxTypeBytes = 64

// maxSeconds is the last second of the year 9999; milliseconds begins what a number of
// milliseconds is.
const (
	maxSeconds   = 253402300799
	milliseconds = 1e11
)

// TypeURI is the event type of an event of Apple's that has no RISC twin.
func TypeURI(typ string) string { return "urn:x-tocsin:siwa:" + typ }

// signed returns the JWS of a body.
func signed(body []byte) ([]byte, error) {
	var b struct {
		Payload *string `json:"payload"`
	}
	if json.Unmarshal(body, &b) != nil || b.Payload == nil {
		return nil, invalid("the body is not a JSON object with a payload")
	}
	return []byte(*b.Payload), nil
}

// notification is what the claims say, checked for form.
type notification struct {
	issuer, id      string
	audience        []string
	issued, expires time.Time // expires is zero if absent
	event           event
}

// event is the content of the claim `events`.
type event struct {
	Type    string                    `json:"type"`
	Subject string                    `json:"sub"`
	Time    *float64                  `json:"event_time"`
	Private jsontext.Value            `json:"is_private_email"`
	Other   map[string]jsontext.Value `json:",embed"`

	raw string
}

// parseNotification reads the claims. JSON with a member twice is refused, in the text
// of the event too.
func parseNotification(claims []byte) (*notification, error) {
	var c struct {
		Issuer   string         `json:"iss"`
		Audience jsontext.Value `json:"aud"`
		ID       string         `json:"jti"`
		Issued   *float64       `json:"iat"`
		Expires  *float64       `json:"exp"`
		Events   string         `json:"events"`
	}
	if json.Unmarshal(claims, &c) != nil {
		return nil, invalid("the claims are not those of a notification, or have a member twice")
	}
	n := &notification{issuer: c.Issuer, id: c.ID}
	var single string
	if json.Unmarshal(c.Audience, &single) == nil {
		n.audience = []string{single}
	} else if json.Unmarshal(c.Audience, &n.audience) != nil || len(n.audience) > set.MaxAudience {
		return nil, invalid("aud must be a string or a list of strings")
	}
	var ok bool
	if c.Issued == nil {
		return nil, invalid("iat is missing")
	}
	if n.issued, ok = instant(*c.Issued); !ok {
		return nil, invalid("iat is no time")
	}
	if c.Expires != nil {
		if n.expires, ok = instant(*c.Expires); !ok {
			return nil, invalid("exp is no time")
		}
	}
	n.event.raw = c.Events
	return n, n.event.parse(c.Events)
}

func (e *event) parse(text string) error {
	switch {
	case json.Unmarshal([]byte(text), e) != nil:
		return invalid("events is not the text of a JSON object, or has a member twice")
	case !isType(e.Type):
		return invalid("the type of the event is missing or no word")
	case e.Subject == "":
		return invalid("the event has no sub")
	case e.Time == nil:
		return nil
	}
	if _, ok := instant(*e.Time); !ok {
		return invalid("event_time is no time")
	}
	return nil
}

// isType reports whether typ is a word that can end a URN.
func isType(typ string) bool {
	return typ != "" && len(typ) <= maxTypeBytes &&
		strings.Trim(typ, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// instant reads seconds or milliseconds since 1970.
func instant(number float64) (time.Time, bool) {
	if number > milliseconds {
		number /= 1000
	}
	if !(0 <= number && number <= maxSeconds) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(number)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e3))*1e6).UTC(), true
}

// token says it as a SET does.
func (n *notification) token(message *jose.Message) (*set.Token, error) {
	payload, err := n.event.payload()
	if err != nil {
		return nil, err
	}
	t := set.Token{
		Issuer: n.issuer, ID: n.jti(), Audience: n.audience, IssuedAt: n.issued,
		Subject: subject.IssSub(n.issuer, n.event.Subject),
		Events:  []set.Event{{Type: n.event.uri(), Payload: payload}},
	}
	if len(t.ID) > set.MaxIDBytes || len(t.Subject.Raw()) > subject.MaxBytes {
		return nil, invalid("jti or sub is too long")
	}
	if n.event.Time != nil {
		t.TimeOfEvent, _ = instant(*n.event.Time)
	}
	return set.Adapt(message, t), nil
}

// jti is that of the claims. Without one, it is made of the event alone: what is sent
// again says the same of the same time, whatever its iat.
func (n *notification) jti() string {
	if n.id != "" {
		return n.id
	}
	digest := sha256.Sum256([]byte(n.event.raw))
	return "siwa." + base64.RawURLEncoding.EncodeToString(digest[:])
}

// uri is the type of the event as a security event.
func (e *event) uri() string {
	switch e.Type {
	case "account-delete", "account-deleted":
		return risc.AccountPurgedType
	case "consent-revoked":
		return risc.OptOutEffectiveType
	case "email-disabled", "email-enabled":
		return risc.IdentifierChangedType
	}
	return TypeURI(e.Type)
}

// payload is what the event says beside type and subject.
func (e *event) payload() ([]byte, error) {
	members := map[string]any{}
	for name, value := range e.Other {
		members[name] = value
	}
	members["siwa_type"] = e.Type
	if e.Time != nil {
		members["event_timestamp"] = *e.Time
	}
	switch private := strings.Trim(string(e.Private), `"`); private {
	case "":
	case "true", "false":
		members["is_private_email"] = private == "true"
	default:
		members["is_private_email"] = e.Private
	}
	raw, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return nil, invalid("the event is no JSON")
	}
	return raw, nil
}
