package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Config says where a [Ring] has its keys.
type Config struct {
	// Store of the keys; required.
	Store Store
	// Algorithm of keys made from now on; empty is the current key's, or RS256
	// if there is no key yet.
	Algorithm jose.Algorithm
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger is told when marks of last use cannot be saved; nil: nobody is.
	Logger *slog.Logger
}

// Ring holds the signing keys. Safe for concurrent use; [Ring.Signer],
// [Ring.TokenSigner], [Ring.KeySet] and [Ring.Signed] never wait.
type Ring struct {
	cfg   Config
	held  atomic.Pointer[held]
	turns sync.Mutex // one change at a time
}

// held is the ring at one moment. Immutable but for the marks of last use.
type held struct {
	keys    []*entry // the current one first, then from young to old
	set     *jose.KeySet
	entries map[string]*entry
	signers
}

// signers are those of the current key, by their typ.
type signers struct{ sets, jwts, tokens *jose.Signer }

// entry is one key; its private half is in the signers alone.
type entry struct {
	id      string
	public  *jose.PublicKey
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
	r := &Ring{cfg: cfg}
	r.held.Store(&held{})
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	s := r.Signer()
	if r.cfg.Algorithm == "" {
		r.cfg.Algorithm = jose.RS256
		if s != nil {
			r.cfg.Algorithm = s.Algorithm()
		}
	}
	if s == nil || s.Algorithm() != r.cfg.Algorithm {
		if _, err := r.Rotate(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Ring) load(ctx context.Context) error {
	records, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return err
	}
	var all []*entry
	var current *jose.PrivateKey
	for _, record := range records {
		key, err := jose.ParsePrivateKey(record.Private)
		if err != nil {
			return fmt.Errorf("keys: stored key %s: %w", record.ID, err)
		}
		e := newEntry(key, record.Created, record.LastUsed)
		if record.Current {
			current = key
		}
		all = append([]*entry{e}, all...)
	}
	if current == nil {
		r.held.Store(hold(all, signers{}))
		return nil
	}
	return r.take(all, current)
}

func newEntry(key *jose.PrivateKey, created, used time.Time) *entry {
	e := &entry{id: key.ID(), public: key.Public(), created: created}
	e.used.Store(used.Unix())
	e.saved.Store(used.Unix())
	return e
}

// take makes all the keys of the ring, with current as the one that signs. It
// must be the first of all.
func (r *Ring) take(all []*entry, current *jose.PrivateKey) error {
	var s signers
	for typ, signer := range map[string]**jose.Signer{typeSET: &s.sets, typeAccessToken: &s.tokens, typeJWT: &s.jwts} {
		made, err := jose.NewSigner(current, typ)
		if err != nil {
			return err
		}
		*signer = made
	}
	r.held.Store(hold(all, s))
	return nil
}

func hold(all []*entry, s signers) *held {
	h := &held{keys: all, signers: s, entries: make(map[string]*entry, len(all))}
	public := make([]*jose.PublicKey, len(all))
	for i, e := range all {
		public[i] = e.public
		h.entries[e.id] = e
	}
	h.set = jose.NewKeySet(public...)
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

// List describes the keys, the current one first, then from young to old.
func (r *Ring) List() []Key {
	h := r.held.Load()
	list := make([]Key, len(h.keys))
	for i, e := range h.keys {
		list[i] = e.describe(h)
	}
	return list
}

func (e *entry) describe(h *held) Key {
	return Key{
		ID: e.id, Algorithm: e.public.Algorithm(), Created: e.created,
		LastUsed: time.Unix(e.used.Load(), 0).UTC(),
		Current:  h.sets != nil && h.sets.KeyID() == e.id,
	}
}
