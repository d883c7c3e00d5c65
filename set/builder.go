package set

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Builder holds what a SET says. Equal builders give equal claims, so a SET
// can be signed again at any time (contracts, SET identity).
type Builder struct {
	Issuer        string             // required
	ID            string             // jti, required; unique per issuer forever
	Audience      []string           // at least one; one is written as a string (SSF §4.1.8)
	IssuedAt      time.Time          // required; whole seconds on the wire, rounded down
	TimeOfEvent   time.Time          // toe; zero writes none; whole seconds, rounded down
	TransactionID string             // txn; "" writes none
	Subject       subject.Identifier // required (SSF §3.1)
	Event         Event              // Type required; nil Payload writes {}
	Form          Form               // zero: the current form
}

// LogValue shows what identifies the SET, never its subject or content.
func (b Builder) LogValue() slog.Value {
	return slog.GroupValue(slog.String("jti", b.ID), slog.String("txn", b.TransactionID),
		slog.String("event_type", b.Event.Type))
}

// Claims returns the claims as JSON: exactly one event, never sub or exp
// (SSF §4.1.2, §4.1.7). The payload is copied as it is. The error names what
// is missing or wrong; what Claims returns, a strict [Verifier] reads, unless Form
// asks for another form.
func (b Builder) Claims() ([]byte, error) {
	if err := b.validate(); err != nil {
		return nil, err
	}
	sub, err := b.Form.subject(b.Subject)
	if err != nil {
		return nil, err
	}
	w := writer{buf: make([]byte, 0, 256+len(b.Issuer)+len(b.ID)+len(b.TransactionID)+len(sub)+len(b.Event.Type)+len(b.Event.Payload))}
	w.raw(`{"iss":`).text(b.Issuer)
	w.raw(`,"jti":`).text(b.ID)
	w.raw(`,"iat":`).seconds(b.IssuedAt)
	w.raw(`,"aud":`).audience(b.Audience, b.Form.AudienceList)
	if b.TransactionID != "" {
		w.raw(`,"txn":`).text(b.TransactionID)
	}
	if !b.TimeOfEvent.IsZero() {
		w.raw(`,"toe":`).seconds(b.TimeOfEvent)
	}
	if b.Form.Subject != PlaceEvent {
		w.raw(`,"sub_id":`).bytes(sub)
	}
	w.raw(`,"events":{`).text(b.Event.Type)
	w.raw(`:`)
	if b.Form.Subject == PlaceSET {
		sub = nil
	}
	w.payload(b.Event.Payload, sub)
	w.raw(`}}`)
	if w.err != nil {
		return nil, w.err
	}
	return w.buf, nil
}

// Sign returns the SET in compact form. s must have been made with
// [HeaderType]. Errors: those of Claims, or [jose.ErrTooLarge].
func (b Builder) Sign(s *jose.Signer) (string, error) {
	claims, err := b.Claims()
	if err != nil {
		return "", err
	}
	return s.Sign(claims)
}

func (b Builder) validate() error {
	switch {
	case outside(b.Issuer, MaxIssuerBytes):
		return errors.New("set: Issuer is missing or too long")
	case outside(b.ID, MaxIDBytes):
		return errors.New("set: ID is missing or too long")
	case len(b.Audience) == 0 || len(b.Audience) > MaxAudience ||
		slices.ContainsFunc(b.Audience, func(s string) bool { return outside(s, MaxIssuerBytes) }):
		return errors.New("set: Audience is missing, too long or has an empty value")
	case !numeric(b.IssuedAt):
		return errors.New("set: IssuedAt is missing or out of range")
	case !b.TimeOfEvent.IsZero() && !numeric(b.TimeOfEvent):
		return errors.New("set: TimeOfEvent is out of range")
	case len(b.TransactionID) > MaxIDBytes:
		return errors.New("set: TransactionID is too long")
	case b.Subject.IsZero():
		return errors.New("set: Subject is missing")
	case outside(b.Event.Type, MaxTypeBytes) || !isURI(b.Event.Type):
		return errors.New("set: Event.Type is not a URI")
	}
	if p := jsontext.Value(b.Event.Payload); p != nil && (!p.IsValid() || p.Kind() != '{') {
		return errors.New("set: Event.Payload is not a JSON object")
	} else if b.Form.Subject != PlaceSET && hasSubject(p) {
		return errors.New("set: Event.Payload has a subject of its own, where Form puts the Subject")
	}
	return nil
}

func outside(s string, limit int) bool { return s == "" || len(s) > limit }

func numeric(t time.Time) bool { return 0 <= t.Unix() && t.Unix() <= maxSeconds }

// writer appends JSON and keeps the first error.
type writer struct {
	buf []byte
	err error
}

func (w *writer) raw(s string) *writer {
	w.buf = append(w.buf, s...)
	return w
}

func (w *writer) bytes(b []byte) { w.buf = append(w.buf, b...) }

func (w *writer) text(s string) {
	buf, err := jsontext.AppendQuote(w.buf, s)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("set: a text is not UTF-8: %w", err)
	}
	w.buf = buf
}

func (w *writer) seconds(t time.Time) { w.buf = strconv.AppendInt(w.buf, t.Unix(), 10) }

// payload writes an object, with sub as its first member if there is one.
func (w *writer) payload(object, sub []byte) {
	if object == nil {
		object = []byte(`{}`)
	}
	if sub == nil {
		w.bytes(object)
		return
	}
	w.raw(`{"subject":`).bytes(sub)
	if rest := bytes.TrimLeft(object, " \t\r\n")[1:]; bytes.TrimLeft(rest, " \t\r\n")[0] == '}' {
		w.raw(`}`)
	} else {
		w.raw(`,`).bytes(rest)
	}
}

func (w *writer) audience(list []string, always bool) {
	if len(list) == 1 && !always {
		w.text(list[0])
		return
	}
	for i, one := range list {
		if i == 0 {
			w.raw(`[`)
		} else {
			w.raw(`,`)
		}
		w.text(one)
	}
	w.raw(`]`)
}
