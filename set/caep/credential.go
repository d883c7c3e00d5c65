package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// The values of [CredentialChange.CredentialType] that CAEP §3.3 lists; others may
// be agreed on.
const (
	CredentialPassword             = "password"
	CredentialPIN                  = "pin"
	CredentialX509                 = "x509"
	CredentialFIDO2Platform        = "fido2-platform"
	CredentialFIDO2Roaming         = "fido2-roaming"
	CredentialFIDOU2F              = "fido-u2f"
	CredentialVerifiableCredential = "verifiable-credential"
	CredentialPhoneVoice           = "phone-voice"
	CredentialPhoneSMS             = "phone-sms"
	CredentialApp                  = "app"
)

// The values of [CredentialChange.ChangeType].
const (
	ChangeCreate = "create"
	ChangeRevoke = "revoke"
	ChangeUpdate = "update"
	ChangeDelete = "delete"
)

// CredentialChange tells that a credential of the subject was created, changed,
// revoked or deleted (CAEP §3.3).
type CredentialChange struct {
	CredentialType string `json:"credential_type"` // required; see [CredentialPassword] and its like
	ChangeType     string `json:"change_type"`     // required; create, revoke, update or delete
	FriendlyName   string `json:"friendly_name,omitempty"`
	X509Issuer     string `json:"x509_issuer,omitempty"`
	X509Serial     string `json:"x509_serial,omitempty"`
	FIDO2AAGUID    string `json:"fido2_aaguid,omitempty"`
	OptionalClaims
}

// EventType returns [CredentialChangeType].
func (CredentialChange) EventType() string { return CredentialChangeType }

func (e *CredentialChange) members() []payload.Member {
	return append([]payload.Member{
		payload.Required("credential_type", &e.CredentialType),
		payload.Required("change_type", &e.ChangeType, ChangeCreate, ChangeRevoke, ChangeUpdate, ChangeDelete),
		payload.Optional("friendly_name", &e.FriendlyName),
		payload.Optional("x509_issuer", &e.X509Issuer),
		payload.Optional("x509_serial", &e.X509Serial),
		payload.Optional("fido2_aaguid", &e.FIDO2AAGUID),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e CredentialChange) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e CredentialChange) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *CredentialChange) UnmarshalJSON(data []byte) error {
	*e = CredentialChange{}
	return payload.Decode(data, e.members(), &e.Extra)
}
