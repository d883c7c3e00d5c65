// Package auth decides who may do what at a transmitter (SSF §8, CAEP
// interoperability profile §2.7).
//
// An [Application] is one relying party: it owns streams, consents and webhooks
// and has 1..n [Client] credentials. A client that writes events is bound to a
// [Source] (contracts.md §1). [Store] keeps them in admin.db. An
// [Authenticator] turns the Authorization header of a request into a
// [Principal], serves the token endpoint (RFC 6749 §4.4) and the revocation
// endpoint (RFC 7009).
//
// A client authenticates there with its secret, with a JWT that it signs with a key
// of its own (private_key_jwt, RFC 7523; [Backend] remembers which were used), or with
// the certificate of its connection (mutual TLS, RFC 8705), to which its tokens are bound.
//
// Secrets and static tokens are 256 random bits, shown once and kept as their
// SHA-256. Access tokens are RFC 9068 JWTs signed with the transmitter's key.
package auth

import (
	"errors"
	"log/slog"
	"time"
)

// Errors of the [Store] that callers branch on.
var (
	// ErrNotFound: no such application or client.
	ErrNotFound = errors.New("auth: not found")
	// ErrExists: the id or an audience value is taken.
	ErrExists = errors.New("auth: already exists")
	// ErrChanged: somebody else changed it meanwhile.
	ErrChanged = errors.New("auth: changed meanwhile")
	// ErrUsed: the assertion was used before.
	ErrUsed = errors.New("auth: the assertion was used before")
	// ErrTooMany: the client has as many assertions that are still good as it may.
	ErrTooMany = errors.New("auth: too many assertions of the client are still good")
	// ErrRemoved: the id is that of an application that was removed.
	ErrRemoved = errors.New("an application of this id was removed, and its id is not used again")
)

// InvalidError says which member of an [Application] or [Client] cannot be
// accepted, and why.
type InvalidError struct {
	Member      string
	Description string
}

// Error names the member and the reason.
func (e *InvalidError) Error() string { return "auth: " + e.Member + ": " + e.Description }

// Application is one relying party (tenant, SSF receiver).
type Application struct {
	// ID is 1 to [MaxIDBytes] characters of RFC 3986's unreserved set. It is
	// the owner of the application's streams.
	ID string
	// Name is for people, up to [MaxNameBytes]; empty if none.
	Name string
	// Audience is the aud of the application's SETs: 1 to [MaxAudience]
	// values. A value belongs to one application only, so that no SET for one
	// is valid at another.
	Audience []string
	// SubjectFormat is the preferred format of subject identifiers
	// (RFC 9493); empty: none.
	SubjectFormat string
	// Profile is that of the streams it makes (transmitter/profile), up to
	// [MaxProfileBytes]; empty: SETs leave in the current form.
	Profile string
	// Encryption is that of the streams it makes, as their stores keep it, up to
	// [MaxEncryptionBytes]; empty: SETs leave signed alone. Public keys alone are in it.
	Encryption string
	// Created is set by the store, in whole milliseconds.
	Created time.Time
}

// Client is one credential of an application.
type Client struct {
	// ID is the client_id: 1 to [MaxIDBytes] characters of RFC 3986's
	// unreserved set.
	ID string
	// Application is the id of the application it belongs to.
	Application string
	// Scopes are what its tokens may at most be good for; at least one.
	Scopes []Scope
	// Static: it was given an access token without end, besides its secret.
	Static bool
	// JWKS are the public keys with which it authenticates (private_key_jwt, RFC
	// 7523), a JWKS document of up to [MaxJWKSBytes]; JWKSURI is where it publishes
	// them instead. With either it has no secret.
	JWKS    []byte
	JWKSURI string
	// Certificate says by which certificates it authenticates (mutual TLS, RFC 8705);
	// nil: by none. It has no secret then, and its tokens are bound.
	Certificate *Certificate
	// BoundTokens: its tokens are good on connections with the certificate alone that it
	// had when it got them (RFC 8705 §3), in whichever way it authenticates.
	BoundTokens bool
	// External: its tokens are of another issuer ([External]); it has no secret.
	External bool
	// Rotated is when its secret, static token or keys were replaced last, zero if
	// never; OldUntil until when those before are good beside the new ones, zero if
	// there are none. Set by the store.
	Rotated, OldUntil time.Time
	// Environment binds it to one environment of its application: it reads that
	// environment's events alone, and what it writes is of it. Empty: none,
	// and all are read.
	Environment string
	// Source binds what it writes. Nil for a client that may write events
	// means a source that bears the client's id and is bound to nothing.
	Source *Source
	// Created is set by the store, in whole milliseconds.
	Created time.Time
}

// Source is what a credential may speak for when it writes events
// (contracts.md §1). In its lists nil means all, empty means none.
type Source struct {
	// Name goes into the event record. It comes from the credential, never
	// from a request. Credentials that share it are one source: they have the
	// same Applications and the same environment.
	Name string `json:"name"`
	// EventTypes are the event type URIs it may write.
	EventTypes []string `json:"event_types"`
	// SubjectIssuers are the iss values of the subjects it may speak of.
	SubjectIssuers []string `json:"subject_issuers"`
	// Applications are the ids of those its events are for.
	Applications []string `json:"applications"`
	// Consents are the applications of ours whose consent gate the source's
	// records of consent drive, by the name that the application has at the
	// source (VendorSource alone); nil: none.
	Consents map[string]string `json:"consents,omitempty"`
	// Environment is that of its events: the client's.
	Environment string `json:"-"`
}

// Principal is who sent a request: exactly one application (SSF-8-03). It is
// shared between requests and must not be changed.
type Principal struct {
	// Client is the client_id.
	Client string
	// Application is the owner id: nothing that belongs to another
	// application is visible to the principal.
	Application string
	// Environment is the only one whose events are visible; empty: all are.
	Environment string
	// Audience, Profile and Encryption are the application's.
	Audience            []string
	Profile, Encryption string
	// Scopes are the token's, as far as the client still has them.
	Scopes []Scope
	// Source is set if the principal may write events, else nil.
	Source *Source
}

// Allows reports whether p may do all that scope s stands for.
func (p *Principal) Allows(s Scope) bool { return p != nil && covers(defaultRules, p.Scopes, s) }

// LogValue logs ids alone.
func (p *Principal) LogValue() slog.Value {
	if p == nil {
		return slog.StringValue("none")
	}
	return slog.GroupValue(slog.String("client", p.Client), slog.String("application", p.Application))
}

// Credentials are a new client's secrets. They are shown once and cannot be
// read again.
type Credentials struct {
	ClientID string `json:"client_id"`
	// Secret is empty for clients that authenticate with a key.
	Secret string `json:"client_secret,omitempty"`
	// AccessToken is set for static clients.
	AccessToken string `json:"access_token,omitempty"`
}

// String hides the secrets.
func (c Credentials) String() string { return "credentials of " + c.ClientID }

// LogValue hides the secrets.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }
