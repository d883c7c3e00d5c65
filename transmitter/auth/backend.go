package auth

import (
	"context"
	"time"
)

// Backend keeps what a [Store] decides on, on an engine: the store has the rules, the
// backend none. Durable on return; safe for concurrent use. Changes by another process
// that has the same backend are seen by the next call.
type Backend interface {
	// Read runs fn on what is kept. fn must not change anything.
	Read(ctx context.Context, fn func(*Tx) error) error
	// Write runs fn and makes durable what it changed, all in one step and as if
	// nobody else changed anything meanwhile; nothing if fn returns an error, which
	// Write returns. fn may be run more than once, of which the last counts: it has
	// no other effect. It reads before it changes.
	Write(ctx context.Context, fn func(*Tx) error) error
	// Holder returns who has a credential, or that nothing changed of the holder
	// since known, a Holder's Stamp; zero: nothing is known. One exchange with the
	// engine. Error: [ErrNotFound].
	Holder(ctx context.Context, c Credential, known uint64) (Holder, error)
	// Revoke remembers the jti of an access token until the token expires.
	Revoke(ctx context.Context, jti string, expires, now time.Time) error
	// UseAssertion remembers until it expires that a client has used an assertion,
	// which is told by a digest. Errors: [ErrUsed] if it had before; [ErrTooMany] if
	// [MaxAssertions] of the client are still good.
	UseAssertion(ctx context.Context, client string, assertion []byte, expires, now time.Time) error
	// SavePlace keeps the place of a vendor's source. Error: [ErrNotFound] if there
	// is none of that name and registration.
	SavePlace(ctx context.Context, name, registration string, place []byte) error
	// Watch calls changed when another process may have changed the vendors'
	// sources, within a second, until ctx ends. Then it returns nil.
	Watch(ctx context.Context, changed func()) error
	// Close ends the use of the engine. A second call does nothing.
	Close() error
}

// Tx is what a function of [Backend] reads and changes.
type Tx struct {
	// Applications are listed by ByAudience. With one, its clients and webhooks
	// are deleted, and Removed is told its id from then on.
	Applications Table[Application]
	// Clients are listed by ByApplication and ByFeed.
	Clients Table[Registration]
	// Vendors have their places, which Put leaves as they are.
	Vendors Table[Vendor]
	// Webhooks are listed by ByApplication.
	Webhooks Table[Webhook]
	// Removed reports whether an application of that id was deleted.
	Removed func(id string) (bool, error)
}

// Table is what is kept of one kind, by id or name.
type Table[T any] interface {
	// Get returns the one of that key. Error: [ErrNotFound].
	Get(key string) (T, error)
	// List returns those that the index has under value, in order of creation, then
	// of their keys; webhooks application by application.
	List(by Index, value string) ([]T, error)
	// Put adds the one, or replaces that of its key.
	Put(one T) error
	// Delete removes the one of that key. Error: [ErrNotFound].
	Delete(key string) error
}

// Index says what a [Table] is listed by.
type Index int

// The indexes.
const (
	All           Index = iota // whatever the value
	ByApplication              // the application's id
	ByAudience                 // a value of the audience: one at most has it
	ByFeed                     // the name of the source; a client without one is listed under its id
)

// Credential is what somebody is known by.
type Credential struct {
	// Static is the digest of a static token, or of one that was replaced; else nil.
	Static []byte
	// Client is the id of a client, where Static is nil.
	Client string
	// TokenID is the jti of the client's access token; empty: none.
	TokenID string
}

// Holder is who has a [Credential].
type Holder struct {
	// Same: nothing changed since the stamp that was known. Then nothing else is set.
	Same bool
	// Revoked: the access token was revoked.
	Revoked bool
	Registration
	// Audience, Profile and Encryption are the application's.
	Audience            []string
	Profile, Encryption string
	// Stamp is another one after each change of the client, its application or the
	// credential. Never zero.
	Stamp uint64
}

// Registration is a client with what is never shown.
type Registration struct {
	Client
	// Number tells it from an earlier client of its id.
	Number string
	// Secret and StaticToken are digests. Secret is nil if the client authenticates
	// with a key, StaticToken if there is none, or it was revoked.
	Secret, StaticToken []byte
	// OldSecret and OldStaticToken are those before, good until OldUntil; nil: none.
	OldSecret, OldStaticToken []byte
}

// Vendor is a vendor's source with what is never shown: its SignatureSecret and the
// Secret of its API are set.
type Vendor struct {
	VendorSource
	// Registration tells it from an earlier source of its name.
	Registration string
	// Secret and OldSecret, good until OldUntil, are digests; nil: none.
	Secret, OldSecret []byte
	OldUntil          time.Time
	// Place is JSON; nil: none yet. Put does not change it.
	Place []byte
}

// feed returns the name of the source that the client's events are of, if it may
// write some.
func (c *Client) feed() string {
	if c.Source != nil {
		return c.Source.Name
	}
	return c.ID
}
