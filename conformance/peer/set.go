package peer

import (
	"encoding/json"
	"time"
)

// Event is something that happened to somebody.
type Event struct {
	// Type is the URI of the event type.
	Type string
	// Payload is its content; nil: {}.
	Payload any
	// Subject is who; as JSON a subject identifier.
	Subject any
	// Txn is what SETs of one cause have in common; empty: one is made.
	Txn string
	// Time is the iat; zero: now.
	Time time.Time
}

// Draft is a SET before it is signed.
type Draft struct {
	Header object
	Claims object
	// Encoded, if set, is signed in place of Claims; EncodedHeader of Header.
	Encoded, EncodedHeader []byte
	// ID is the jti of the queue; it goes into Claims, too.
	ID string

	key    *key
	stream *stream
	// control tells a verification or stream-updated event from others.
	control bool
}

// As signs the draft as it should be, under another kid.
func (d *Draft) As(kid string) string {
	d.Header["kid"] = kid
	return d.compact(d.key.rs256)
}

// event returns the payload of the only event, nil if there is none.
func (d *Draft) event() (typ string, payload object) {
	events, _ := d.Claims["events"].(object)
	for typ, payload := range events {
		p, _ := payload.(object)
		return typ, p
	}
	return "", nil
}

// setPayload replaces the payload of the only event.
func (d *Draft) setPayload(payload any) {
	typ, _ := d.event()
	d.Claims["events"] = object{typ: payload}
}

// draft returns what a SET for s says, as it should; under state.
func (t *Transmitter) draft(s *stream, e Event, control bool) *Draft {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	d := &Draft{ID: t.id("set"), key: t.key, stream: s, control: control}
	d.Header = object{"alg": "RS256", "kid": t.key.id, "typ": "secevent+jwt"}
	d.Claims = object{
		"iss": t.cfg.Issuer, "iat": e.Time.Unix(), "jti": d.ID, "aud": s.owner.Audience, "txn": e.Txn,
		"sub_id": plain(e.Subject), "events": object{e.Type: plain(e.Payload)},
	}
	if e.Txn == "" {
		d.Claims["txn"] = t.id("txn")
	}
	return d
}

// plain makes objects of what is an object as JSON, so that breaks can reach into it.
func plain(v any) any {
	if v == nil {
		return object{}
	}
	var out any
	if json.Unmarshal(encoded(v), &out) != nil {
		return v
	}
	return out
}

// sign makes the compact form of a draft as the breaks of c have it.
func (t *Transmitter) sign(d *Draft, c *conduct) string {
	for _, alter := range c.drafts {
		alter(t, d)
	}
	for _, sign := range c.signs {
		return sign(t, d)
	}
	return d.compact(d.key.rs256)
}

// compact encodes a draft and signs it so.
func (d *Draft) compact(sign func(input string) []byte) string {
	header, claims := d.EncodedHeader, d.Encoded
	if header == nil {
		header = encoded(d.Header)
	}
	if claims == nil {
		claims = encoded(d.Claims)
	}
	input := b64(header) + "." + b64(claims)
	return input + "." + b64(sign(input))
}
