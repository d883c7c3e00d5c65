package mapping

import (
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// FormatIDme is the format of ID.me's event records.
const FormatIDme = "idme"

// idmeIssuer is the iss of the SETs that ID.me itself sends.
const idmeIssuer = "https://events.id.me"

// The members of an ID.me record that are read; all are strings.
const (
	memberEvent      = "event"
	memberIdentifier = "identifier"
	memberEmail      = "email"
	memberSession    = "session"
	memberTracked    = "tracked_at"
)

func idmeFormat() *format {
	return &format{name: FormatIDme, issuer: idmeIssuer, rules: map[string]Rule{}, head: idmeHead, user: idmeUser}
}

// idmeHead reads what happened and when. The record has no id of its own.
func idmeHead(fields []field, r *Record) (err error) {
	if r.Handle, err = handleOf(fields, memberEvent); err != nil {
		return err
	}
	r.Time, err = timeOf(fields, memberTracked)
	return err
}

// idmeUser reads the user, (issuer, identifier) and the e-mail address, and the
// session.
func idmeUser(f *format, fields []field, r *Record) (session string, err error) {
	identifier, err := optionalText(fields, memberIdentifier)
	if err != nil {
		return "", err
	}
	if identifier != "" {
		id := subject.IssSub(f.issuer, identifier)
		if id.Validate() != nil {
			return "", &Error{memberIdentifier, "cannot be an identifier"}
		}
		r.Subjects = append(r.Subjects, id)
	}
	email, err := optionalText(fields, memberEmail)
	if err != nil {
		return "", err
	}
	if id := subject.Email(email); email != "" && id.Validate() == nil {
		r.Subjects = append(r.Subjects, id)
	}
	return optionalText(fields, memberSession)
}

// idmeHandles are ID.me's handles. Where a default only records although an
// event is thinkable, the comment says what a rule in Config.Rules could be.
func idmeHandles() []Handle {
	endedBy := func(who string) Rule {
		return Rule{Event: "session.revoked", Subject: FormSession, Set: map[string]string{memberInitiator: who}}
	}
	only := Rule{}
	disabled, enabled := Rule{Event: "account.suspended"}, Rule{Event: "account.reinstated"}
	password := Rule{Event: "credential.changed", Set: map[string]string{
		"credential_type": caep.CredentialPassword, "change_type": caep.ChangeUpdate,
	}}
	// The record has one address and ID.me does not say which; it is taken
	// for the former one. The new one is sent only if a rule names its member.
	identifier := Rule{Event: "identifier.changed", Subject: FormEmail}
	return []Handle{
		idme("2fa.initiate", "second factor: method chosen", only),
		idme("2fa.options", "second factor: methods shown", only),
		idme("2fa.delivery", "second factor: code sent", only),
		idme("2fa.response", "second factor: code entered", only),
		idme("2fa.complete", "second factor: done", only), // assurance.changed, if its level is agreed on
		idme("2fa.download", "recovery code downloaded", only),
		idme("2fa.revoke", "second factor revoked", only), // credential.changed, delete: the record does not tell the credential_type
		idme("2fa.recovery.delivery", "mail sent after a request to change the second factor", only),
		idme("2fa.recovery.confirm", "link in that mail followed", Rule{Event: "recovery.information_changed"}),
		idme("2fa.recovery.complete", "recovery code used", Rule{Event: "recovery.activated"}),
		idme("2fa.recovery.failure", "recovery data could not be validated", only),
		idme("account.agreement", "agreement accepted", only),
		idme("account.lockout.delivery", "mail about a lockout sent", only),
		idme("account.password.change", "password changed", password),
		idme("account.password.complete", "password reset done", password),
		idme("account.password.delivery", "password mail sent", only),
		idme("account.password.failure", "password change failed", only),
		idme("account.password.response", "password mail answered", only),
		idme("appointment.continue", "appointment continued", only),
		idme("appointment.options", "appointment options shown", only),
		idme("appointment.schedule", "appointment made", only),
		idme("appointment.start", "appointment begun", only),
		idme("appointment.view", "appointment viewed", only),
		idme("consent.allow", "consent given", Rule{Event: "opt_in"}),
		idme("consent.deny", "consent denied", only),
		idme("consent.revoke", "consent revoked", Rule{Event: "opt_out_initiated"}),
		idme("email.create", "e-mail address added", only),
		idme("email.primary", "primary e-mail address changed", identifier),
		idme("email.remove", "e-mail address removed", only), // recovery.information_changed, if it served recovery
		idme("email.account.confirm", "account e-mail confirmed", only),
		idme("email.account.delivery", "account e-mail sent", only),
		idme("email.confirmation.complete", "e-mail address confirmed", only),
		idme("email.confirmation.delivery", "confirmation mail sent", only),
		idme("email.wallet.change", "wallet's e-mail address changed", identifier),
		idme("email.wallet.confirm", "wallet's e-mail address confirmed", only),
		idme("federation.connect", "federated account connected", only),
		idme("federation.remove", "federated account removed", only),
		idme("federation.confirmation.complete", "federation confirmed", only),
		idme("federation.confirmation.delivery", "federation mail sent", only),
		idme("session.signin", "signed in", only), // session.established: off for its volume
		idme("session.signout", "signed out", endedBy(caep.InitiatedByUser)),
		idme("session.signup", "signed up", only), // session.established: off for its volume
		idme("session.failed", "sign-in failed", only),
		idme("session.limited", "session limited", only),
		idme("session.suspended", "session suspended", only),
		idme("session.timeout", "session timed out", endedBy(caep.InitiatedBySystem)),
		idme("session.revoked", "session revoked", Rule{Event: "session.revoked", Subject: FormSession}), // by whom is not said
		idme("session.lockout.applied", "attempts locked out", only),
		idme("session.lockout.expired", "lockout of attempts over", only),
		idme("status.lockout.applied", "account locked", disabled),
		idme("status.lockout.removed", "account unlocked", enabled),
		idme("status.suspension.applied", "account suspended", disabled),
		idme("status.suspension.removed", "account reinstated", enabled),
		idme("status.revocation.requested", "revocation requested", only),
		idme("status.revocation.applied", "account revoked", disabled),
		idme("status.revocation.removed", "revocation removed", enabled),
		idme("status.purge.applied", "account deleted", Rule{Event: "account.deleted"}),
		idme("transaction.complete", "transaction done", only),
		idme("verification.initiate", "verification begun", only),
		idme("verification.options", "verification options shown", only),
		idme("verification.progress", "verification in progress", only),
		idme("verification.complete", "verification done", only), // assurance.changed, NIST-IAL: the record does not tell the level
	}
}

func idme(handle, meaning string, rule Rule) Handle {
	return Handle{Format: FormatIDme, Handle: handle, Meaning: meaning, Rule: rule}
}
