package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Config says where a [Ring] has its keys.
type Config struct {
	// Store of the keys; required.
	Store Store
	// Algorithm of keys made from now on; empty is the current key's, or RS256
	// if there is no key yet.
	Algorithm jose.Algorithm
	// RotateEvery is for how long a key signs before [Ring.Keep] replaces it; 0: it
	// rotates nothing. At least PublishAhead.
	RotateEvery time.Duration
	// PublishAhead is how long a key is in the key set before it signs: receivers keep
	// the set for so long at most; 0: [DefaultAhead].
	PublishAhead time.Duration
	// RetireAfter is how long after its last signature a key is retired by Keep; at
	// least [Overlap]; 0: [DefaultRetire].
	RetireAfter time.Duration
	// Vault encrypts what is stored; nil: it is in clear. What is in clear already is
	// encrypted by Open. With a locked one the ring publishes keys and signs nothing.
	Vault *vault.Vault
	// Elsewhere holds the keys that sign from now on; nil: they are made and kept here.
	// All that it announces are published; a rotation takes one that was not used. A
	// current key that is kept here is replaced by Keep, published before it signs.
	Elsewhere Elsewhere
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger is told when marks of last use cannot be saved; nil: nobody is.
	Logger *slog.Logger
}

// Ring holds the signing keys. Safe for concurrent use; [Ring.Signer],
// [Ring.TokenSigner], [Ring.KeySet] and [Ring.Signed] never wait.
type Ring struct {
	cfg    Config
	wish   jose.Algorithm // as configured; "": none is
	shared Shared         // nil: no other process has the store
	held   atomic.Pointer[held]

	turns   sync.Mutex    // one change at a time
	looks   atomic.Uint64 // at the store, begun and ended
	version uint64        // of the store, as far as it was looked at
}

// held is the ring at one moment. Immutable but for the marks of last use.
type held struct {
	keys    []*entry // the current one first, then the next one, then from young to old
	next    string   // the kid of the next one; "": there is none
	set     *jose.KeySet
	entries map[string]*entry
	// announced are the keys that are held elsewhere, used or not; nil: none is known.
	announced *jose.KeySet
	signers
}

// signers are those of the current key, by their typ.
type signers struct{ sets, jwts, tokens *jose.Signer }

// entry is one key; its private half is in the signers alone.
type entry struct {
	id     string
	public *jose.PublicKey
	// elsewhere: its private half is.
	elsewhere bool

	created time.Time
	used    atomic.Int64 // Unix seconds, of the latest signature
	saved   atomic.Int64 // the value of used that is durable
}

// Open loads the ring. If there is no key yet, or the current one is not of
// the configured algorithm, it makes one; older keys stay published.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	if cfg.Store == nil {
		return nil, errors.New("keys: Config: Store is required")
	}
	if cfg.Algorithm != "" {
		if _, err := jose.ParseAlgorithm(string(cfg.Algorithm)); err != nil {
			return nil, fmt.Errorf("keys: Config: Algorithm: %w", err)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.checkSchedule(); err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg, wish: cfg.Algorithm}
	r.shared, _ = cfg.Store.(Shared)
	r.held.Store(&held{})
	if err := r.seal(ctx); err != nil {
		return nil, err
	}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	if err := r.greet(ctx); err != nil {
		return nil, err
	}
	if s := r.Signer(); r.cfg.Algorithm == "" {
		r.cfg.Algorithm = jose.RS256
		if s != nil {
			r.cfg.Algorithm = s.Algorithm()
		}
	}
	// Of several processes that begin at once, one makes the key.
	wanted := func() bool {
		s := r.Signer()
		return s == nil || s.Algorithm() != r.cfg.Algorithm && cfg.Elsewhere == nil && !r.held.Load().keys[0].elsewhere
	}
	if _, err := r.rotate(ctx, wanted, false); err != nil {
		return nil, err
	}
	r.turns.Lock()
	defer r.turns.Unlock()
	r.refresh()
	return r, nil
}

// load takes over what the store has. Marks that are not saved yet stay, and so
// does the key set's pointer if the keys are the same.
func (r *Ring) load(ctx context.Context) error {
	records, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return err
	}
	before := r.held.Load()
	all := make([]*entry, len(records))
	next := ""
	var s signers
	for i, record := range records {
		e := before.entries[record.ID]
		if isCurrent := record.Current && before.isCurrent(record.ID); isCurrent {
			s = before.signers
		} else if e == nil || record.Current {
			if e == nil {
				public, err := publicOf(record)
				if err != nil {
					return fmt.Errorf("keys: stored key %s: %w", record.ID, err)
				}
				e = newEntry(public, isElsewhere(record), record.Created, record.LastUsed)
			}
			if record.Current {
				key, err := privateOf(record, r.cfg.Vault, r.cfg.Elsewhere)
				if err != nil {
					return fmt.Errorf("keys: stored key %s: %w", record.ID, err)
				}
				if s, err = newSigners(key); err != nil {
					return err
				}
			}
		}
		e.raise(record.LastUsed)
		all[len(records)-1-i] = e
		if record.Next {
			next = e.id
		}
	}
	if next != "" && len(all) > 1 {
		all[0], all[1] = all[1], all[0]
	}
	if !slices.Equal(all, before.keys) || s != before.signers || next != before.next {
		r.held.Store(hold(all, next, s, r.announced()))
	}
	return nil
}

// raise takes over a mark of the store: another process may have signed later.
func (e *entry) raise(stored time.Time) {
	at := stored.Unix()
	for _, mark := range []*atomic.Int64{&e.saved, &e.used} {
		for was := mark.Load(); at > was && !mark.CompareAndSwap(was, at); was = mark.Load() {
		}
	}
}

func newEntry(key *jose.PublicKey, elsewhere bool, created, used time.Time) *entry {
	e := &entry{id: key.ID(), public: key, elsewhere: elsewhere, created: created}
	e.used.Store(used.Unix())
	e.saved.Store(used.Unix())
	return e
}

func newSigners(key *jose.PrivateKey) (s signers, err error) {
	for typ, signer := range map[string]**jose.Signer{typeSET: &s.sets, typeAccessToken: &s.tokens, typeJWT: &s.jwts} {
		if *signer, err = jose.NewSigner(key, typ); err != nil {
			return signers{}, err
		}
	}
	return s, nil
}

func hold(all []*entry, next string, s signers, announced *jose.KeySet) *held {
	h := &held{keys: all, next: next, announced: announced, signers: s, entries: make(map[string]*entry, len(all))}
	public := make([]*jose.PublicKey, len(all))
	for i, e := range all {
		public[i] = e.public
		h.entries[e.id] = e
	}
	h.set = jose.NewKeySet(append(public, spares(announced, all)...)...)
	return h
}

// Signer returns the current signer of SETs, typ secevent+jwt (RFC 8417 §2.3).
// Ask again for each signature, and report it to [Ring.Signed].
func (r *Ring) Signer() *jose.Signer { return r.held.Load().sets }

// JWTSigner is [Ring.Signer] for receivers that take typ JWT alone.
func (r *Ring) JWTSigner() *jose.Signer { return r.held.Load().jwts }

// TokenSigner is [Ring.Signer] for access tokens, typ at+jwt (RFC 9068 §2.1).
func (r *Ring) TokenSigner() *jose.Signer { return r.held.Load().tokens }

// KeySet returns the public keys, the current one first. The pointer is the
// same until the ring changes.
func (r *Ring) KeySet() *jose.KeySet { return r.held.Load().set }

// Signed marks the key as used now. It is cheap: the mark is saved within a
// minute while [Ring.Run] runs, by [Ring.Close], and by a rotation. An unknown
// kid is ignored.
func (r *Ring) Signed(kid string) {
	e := r.held.Load().entries[kid]
	if e == nil {
		return
	}
	now := r.cfg.Now().Unix()
	for was := e.used.Load(); now > was; was = e.used.Load() {
		if e.used.CompareAndSwap(was, now) {
			return
		}
	}
}

// List describes the keys, the current one first, then from young to old, then those that
// are announced and were never used.
func (r *Ring) List() []Key {
	h := r.held.Load()
	list := make([]Key, len(h.keys))
	for i, e := range h.keys {
		list[i] = e.describe(h)
	}
	for _, key := range spares(h.announced, h.keys) {
		list = append(list, Key{ID: key.ID(), Algorithm: key.Algorithm(), Elsewhere: true, Announced: true})
	}
	return list
}

func (e *entry) describe(h *held) Key {
	return Key{
		ID: e.id, Algorithm: e.public.Algorithm(), Created: e.created,
		LastUsed: time.Unix(e.used.Load(), 0).UTC(),
		Current:  h.isCurrent(e.id),
		Next:     h.next == e.id, Elsewhere: e.elsewhere,
	}
}

func (h *held) isCurrent(kid string) bool { return h.sets != nil && h.sets.KeyID() == kid }
