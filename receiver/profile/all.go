package profile

import (
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// Event types that vendors send under URIs of their own. They come through whole, with
// their payload, under these.
const (
	// OAuthTokensRevokedType: all tokens of a user, Google.
	OAuthTokensRevokedType = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	// OAuthTokenRevokedType: one token, named by the subject's token_type,
	// token_identifier_alg (prefix or hash_base64_sha512_sha512) and token; Google.
	OAuthTokenRevokedType = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"

	LoginGovAuthorizationFraudType = "https://schemas.login.gov/secevent/risc/event-type/authorization-fraud-detected"
	LoginGovIdentityFraudType      = "https://schemas.login.gov/secevent/risc/event-type/identity-fraud-detected"

	OktaUserRiskType   = "https://schemas.okta.com/secevent/okta/event-type/user-risk-change"
	OktaDeviceRiskType = "https://schemas.okta.com/secevent/okta/event-type/device-risk-change"
	OktaIPChangeType   = "https://schemas.okta.com/secevent/okta/event-type/ip-change"
)

// riscConfiguration is where metadata was before SSF.
const riscConfiguration = "/.well-known/risc-configuration"

// all returns the profiles. What each is taken from stands in docs/tolerances.md.
func all() []Profile {
	return []Profile{
		{
			Name: "okta", Title: "Okta as transmitter", PushOnly: true,
			Tolerances: set.Tolerances{SubjectInEvent: true, ComplexWithoutFormat: true},
			EventTypes: []string{caep.SessionRevokedType, caep.CredentialChangeType, OktaUserRiskType, OktaDeviceRiskType, OktaIPChangeType},
			Notes: []string{
				"The issuer is https://{org}.okta.com.",
				"session-revoked names its user in a complex subject, credential-change in a simple one.",
				`A changed password is credential-change with change_type "revoke" and friendly_name "PASSWORD_AS_FACTOR".`,
			},
		},
		{
			Name: "google-risc", Title: "Google, Cross-Account Protection", Issuer: "https://accounts.google.com/",
			MetadataPath: riscConfiguration, Static: true, PushOnly: true,
			Tolerances: set.Tolerances{
				IssuerSlash: true, SubjectInEvent: true, SubjectTypeAlias: true, TypJWT: true,
				LegacyVerificationURI: true, LegacyDeliveryURI: true,
			},
			EventTypes: []string{
				risc.SessionsRevokedType, OAuthTokensRevokedType, OAuthTokenRevokedType, risc.AccountDisabledType, risc.AccountEnabledType,
				risc.AccountCredentialChangeRequiredType, ssf.VerificationType,
			},
			Notes: []string{
				"The audience is each client ID of the project.",
				"The stream is set up by Google's own API (stream:update), not by that of SSF.",
				"Nothing is kept for a stream that is disabled.",
			},
		},
		{
			Name: "google-workspace", Title: "the form that Google Workspace takes",
			EventTypes: []string{caep.SessionRevokedType},
			Notes:      []string{"The same subject in both places, which CAEP events may have, needs no switch."},
		},
		{
			Name: "apple-business", Title: "the forms that are sent to Apple Business and School Manager",
			Tolerances: set.Tolerances{SubjectInEvent: true, ComplexWithoutFormat: true, EmptyEventBody: true, LegacyDeliveryURI: true},
			EventTypes: []string{caep.SessionRevokedType, caep.CredentialChangeType},
		},
		{
			Name: "keycloak", Title: "Keycloak", OneStream: true, PollPause: 5 * time.Second, PushDelay: 30 * time.Second,
			Tolerances: set.Tolerances{NullMembers: true},
			Notes: []string{
				"The issuer is the URL of the realm.",
				`Signing out everywhere names the session "ALL": every session of the user.`,
				"A session that expires is not told.",
			},
		},
		{
			Name: "authentik", Title: "authentik", PushOnly: true,
			Tolerances: set.Tolerances{TypJWT: true, SubjectInEvent: true, ComplexWithoutFormat: true, NullMembers: true, LegacyDeliveryURI: true},
			EventTypes: []string{caep.SessionRevokedType, caep.CredentialChangeType, ssf.VerificationType},
			Notes: []string{
				"The issuer in its metadata is the URL of the document.",
				"It has no endpoints for status, subjects and verification.",
				"A provider that signs with HS256 is refused: give it a certificate.",
			},
		},
		{
			Name: "login.gov", Title: "login.gov", MetadataPath: riscConfiguration, Static: true, PushOnly: true,
			Tolerances: set.Tolerances{
				SubjectInEvent: true, SubjectTypeAlias: true, ExpPresent: true, NoKid: true, AudIsURLOfPush: true,
				IssuerSlash: true, LegacyErrorCodes: true,
			},
			Notes: []string{
				"The audience is the URL of the push endpoint.",
				"Its SETs name no key: while it publishes two for the algorithm none can be chosen.",
			},
		},
		{
			Name: "idme", Title: "ID.me", Issuer: "https://events.id.me", Static: true, PushOnly: true,
			Tolerances: set.Tolerances{SubjectInEvent: true, EmptyEventBody: true},
			Notes: []string{
				"The audience is what was registered by mail, byte for byte; it need not be a URL.",
				"Its keys are at a URL that is told at registration.",
				"Three retries, then an event is lost.",
			},
		},
		{
			Name: "caep.dev", Title: "the hosted transmitter of caep.dev",
			Notes: []string{"The same subject in both places, which CAEP events may have, needs no switch."},
		},
		{
			Name: "gov.uk", Title: "GOV.UK One Login", Static: true, PushOnly: true,
			Tolerances: set.Tolerances{SubjectInEvent: true, SubjectTypeAlias: true},
		},
		{
			Name: "sailpoint", Title: "SailPoint", MetadataPath: "/.well-known/v1/ssf-configuration",
		},
		{
			Name: "apple-sign-in", Title: "notifications of Sign in with Apple", Issuer: "https://appleid.apple.com",
			KeysURL: "https://appleid.apple.com/auth/keys", Static: true, PushOnly: true, Adapter: AdapterSignInWithApple,
			Tolerances: set.Tolerances{TypJWT: true, ExpPresent: true, EventsAsString: true},
			EventTypes: []string{risc.AccountPurgedType, risc.OptOutEffectiveType, risc.IdentifierChangedType},
			Notes: []string{
				"The audience is the app's identifier.",
				"They are no SETs: receiver/siwa reads them.",
				"No retry is promised.",
			},
		},
	}
}
