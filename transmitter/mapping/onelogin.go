package mapping

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// FormatOneLogin is the format of OneLogin's event records: those of its API
// (also inside the envelope of get-by-id) and of its Event Broadcaster. A
// record's handle is its event_type_id in decimal.
const FormatOneLogin = "onelogin"

// oneLoginIssuer and the account's id are the iss of its users, unless configured.
const oneLoginIssuer = "urn:onelogin:account:"

// The members of a OneLogin record that are read. Names of users, apps and
// devices are for display and identify nothing.
const (
	memberID          = "id"
	memberUUID        = "uuid"
	memberKind        = "event_type_id"
	memberAccount     = "account_id"
	memberUserID      = "user_id"
	memberActor       = "actor_user_id"
	memberActorSystem = "actor_system"
	memberAssuming    = "assuming_acting_user_id"
	memberCreated     = "created_at"
	memberBroadcast   = "event_timestamp"
	memberRiskScore   = "risk_score"
	memberRiskReasons = "risk_reasons"
)

func oneLoginFormat() *format {
	return &format{
		name: FormatOneLogin, rules: map[string]Rule{}, unwrap: unwrapped,
		head: oneLoginHead, user: oneLoginUser, initiator: oneLoginInitiator, risk: oneLoginRisk,
	}
}

func oneLoginHead(fields []field, r *Record) (err error) {
	if r.ID, err = numberOf(fields, memberID); err != nil {
		return err
	}
	if r.ID == "" {
		if id, err := optionalText(fields, memberUUID); err == nil && len(id) <= maxRecordID {
			r.ID = id
		}
	}
	if r.Handle, err = numberOf(fields, memberKind); err != nil {
		return err
	}
	if r.Handle == "" {
		return &Error{memberKind, "is missing"}
	}
	created := memberCreated
	if find(fields, created) == nil {
		created = memberBroadcast
	}
	r.Time, err = timeOf(fields, created)
	return err
}

// oneLoginUser reads the user, (issuer, user_id).
func oneLoginUser(f *format, fields []field, r *Record) (session string, err error) {
	user, err := numberOf(fields, memberUserID)
	if err != nil || user == "" {
		return "", err
	}
	issuer := f.issuer
	if issuer == "" {
		account, err := numberOf(fields, memberAccount)
		if err != nil {
			return "", err
		}
		if account == "" {
			return "", &Error{memberAccount, "is missing"}
		}
		issuer = oneLoginIssuer + account
	}
	r.Subjects = []subject.Identifier{subject.IssSub(issuer, user)}
	return "", nil
}

// oneLoginInitiator tells who acted: a system, the user, or another user (an
// administrator). Someone who assumed the actor is the one who acted. Both a
// user and a system, or neither, is no answer.
func oneLoginInitiator(fields []field) string {
	system, _ := optionalText(fields, memberActorSystem)
	actor, _ := numberOf(fields, memberActor)
	if assuming, err := numberOf(fields, memberAssuming); err == nil && assuming != "" {
		actor = assuming
	}
	user, _ := numberOf(fields, memberUserID)
	switch {
	case (system == "") == (actor == ""):
		return ""
	case system != "":
		return caep.InitiatedBySystem
	case actor == user:
		return caep.InitiatedByUser
	}
	return caep.InitiatedByAdmin
}

// oneLoginHandles are the type ids that are documented; the vendor has more and
// tells them by its types call. Add those to Config.Rules.
func oneLoginHandles() []Handle {
	only := Rule{}
	disabled := Rule{Event: "account.suspended"}
	password := Rule{Event: "credential.changed", Set: map[string]string{
		"credential_type": caep.CredentialPassword, "change_type": caep.ChangeUpdate,
	}}
	return []Handle{
		oneLogin("1", "app added to role", only), // claims.changed, if the new claims are known
		oneLogin("2", "app removed from role", only),
		oneLogin("3", "actor assumed user", only),
		oneLogin("4", "role assigned to user", only),
		oneLogin("5", "user logged in to OneLogin", only), // session.established: off for its volume
		oneLogin("6", "user failed authentication", only),
		oneLogin("7", "user logged out of OneLogin", Rule{Event: "session.revoked"}),
		oneLogin("8", "user logged in to an app", only), // session.presented
		oneLogin("11", "actor changed a user's password", password),
		oneLogin("12", "user unlocked", Rule{Event: "account.reinstated"}),
		oneLogin("13", "user created", only),
		oneLogin("15", "user deactivated", disabled),
		oneLogin("17", "user deleted", Rule{Event: "account.deleted"}),
		oneLogin("19", "user locked", disabled),
		oneLogin("24", "user's OTP device removed", only), // credential.changed, delete: the record does not tell the credential_type
		oneLogin("69", "user rejected by RADIUS", only),
		oneLogin("172", "user deleted an authentication factor", only), // as 24
		oneLogin("211", "password changed by an administrator", password),
		oneLogin("531", "locked through the API", disabled),
		oneLogin("532", "locked through the API", disabled),
		oneLogin("551", "suspended through the API", disabled),
		oneLogin("553", "locked through the API", disabled),
	}
}

func oneLogin(id, meaning string, rule Rule) Handle {
	return Handle{Format: FormatOneLogin, Handle: id, Meaning: meaning, Rule: rule}
}

// oneLoginRisk returns the score, 0 to 100, and its reasons.
func oneLoginRisk(fields []field) (score int, reasons string, ok bool) {
	if json.Unmarshal(find(fields, memberRiskScore), &score) != nil || score < 0 || score > maxRisk {
		return 0, "", false
	}
	reasons, _ = optionalText(fields, memberRiskReasons)
	return score, reasons, true
}
