// Package profile says in which form the SETs of a stream leave, for receivers that
// do not read the current one: where the subject stands, how times are written, and
// the like. It is data and pure functions; a stream without a profile leaves as the
// specifications say.
//
// A profile is written as a name, settings, or a name and settings that differ:
//
//	okta
//	apple,subject=event
//	timestamps=milliseconds,aud=list
package profile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// MaxBytes bounds the text of a profile.
const MaxBytes = 256

// TypeJWT is the typ of a SET for receivers that do not know [set.HeaderType].
const TypeJWT = "JWT"

// Profile is the form in which the SETs of a stream leave. The zero value is the
// current one of SSF 1.0.
type Profile struct {
	// Form is that of the claims.
	Form set.Form
	// Milliseconds writes event_timestamp so.
	Milliseconds bool
	// EmptyEvents sends events without their members, those of stream management
	// (verification, stream-updated) excepted.
	EmptyEvents bool
	// Type is the typ of the header; empty: set.HeaderType.
	Type string
	// FormerDelivery also takes the delivery methods' URIs of the RISC drafts and
	// delivery.endpoint_url_token, and answers with the URI that was sent.
	FormerDelivery bool
	// FormerErrors understands the codes of drafts of RFC 8935 in the answer to a
	// push, the tolerance legacy_error_codes.
	FormerErrors bool
	// SubjectFormat is the preferred format of subjects if the application has
	// none of its own; empty: none.
	SubjectFormat string
}

// Parse reads a profile; "" is the zero one. The error names what is not known and
// what there is.
func Parse(text string) (Profile, error) {
	var p Profile
	if text == "" {
		return p, nil
	}
	if len(text) > MaxBytes {
		return p, fmt.Errorf("profile: longer than %d bytes", MaxBytes)
	}
	for i, part := range strings.Split(text, ",") {
		name, value, setting := strings.Cut(part, "=")
		switch {
		case setting:
			if err := p.set(name, value); err != nil {
				return Profile{}, err
			}
		case i == 0:
			named, ok := lookup(part)
			if !ok {
				return Profile{}, fmt.Errorf("profile: %q is none; there are %s", part, strings.Join(Names(), ", "))
			}
			p = named
		default:
			return Profile{}, fmt.Errorf("profile: %q is no setting such as subject=event, and only the first part may be a name", part)
		}
	}
	return p, nil
}

// setting is one that a text may change, with its values.
type setting struct {
	name   string
	values []string
	apply  func(p *Profile, value string)
}

func settings() []setting {
	return []setting{
		{"subject", []string{"sub_id", "event", "both"}, func(p *Profile, v string) {
			p.Form.Subject = map[string]set.Place{"event": set.PlaceEvent, "both": set.PlaceBoth}[v]
		}},
		{"complex", []string{"format", "nameless"}, func(p *Profile, v string) { p.Form.Nameless = v == "nameless" }},
		{"identifiers", []string{"current", "former"}, func(p *Profile, v string) { p.Form.FormerNames = v == "former" }},
		{"aud", []string{"auto", "list"}, func(p *Profile, v string) { p.Form.AudienceList = v == "list" }},
		{"timestamps", []string{"seconds", "milliseconds"}, func(p *Profile, v string) { p.Milliseconds = v == "milliseconds" }},
		{"events", []string{"whole", "empty"}, func(p *Profile, v string) { p.EmptyEvents = v == "empty" }},
		{"typ", []string{set.HeaderType, TypeJWT}, func(p *Profile, v string) {
			if p.Type = v; v == set.HeaderType {
				p.Type = ""
			}
		}},
		{"delivery", []string{"current", "former"}, func(p *Profile, v string) { p.FormerDelivery = v == "former" }},
		{"errors", []string{"current", "former"}, func(p *Profile, v string) { p.FormerErrors = v == "former" }},
	}
}

func (p *Profile) set(name, value string) error {
	var names []string
	for _, s := range settings() {
		if s.name != name {
			names = append(names, s.name)
			continue
		}
		if !slices.Contains(s.values, value) {
			return fmt.Errorf("profile: %s=%s is none; there are %s", name, value, strings.Join(s.values, ", "))
		}
		s.apply(p, value)
		return nil
	}
	return fmt.Errorf("profile: %q is no setting; there are %s", name, strings.Join(names, ", "))
}

// Apply gives b the form of p. Equal builders stay equal. An event whose payload is
// no object is left as it is; Claims refuses it. control says that the event is one of
// stream management.
func (p Profile) Apply(b *set.Builder, control bool) {
	b.Form = p.Form
	switch {
	case control:
		b.Form.Nameless = false // the stream is no user
	case p.EmptyEvents:
		b.Event.Payload = nil
	case p.Milliseconds:
		b.Event.Payload = milliseconds(b.Event.Payload)
	}
}

// Signer chooses of the two signers of a key.
func (p Profile) Signer(current, jwt func() *jose.Signer) func() *jose.Signer {
	if p.Type == TypeJWT {
		return jwt
	}
	return current
}

// milliseconds returns a payload with its event_timestamp in milliseconds; the other
// members keep their text, and come in the order of their names.
func milliseconds(payload []byte) []byte {
	at, ok := caep.EventTime(payload)
	if !ok {
		return payload
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return payload
	}
	members["event_timestamp"] = fmt.Appendf(nil, "%d", at.UnixMilli())
	changed, err := json.Marshal(members)
	if err != nil {
		return payload
	}
	return changed
}
