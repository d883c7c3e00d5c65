package set

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Tolerances names the departures from the specifications that are let pass from one
// issuer. The zero value is strict. Each field is one switch with a name of its own
// (see [ParseTolerances]); docs/tolerances.md says who needs which.
//
// None of them loosens the signature, the algorithm allow-list, the equality of issuer
// and audience, the presence of jti, a bound on size or the refusal of members that
// occur twice. Those that concern an older form apply only where the current form is
// absent (RISC §3.1).
//
// Most are read by a [Verifier]; those of other parts say so. They stand in one struct
// since an operator speaks of one issuer.
type Tolerances struct {
	SubjectInEvent        bool // no sub_id: the subject inside the event, as `subject`
	SubjectDuplicated     bool // the subject in both places, if it is the same, also in events that are not of CAEP or RISC
	SubjectTypeAlias      bool // in an identifier subject_type (iss-sub, id_token_claims, email, …) for format
	ComplexWithoutFormat  bool // an object of named subjects without format is complex
	TypJWT                bool // header type JWT or absent
	ExpPresent            bool // exp is allowed, and then enforced
	NullMembers           bool // a null claim, member of an event or of the subject is absent
	LegacyVerificationURI bool // the verification event under risc/event-type, which has no subject at Google
	LegacyDeliveryURI     bool // receiver/client: delivery methods under the URIs of RISC drafts, read and sent
	NoKid                 bool // no kid: the issuer's only key for alg
	IssuerSlash           bool // the configured issuer may end in "/"; the match stays exact
	AudIsURLOfPush        bool // the URL of the push endpoint counts among the audiences
	EventsAsString        bool // receiver/siwa: events is a JSON text. No SET, so a Verifier never reads it
	TxnNumber             bool // txn as a number, kept as its decimal text
	EmptyEventBody        bool // receiver: required members of an event absent
	LegacyErrorCodes      bool // transmitter: jwtAud, dup, … in the answer to a push

	// Beyond the table of what transmitters of today need.
	SubPresent        bool // claim sub: ignored
	FormerEventTypes  bool // event types under the URIs of drafts: [Event].Type is the current one
	FormerFormatNames bool // in an identifier format iss-sub, jwt-id, saml-assertion-id, phone-number
}

// tolerance is one switch: its name and its field.
type tolerance struct {
	name  string
	field func(*Tolerances) *bool
}

// tolerances is the one list of switches.
func tolerances() []tolerance {
	return []tolerance{
		{"subject_in_event", func(t *Tolerances) *bool { return &t.SubjectInEvent }},
		{"subject_duplicated", func(t *Tolerances) *bool { return &t.SubjectDuplicated }},
		{"subject_type_alias", func(t *Tolerances) *bool { return &t.SubjectTypeAlias }},
		{"complex_without_format", func(t *Tolerances) *bool { return &t.ComplexWithoutFormat }},
		{"typ_jwt", func(t *Tolerances) *bool { return &t.TypJWT }},
		{"exp_present", func(t *Tolerances) *bool { return &t.ExpPresent }},
		{"null_members", func(t *Tolerances) *bool { return &t.NullMembers }},
		{"legacy_verification_uri", func(t *Tolerances) *bool { return &t.LegacyVerificationURI }},
		{"legacy_delivery_uri", func(t *Tolerances) *bool { return &t.LegacyDeliveryURI }},
		{"no_kid", func(t *Tolerances) *bool { return &t.NoKid }},
		{"issuer_slash", func(t *Tolerances) *bool { return &t.IssuerSlash }},
		{"aud_is_url_of_push", func(t *Tolerances) *bool { return &t.AudIsURLOfPush }},
		{"events_as_string", func(t *Tolerances) *bool { return &t.EventsAsString }},
		{"txn_number", func(t *Tolerances) *bool { return &t.TxnNumber }},
		{"empty_event_body", func(t *Tolerances) *bool { return &t.EmptyEventBody }},
		{"legacy_error_codes", func(t *Tolerances) *bool { return &t.LegacyErrorCodes }},
		{"sub_present", func(t *Tolerances) *bool { return &t.SubPresent }},
		{"former_event_types", func(t *Tolerances) *bool { return &t.FormerEventTypes }},
		{"former_format_names", func(t *Tolerances) *bool { return &t.FormerFormatNames }},
	}
}

// ErrTolerance reports a name that is no tolerance.
var ErrTolerance = errors.New("set: unknown tolerance")

// ToleranceNames returns the names of all switches, in the order of docs/tolerances.md.
func ToleranceNames() []string {
	var names []string
	for _, one := range tolerances() {
		names = append(names, one.name)
	}
	return names
}

// ParseTolerances returns the tolerances with these names, "subject_in_event" for
// example; the order and repeats do not matter. The error wraps [ErrTolerance] and
// quotes every name that is none.
func ParseTolerances(names []string) (Tolerances, error) {
	var t Tolerances
	var unknown []string
	for _, name := range names {
		if !t.set(name) {
			unknown = append(unknown, fmt.Sprintf("%.100q", name))
		}
	}
	if unknown != nil {
		return Tolerances{}, fmt.Errorf("%w: %s; there are %s", ErrTolerance,
			strings.Join(unknown, ", "), strings.Join(ToleranceNames(), ", "))
	}
	return t, nil
}

// ParseTolerance is [ParseTolerances] for one name.
func ParseTolerance(name string) (Tolerances, error) { return ParseTolerances([]string{name}) }

func (t *Tolerances) set(name string) bool {
	for _, one := range tolerances() {
		if one.name == name {
			*one.field(t) = true
			return true
		}
	}
	return false
}

// Names returns the names of the switches that are on, in the order of
// [ToleranceNames]; nil for the zero value.
func (t Tolerances) Names() []string {
	var names []string
	for _, one := range tolerances() {
		if *one.field(&t) {
			names = append(names, one.name)
		}
	}
	return names
}

// With returns the tolerances that t or more has.
func (t Tolerances) With(more Tolerances) Tolerances {
	for _, one := range tolerances() {
		*one.field(&t) = *one.field(&t) || *one.field(&more)
	}
	return t
}

// String returns the names of what is tolerated, or "strict".
func (t Tolerances) String() string {
	if names := t.Names(); names != nil {
		return strings.Join(names, ",")
	}
	return "strict"
}

// identifier returns how identifiers are read.
func (t Tolerances) identifier() subject.Legacy {
	return subject.Legacy{
		SubjectType: t.SubjectTypeAlias, FormatNames: t.FormerFormatNames,
		ImplicitComplex: t.ComplexWithoutFormat, NullMembers: t.NullMembers,
	}
}
