// Package keys keeps the transmitter's signing keys (SSF §7.1 jwks_uri,
// contracts.md §6): made, stored, published, rotated, retired.
//
// A [Ring] has one current key, which signs, and older ones, which stay
// published until they are retired, so that what they signed verifies
// meanwhile. A rotation takes effect in the running process at once, and within
// a second in others that have the same store ([Shared]).
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// Overlap is the least time between a key's last signature and its
	// retirement: SETs in flight and cached key sets are done by then
	// (contracts.md §6).
	Overlap = 24 * time.Hour
	// MaxKeys bounds the keys of a ring.
	MaxKeys = 32

	// saveEvery keeps the marks of last use durable within a minute.
	saveEvery = 30 * time.Second
	// lookEvery is how soon a change by another process is seen.
	lookEvery = 400 * time.Millisecond
	// lookTime bounds one look that somebody waits for.
	lookTime = 250 * time.Millisecond
	// lostMarks is what is added to Overlap where others sign too: one that
	// crashed may have signed since its last mark, and before it saw the rotation.
	lostMarks = time.Minute

	typeSET         = "secevent+jwt" // RFC 8417 §2.3
	typeAccessToken = "at+jwt"       // RFC 9068 §2.1
	typeJWT         = "JWT"          // for receivers that do not know typeSET
)

// Errors that callers branch on.
var (
	// ErrNotFound: no such key.
	ErrNotFound = errors.New("keys: not found")
	// ErrCurrent: the key signs; rotate first.
	ErrCurrent = errors.New("keys: key is the current one")
	// ErrTooSoon is matched by every [TooSoonError].
	ErrTooSoon = errors.New("keys: too soon to retire")
	// ErrFull: the ring has [MaxKeys] keys; retire old ones first.
	ErrFull = errors.New("keys: too many keys")
	// ErrChanged: another process rotated meanwhile.
	ErrChanged = errors.New("keys: another key is the current one by now")
)

// TooSoonError says when a key may be retired.
type TooSoonError struct{ After time.Time }

// Error names the time.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("%v: the key may be retired after %s", ErrTooSoon, e.After.UTC().Format(time.RFC3339))
}

// Unwrap returns [ErrTooSoon].
func (e *TooSoonError) Unwrap() error { return ErrTooSoon }

// Key describes one key of a ring, without its secret.
type Key struct {
	ID        string         `json:"kid"`
	Algorithm jose.Algorithm `json:"alg"`
	Created   time.Time      `json:"created,omitzero"`
	// LastUsed is the time of its latest signature; of a key that never
	// signed, the time it was made. Exact to the second.
	LastUsed time.Time `json:"last_used,omitzero"`
	// Current marks the key that signs.
	Current bool `json:"current"`
	// Next marks the key that signs next: it is published already.
	Next bool `json:"next,omitempty"`
	// Elsewhere marks a key whose private half is held by a signer.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Announced marks a key that a signer has and that never signed: it is published,
	// and a rotation may take it. It is not stored, and its times are those of nothing.
	Announced bool `json:"announced,omitempty"`
}

// Record is a key as it is stored.
type Record struct {
	Key
	// Private is the key as a private JWK, or encrypted (Config.Vault), or a note that
	// it is held elsewhere. It is for storage alone.
	Private []byte `json:"-"`
}

// String shows kid and algorithm alone.
func (r Record) String() string { return fmt.Sprintf("key %s (%s)", r.ID, r.Algorithm) }

// LogValue shows kid and algorithm alone.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kid", r.ID), slog.String("alg", string(r.Algorithm)))
}

// Store keeps the keys of a ring. Durable on return; safe for concurrent use.
// The suite of the contract is keystest.
type Store interface {
	// Keys returns all keys, oldest first, the current one last, and the next one, if
	// there is one, behind it.
	Keys(ctx context.Context) ([]Record, error)
	// Add adds r as the current key in place of before ("": there is none),
	// whose last use becomes replaced, unless it is later already; if there is a next
	// key it is removed: who rotates by hand may know why. All in one
	// step. Errors: [ErrChanged] if another key than before is current,
	// [ErrFull] if there are [MaxKeys].
	Add(ctx context.Context, r Record, before string, replaced time.Time) error
	// Announce adds r as the next key beside current. Errors: [ErrChanged] if another
	// key than current is, or there is a next one; [ErrFull].
	Announce(ctx context.Context, r Record, current string) error
	// Promote makes the next key, kid, the current one in place of before, and the last
	// use of both at, unless it is later already. Error: [ErrChanged] if they are not.
	Promote(ctx context.Context, kid, before string, at time.Time) error
	// Replace puts another form of the private half of a key in the place of from.
	// Error: [ErrChanged] if that is not there.
	Replace(ctx context.Context, kid string, from, to []byte) error
	// Mark sets the last use of keys by kid, never back: of the marks of several
	// processes the latest counts. An unknown kid is ignored.
	Mark(ctx context.Context, used map[string]time.Time) error
	// Remove erases the key, if its last use is not after unused; a zero unused
	// is for whatever use. An unknown kid is ignored. Errors: [ErrCurrent],
	// [ErrTooSoon].
	Remove(ctx context.Context, kid string, unused time.Time) error
}

// Shared is a [Store] that several processes have at once.
type Shared interface {
	Store
	// Version is another one after each Add, Announce, Promote and Remove by whomever. It
	// is cheap.
	Version(ctx context.Context) (uint64, error)
}
