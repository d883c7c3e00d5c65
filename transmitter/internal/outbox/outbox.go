// Package outbox turns a queued item into the signed SET that leaves the
// house (RFC 8417, SSF §4), encrypted where its stream has a recipient's key (RFC 7519
// §11.2).
//
// All claims are a function of the record, the stream and the item's
// position, so that signing again yields the same claims (contracts.md §6).
// Signed bytes are a bounded cache, never state: a retry after a key rotation
// is signed anew, one after a change of the recipient's key encrypted to the new one.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// ErrGone: the item can never be signed. The record behind it is not in the
// log any more, or does not hold what the item points at, or what it holds
// fits into no SET.
var ErrGone = errors.New("outbox: no SET can be made of the item")

// ErrErased is an ErrGone: the event was erased after the item was put. Nothing
// of the item may be kept either, for it bears its subject.
var ErrErased = fmt.Errorf("%w: its event was erased", ErrGone)

// ErrAway: who holds the signing key does not sign. It is nobody's fault of those
// concerned: the item waits, and [Outbox.Away] tells when it is worth another try.
var ErrAway = errors.New("outbox: the signing key cannot be reached")

// Records is what the outbox asks of the log.
type Records interface {
	Record(ctx context.Context, seq uint64) (*eventlog.Record, error)
}

// Config says where records and keys come from. Records and the keys are required.
type Config struct {
	Records Records
	// Key returns the signer that signs now; JWT the same key's for streams whose
	// profile wants typ JWT (nil: there are none).
	Key, JWT func() *jose.Signer
	// Signed hears of each signature by the key's id; nil: nobody does.
	Signed func(keyID string)
	// Observe hears of each making of a SET that was not in the cache: how long the
	// signature took, and the error; nil: nobody does.
	Observe func(took time.Duration, err error)
	// Away tells whether the key signs, as [keys.Ring.Away] does; nil: it does.
	Away func() (again <-chan struct{}, why error)
	// Turns is how many SETs are signed at once; 0: one for each CPU.
	Turns int
	// Filter may change a payload before it leaves for an application
	// (SSF-10.3.2-01), always in the same way; nil: payloads leave as mapped.
	Filter func(owner, eventType string, payload []byte) []byte
	// Cache is the most signed SETs that are remembered; 0: 4096.
	Cache int
}

// Outbox signs items. Safe for concurrent use.
type Outbox struct {
	cfg   Config
	cache *cache
	to    recipients
	turns chan struct{} // held while signing
}

// SET is a signed item, ready to leave.
type SET struct {
	Compact string // a JWS, or the JWE that holds it
	// KeyID is the key that signed it.
	KeyID string
	// TransactionID is the txn: the event's id, or the jti of a control event.
	TransactionID string
	version       string // what of the bytes is not of the item: keys and profile
	// Accepted is when the event was recorded (or the control event made).
	Accepted time.Time
}

// New returns an outbox.
func New(cfg Config) *Outbox {
	if cfg.Cache == 0 {
		cfg.Cache = 4096
	}
	if cfg.Turns == 0 {
		cfg.Turns = runtime.GOMAXPROCS(0)
	}
	return &Outbox{cfg: cfg, cache: newCache(cfg.Cache), turns: make(chan struct{}, cfg.Turns)}
}

// Away returns nil while SETs can be signed, as far as is known; else a channel that is
// closed when it is worth another try.
func (o *Outbox) Away() <-chan struct{} {
	if o.cfg.Away == nil {
		return nil
	}
	again, _ := o.cfg.Away()
	return again
}

// Sign returns the signed SET of an item of stream s.
// Errors: ErrGone, ErrAway; any other is a failure of the log or of the key.
func (o *Outbox) Sign(ctx context.Context, s streams.Stream, item streams.Item) (SET, error) {
	out, took, err := o.sign(ctx, s, item)
	if o.cfg.Observe != nil && (took > 0 || err != nil) && ctx.Err() == nil {
		o.cfg.Observe(took, err)
	}
	return out, err
}

// sign returns how long the signature took; zero: there was none to make.
func (o *Outbox) sign(ctx context.Context, s streams.Stream, item streams.Item) (_ SET, took time.Duration, err error) {
	b, accepted, err := o.build(ctx, s, item)
	if err != nil {
		return SET{}, 0, err
	}
	form, err := profile.Parse(s.Profile)
	if err != nil { // it was checked before it was kept: another version's
		return SET{}, 0, fmt.Errorf("outbox: stream %s: %w", s.ID, err)
	}
	form.Apply(&b, item.Lane == streams.LaneControl)
	out := SET{TransactionID: b.TransactionID, Accepted: accepted}
	key := form.Signer(o.cfg.Key, o.cfg.JWT)()
	out.KeyID = key.KeyID()
	out.version = key.KeyID() + " " + s.Profile
	var to recipient
	if s.Encryption != "" {
		if to, err = o.to.get(s.Encryption); err != nil { // as with the profile
			return SET{}, 0, fmt.Errorf("outbox: encryption of stream %s: %w", s.ID, err)
		}
		out.version += " " + to.mark
	}
	if compact, ok := o.cache.get(item.ID, out.version); ok {
		out.Compact = compact
		return out, 0, nil
	}
	// Very many items may be due at once. Those that wait here do not stand in
	// the scheduler's way of whoever has less to do.
	select {
	case o.turns <- struct{}{}:
		defer func() { <-o.turns }()
	case <-ctx.Done():
		return SET{}, 0, fmt.Errorf("outbox: %w", ctx.Err())
	}
	began := time.Now()
	claims, err := b.Claims()
	if err != nil { // it would be the same next time
		return SET{}, 0, fmt.Errorf("%w: %w", ErrGone, err)
	}
	out.Compact, err = key.Sign(claims)
	if errors.Is(err, jose.ErrTooLarge) {
		return SET{}, 0, fmt.Errorf("%w: %w", ErrGone, err)
	}
	if errors.Is(err, keys.ErrAway) {
		return SET{}, 0, fmt.Errorf("%w: %w", ErrAway, err)
	}
	if err != nil {
		return SET{}, 0, fmt.Errorf("outbox: signing: %w", err)
	}
	if o.cfg.Signed != nil {
		o.cfg.Signed(key.KeyID())
	}
	if to.encrypter != nil {
		if out.Compact, err = to.encrypter.Encrypt(out.Compact); err != nil {
			return SET{}, 0, fmt.Errorf("outbox: encrypting: %w", err)
		}
	}
	return out, max(time.Since(began), 1), nil
}

// Keep remembers the signed bytes of an item that will be needed again: a
// push that failed, a SET that a poll has not acknowledged.
func (o *Outbox) Keep(item streams.Item, s SET) {
	o.cache.put(item.ID, signed{s.version, s.Compact, s.Accepted})
}

// Accepted returns when the event of an item was recorded (or the control event made):
// exactly if it was kept not long ago, else when the item was put.
func (o *Outbox) Accepted(item streams.Item) time.Time {
	if at, ok := o.cache.accepted(item.ID); ok {
		return at
	}
	return item.Added
}

// Forget lets go of all signed bytes, as after an erasure: what is still there
// is signed anew.
func (o *Outbox) Forget() { o.cache.clear() }

func (o *Outbox) build(ctx context.Context, s streams.Stream, item streams.Item) (set.Builder, time.Time, error) {
	b := set.Builder{Issuer: s.Issuer, Audience: s.Audience, ID: item.ID}
	if item.Lane == streams.LaneControl {
		b.IssuedAt = item.Added
		b.TransactionID = item.ID
		b.Subject = subject.Opaque(s.ID) // SSF-8.1.4.1-01
		b.Event = set.Event{Type: item.Type, Payload: item.Payload}
		return b, item.Added, nil
	}
	rec, err := o.cfg.Records.Record(ctx, item.Event().Seq)
	if errors.Is(err, eventlog.ErrNotFound) {
		return b, time.Time{}, ErrGone
	}
	if err != nil {
		return b, time.Time{}, fmt.Errorf("outbox: %w", err)
	}
	if rec.Erased {
		return b, time.Time{}, ErrErased
	}
	b, err = o.builder(s, rec, item)
	return b, rec.Recorded, err
}

// Claims returns the claims of the SET that an item of stream s becomes of a record, in the form of
// the stream's profile; nothing is signed. Error: ErrGone.
func (o *Outbox) Claims(s streams.Stream, rec *eventlog.Record, item streams.Item) ([]byte, error) {
	b, err := o.builder(s, rec, item)
	if err != nil {
		return nil, err
	}
	form, err := profile.Parse(s.Profile)
	if err != nil {
		return nil, fmt.Errorf("outbox: stream %s: %w", s.ID, err)
	}
	form.Apply(&b, false)
	claims, err := b.Claims()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return claims, nil
}

// builder returns what the SET of an item of the events lane is built of.
func (o *Outbox) builder(s streams.Stream, rec *eventlog.Record, item streams.Item) (set.Builder, error) {
	b := set.Builder{Issuer: s.Issuer, Audience: s.Audience, ID: item.ID}
	mapped, subjects, ok := Lookup(rec, item)
	if !ok {
		return b, ErrGone
	}
	payload := mapped.Payload
	if o.cfg.Filter != nil {
		application, _ := streams.ApplicationOf(s.Owner)
		payload = o.cfg.Filter(application, mapped.Type, payload)
	}
	b.IssuedAt = rec.Recorded
	b.TimeOfEvent = rec.Time
	b.TransactionID = rec.ID // SSF-4.1.9-01: one cause, one txn, on every stream
	b.Subject = subjects[item.Subject]
	b.Event = set.Event{Type: mapped.Type, Payload: payload}
	return b, nil
}

// Lookup finds what an item of the events lane points at in its record, and
// reports whether it is there.
func Lookup(rec *eventlog.Record, item streams.Item) (eventlog.Mapped, []subject.Identifier, bool) {
	n := item.Event().N
	if int(n) >= len(rec.Mapped) {
		return eventlog.Mapped{}, nil, false
	}
	subjects := rec.SubjectsOf(n)
	if item.Subject < 0 || item.Subject >= len(subjects) {
		return eventlog.Mapped{}, nil, false
	}
	return rec.Mapped[n], subjects, true
}
