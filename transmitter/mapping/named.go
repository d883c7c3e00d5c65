package mapping

import (
	"slices"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// Kind is the JSON type of a member of data.
type Kind string

// The kinds of members.
const (
	KindText   Kind = "string"
	KindTexts  Kind = "texts"   // texts by language tag, or one string, whose language is then undetermined ("und")
	KindList   Kind = "strings" // an array of strings
	KindObject Kind = "object"  // with at least one member
	KindTime   Kind = "time"    // a number: seconds since the epoch
)

// Member is one member of an account event's data.
type Member struct {
	Name     string   `json:"name"`               // in data
	Target   string   `json:"target"`             // in the payload
	Kind     Kind     `json:"kind"`               // its JSON type
	Required bool     `json:"required,omitempty"` // must be there and not be empty
	Values   []string `json:"values,omitempty"`   // the closed list of a string's values; none: every value
}

// NamedEvent is an account event that is sent by name.
type NamedEvent struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // the event type URI that it becomes
	Description string   `json:"description"`
	Members     []Member `json:"members,omitempty"` // of data
}

// Names returns the account events and the members of their data; required ones
// have a star.
//
//	name                          becomes                                 data
//	account.suspended             risc account-disabled                   reason
//	account.reinstated            risc account-enabled
//	account.deleted               risc account-purged
//	credential.reset_required     risc account-credential-change-required
//	credential.compromised        risc credential-compromise              credential_type*, event_timestamp, reason_admin, reason_user
//	recovery.activated            risc recovery-activated
//	recovery.information_changed  risc recovery-information-changed
//	identifier.changed            risc identifier-changed                 new_value
//	identifier.recycled           risc identifier-recycled
//	opt_in                        risc opt-in
//	opt_out_initiated             risc opt-out-initiated
//	opt_out_cancelled             risc opt-out-cancelled
//	opt_out_effective             risc opt-out-effective
//	session.revoked               caep session-revoked
//	claims.changed                caep token-claims-change                claims*
//	credential.changed            caep credential-change                  credential_type*, change_type*, friendly_name, x509_issuer, x509_serial, fido2_aaguid
//	assurance.changed             caep assurance-level-change             namespace*, current_level*, previous_level, change_direction
//	device.compliance_changed     caep device-compliance-change           previous_status*, current_status*
//	session.established           caep session-established                fp_ua, acr, amr, ext_id
//	session.presented             caep session-presented                  fp_ua, ext_id
//	risk.changed                  caep risk-level-change                  principal*, current_level*, previous_level, risk_reason
//
// All that become CAEP events also have initiating_entity, reason_admin,
// reason_user and event_timestamp; the last is the event's time unless given.
// The members of data are those of the payload, but new_value, which is
// new-value there. A reason may be one string instead of texts by language.
// Members that are null are absent; any other member is refused.
//
// The subject of identifier.changed and identifier.recycled is one e-mail
// address or phone number, the former one (RISC §2.5, §2.6).
func Names() []NamedEvent {
	return slices.Concat(riscNames(), caepNames())
}

func riscNames() []NamedEvent {
	return []NamedEvent{
		{"account.suspended", risc.AccountDisabledType, "The account was disabled.", []Member{optional("reason", KindText)}},
		{"account.reinstated", risc.AccountEnabledType, "The account was enabled.", nil},
		{"account.deleted", risc.AccountPurgedType, "The account was deleted for good.", nil},
		{"credential.reset_required", risc.AccountCredentialChangeRequiredType, "The account must change a credential.", nil},
		{
			"credential.compromised", risc.CredentialCompromiseType, "A credential of the account was found to be compromised.",
			[]Member{
				required("credential_type"), optional("event_timestamp", KindTime),
				optional("reason_admin", KindTexts), optional("reason_user", KindTexts),
			},
		},
		{"recovery.activated", risc.RecoveryActivatedType, "The account began a recovery flow.", nil},
		{"recovery.information_changed", risc.RecoveryInformationChangedType, "Recovery information of the account changed.", nil},
		{
			"identifier.changed", risc.IdentifierChangedType, "The e-mail address or phone number of the subject, the former one, changed.",
			[]Member{{Name: "new_value", Target: "new-value", Kind: KindText}},
		},
		{"identifier.recycled", risc.IdentifierRecycledType, "The e-mail address or phone number has a new owner.", nil},
		{"opt_in", risc.OptInType, "The account takes part in the exchange of events.", nil},
		{"opt_out_initiated", risc.OptOutInitiatedType, "The account asked to be left out of the exchange of events.", nil},
		{"opt_out_cancelled", risc.OptOutCancelledType, "The account took its opt-out back.", nil},
		{"opt_out_effective", risc.OptOutEffectiveType, "The account no longer takes part in the exchange of events.", nil},
	}
}

func caepNames() []NamedEvent {
	return []NamedEvent{
		{"session.revoked", caep.SessionRevokedType, "The session, or all that the subject matches, were ended.", common()},
		{
			"claims.changed", caep.TokenClaimsChangeType, "Claims of the token have new values.",
			common(Member{Name: "claims", Target: "claims", Kind: KindObject, Required: true}),
		},
		{
			"credential.changed", caep.CredentialChangeType, "A credential was created, changed, revoked or deleted.",
			common(
				required("credential_type"),
				required("change_type", caep.ChangeCreate, caep.ChangeRevoke, caep.ChangeUpdate, caep.ChangeDelete),
				optional("friendly_name", KindText), optional("x509_issuer", KindText),
				optional("x509_serial", KindText), optional("fido2_aaguid", KindText),
			),
		},
		{
			"assurance.changed", caep.AssuranceLevelChangeType, "The strength of the authentication or the identity changed.",
			common(
				required("namespace"), required("current_level"), optional("previous_level", KindText),
				optional("change_direction", KindText, caep.DirectionIncrease, caep.DirectionDecrease),
			),
		},
		{
			"device.compliance_changed", caep.DeviceComplianceChangeType, "The device began or ceased to comply.",
			common(
				required("previous_status", caep.Compliant, caep.NotCompliant),
				required("current_status", caep.Compliant, caep.NotCompliant),
			),
		},
		{
			"session.established", caep.SessionEstablishedType, "A session began.",
			common(
				optional("fp_ua", KindText), optional("acr", KindText),
				optional("amr", KindList), optional("ext_id", KindText),
			),
		},
		{
			"session.presented", caep.SessionPresentedType, "The session was seen in use.",
			common(optional("fp_ua", KindText), optional("ext_id", KindText)),
		},
		{
			"risk.changed", caep.RiskLevelChangeType, "The assessed risk of the subject changed.",
			common(
				optional("risk_reason", KindText), required("principal"),
				required("current_level", caep.RiskLow, caep.RiskMedium, caep.RiskHigh),
				optional("previous_level", KindText, caep.RiskLow, caep.RiskMedium, caep.RiskHigh),
			),
		},
	}
}

// common returns members and those that every CAEP event has (CAEP §2).
func common(members ...Member) []Member {
	return append(members,
		optional(memberTimestamp, KindTime),
		optional(memberInitiator, KindText, caep.InitiatedByAdmin, caep.InitiatedByUser, caep.InitiatedByPolicy, caep.InitiatedBySystem),
		optional("reason_admin", KindTexts),
		optional("reason_user", KindTexts),
	)
}

const (
	memberTimestamp = "event_timestamp"
	memberInitiator = "initiating_entity"
)

func required(name string, values ...string) Member {
	return Member{Name: name, Target: name, Kind: KindText, Required: true, Values: values}
}

func optional(name string, kind Kind, values ...string) Member {
	return Member{Name: name, Target: name, Kind: kind, Values: values}
}
