package mapping

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// What the types of the framework itself begin with, by its present and its
// former name: they speak about streams and are the transmitter's own.
const (
	frameworkPrefix       = "https://schemas.openid.net/secevent/ssf/"
	formerFrameworkPrefix = "https://schemas.openid.net/secevent/sse/"
	// formerVerification and formerClaimsChange are what peers once called
	// verification and token-claims-change.
	formerVerification = risc.BaseURI + "verification"
	formerClaimsChange = caep.BaseURI + "token-claims-changed"
)

// memberInner is where SETs once had their subject (SSF-3.1.2-01, L1).
const memberInner = "subject"

// knownTypes returns the event types whose payloads are checked.
func knownTypes() map[string]bool {
	known := map[string]bool{}
	for _, t := range slices.Concat(caep.Types(), risc.Types()) {
		known[t] = true
	}
	return known
}

// mapType maps an event whose type is a URI: the payload leaves as it came.
func (m *Mapper) mapType(e Event) ([]Mapped, error) {
	if err := m.checkType(e.Type); err != nil {
		return nil, err
	}
	payload := e.Data
	if isAbsent(payload) {
		payload = json.RawMessage(`{}`)
	}
	fields, err := dataOf(payload)
	if err != nil {
		return nil, err
	}
	mapped := Mapped{Type: e.Type, Payload: payload}
	if !m.known[e.Type] {
		return []Mapped{mapped}, nil
	}
	if find(fields, memberInner) != nil {
		return nil, &Error{inData(memberInner), "is not allowed: the subject stands beside data"}
	}
	if err := checkPayload(e.Type, payload); err != nil {
		return nil, err
	}
	if mapped.Subjects, err = subjectsOf(e.Type, e.Subjects); err != nil {
		return nil, err
	}
	return []Mapped{mapped}, nil
}

// checkType refuses what is no event type that a source may send.
func (m *Mapper) checkType(t string) error {
	scheme, rest, isURI := strings.Cut(t, ":")
	refuse := func(why string) error { return &Error{memberType, why} }
	switch {
	case t == "":
		return refuse("is missing")
	case m.known[t] && !risc.Deprecated(t):
		return nil
	case len(t) > MaxTypeBytes:
		return refuse("is longer than 256 bytes")
	case !isURI:
		return refuse("is neither the name of an account event nor an event type URI")
	case risc.Deprecated(t):
		return refuse("is deprecated: send CAEP session-revoked")
	case strings.HasPrefix(t, frameworkPrefix), strings.HasPrefix(t, formerFrameworkPrefix), t == formerVerification:
		return refuse("is a control event, which the transmitter alone sends")
	case t == formerClaimsChange:
		return refuse("is a former name: send token-claims-change")
	case m.formats[scheme] != nil:
		return refuse("is a vendor's handle: send the record with its format")
	case rest == "" || !isAbsoluteURI(t):
		return refuse("is not an absolute URI")
	}
	return nil
}

// isAbsoluteURI reports whether t has a scheme and nothing that a URI cannot
// hold (RFC 3986 §4.3).
func isAbsoluteURI(t string) bool {
	u, err := url.Parse(t)
	if err != nil || !u.IsAbs() {
		return false
	}
	return !strings.ContainsFunc(t, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r)
	})
}

// checkPayload is the transmitter's check of a known type (EVT-02).
func checkPayload(eventType string, payload []byte) error {
	for _, validate := range []func(string, []byte) (bool, error){caep.Validate, risc.Validate} {
		known, err := validate(eventType, payload)
		if !known {
			continue
		}
		var wrong *caep.Error // risc.Error is the same type
		if errors.As(err, &wrong) {
			if wrong.Member == "" {
				return &Error{memberData, wrong.Reason}
			}
			return &Error{inData(wrong.Member), wrong.Reason}
		}
		return err
	}
	return nil
}

// subjectsOf returns the identifiers that an event of the type is about, nil if
// all of the event's will do. The identifier events are about one e-mail
// address or phone number, the former one (RISC-2.5-01, RISC-2.6-01).
func subjectsOf(eventType string, ids []subject.Identifier) ([]subject.Identifier, error) {
	if eventType != risc.IdentifierChangedType && eventType != risc.IdentifierRecycledType {
		return nil, nil
	}
	var fit []subject.Identifier
	for _, id := range ids {
		if risc.ValidateSubject(eventType, id) == nil && !slices.ContainsFunc(fit, id.Equal) {
			fit = append(fit, id)
		}
	}
	switch len(fit) {
	case 0:
		return nil, &Error{memberSubject, "must have the format email or phone_number"}
	case 1:
		return fit, nil
	}
	return nil, &Error{memberSubject, "must be one e-mail address or phone number: which of these it is about is not clear"}
}
