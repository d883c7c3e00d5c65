package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Elsewhere holds private keys in our place, and signs with them (transmitter/signer).
// Safe for concurrent use.
type Elsewhere interface {
	// Ask asks it for its keys anew. Error: why it does not answer.
	Ask(ctx context.Context) error
	// Announced returns the keys that it has, as far as is known, the one to be used
	// first in front; nil: it has never answered. The pointer is the same until they
	// change.
	Announced() *jose.KeySet
	// Sign signs with one of them, as crypto.Signer does. It waits for no more than
	// seconds, and not at all while it is known to be away.
	Sign(key *jose.PublicKey, input []byte, opts crypto.SignerOpts) ([]byte, error)
	// Away returns nil if it would sign with a key, as far as is known; else why not,
	// and a channel that is closed when that may have changed.
	Away(kid string) (again <-chan struct{}, why error)
}

var (
	// ErrAway is matched by what [jose.Signer.Sign] returns where the key is held
	// elsewhere and nothing was signed: later it may be.
	ErrAway = errors.New("keys: who holds the key does not sign")
	// ErrNoneLeft is matched by every error of a rotation for which who holds keys
	// elsewhere has none.
	ErrNoneLeft = errors.New("keys: the signer announces no unused key")
	// ErrAnnounced: who holds the key announces it still, so that it would be published
	// on.
	ErrAnnounced = errors.New("keys: the signer announces the key still; take it from the signer first")
	// ErrHeld: the current key is held by a signer, and none is named.
	ErrHeld = errors.New("keys: the signing key is held by a signer, and none is named")
)

// remote signs with a key that is held elsewhere.
type remote struct {
	key  *jose.PublicKey
	from Elsewhere // nil: none is named
}

func (r remote) Public() crypto.PublicKey { return r.key.Raw() }

func (r remote) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	if r.from == nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, ErrHeld)
	}
	signature, err := r.from.Sign(r.key, input, opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	return signature, nil
}

// never is a channel that nobody closes.
func never() <-chan struct{} { return make(chan struct{}) }

// Away returns nil if the current key signs, as far as is known; else why it does not, and
// a channel that is closed when it is worth another try. Keys that are kept here always
// sign. It never waits.
func (r *Ring) Away() (again <-chan struct{}, why error) {
	h := r.held.Load()
	if len(h.keys) == 0 || !h.keys[0].elsewhere {
		return nil, nil
	}
	if r.cfg.Elsewhere == nil {
		return never(), ErrHeld
	}
	return r.cfg.Elsewhere.Away(h.keys[0].id)
}

// HeldElsewhere reports whether there is who holds keys in our place: many signatures may
// be asked for at once then, for they cost this machine little.
func (r *Ring) HeldElsewhere() bool { return r.cfg.Elsewhere != nil }

// ask asks who holds keys elsewhere which they are, if there is anybody.
func (r *Ring) ask(ctx context.Context) error {
	if r.cfg.Elsewhere == nil {
		return nil
	}
	if err := r.cfg.Elsewhere.Ask(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// announced are the keys that are held elsewhere, as far as is known.
func (r *Ring) announced() *jose.KeySet {
	if r.cfg.Elsewhere == nil {
		return nil
	}
	return r.cfg.Elsewhere.Announced()
}

// spares returns those of a set that are none of keys: they are published, and sign when a
// rotation takes them.
func spares(set *jose.KeySet, keys []*entry) []*jose.PublicKey {
	if set == nil {
		return nil
	}
	return slices.DeleteFunc(set.Keys(), func(key *jose.PublicKey) bool {
		return slices.ContainsFunc(keys, func(e *entry) bool { return e.id == key.ID() })
	})
}

// announces reports whether a key is in a set; nil is the empty one.
func announces(set *jose.KeySet, kid string) bool {
	return set != nil && slices.ContainsFunc(set.Keys(), func(key *jose.PublicKey) bool { return key.ID() == kid })
}

// refresh publishes what is announced by now. The caller holds turns.
func (r *Ring) refresh() {
	if h := r.held.Load(); r.announced() != h.announced {
		r.held.Store(hold(h.keys, h.next, h.signers, r.announced()))
	}
}

// wanted is the algorithm of the next key that is held elsewhere: that of the
// configuration, else the current key's; "": there is neither.
func (r *Ring) wanted() jose.Algorithm {
	if h := r.held.Load(); r.wish == "" && h.sets != nil {
		return h.sets.Algorithm()
	}
	return r.wish
}

// published returns the next key, if it is held elsewhere, there is still, and is of the
// wanted algorithm; else "".
func (r *Ring) published() string {
	h := r.held.Load()
	e := h.entries[h.next]
	if e == nil || !e.elsewhere || e.public.Algorithm() != r.wanted() || !announces(r.announced(), e.id) {
		return ""
	}
	return e.id
}

// pick takes the first unused key that is held elsewhere and of the wanted algorithm;
// where none is wanted what the signer names first, RS256 before others.
func (r *Ring) pick() (*jose.PublicKey, error) {
	unused := spares(r.announced(), r.held.Load().keys)
	wanted := r.wanted()
	if wanted == "" {
		wanted = jose.RS256
		if len(unused) > 0 && !slices.ContainsFunc(unused, func(k *jose.PublicKey) bool { return k.Algorithm() == wanted }) {
			return unused[0], nil
		}
	}
	var others []jose.Algorithm
	for _, key := range unused {
		if key.Algorithm() == wanted {
			return key, nil
		}
		if !slices.Contains(others, key.Algorithm()) {
			others = append(others, key.Algorithm())
		}
	}
	if len(others) > 0 {
		return nil, fmt.Errorf("%w for %s; it has some for %v: name one of these algorithms, or give the signer another key", ErrNoneLeft, wanted, others)
	}
	return nil, fmt.Errorf("%w; give it another key", ErrNoneLeft)
}

// adopt makes a record of a key that is held elsewhere, and the signers for it.
func (r *Ring) adopt() (Record, *entry, signers, error) {
	fail := func(err error) (Record, *entry, signers, error) { return Record{}, nil, signers{}, err }
	public, err := r.pick()
	if err != nil {
		return fail(err)
	}
	stored, err := elsewhere(public)
	if err != nil {
		return fail(fmt.Errorf("keys: %w", err))
	}
	private, err := jose.Hold(public, remote{public, r.cfg.Elsewhere})
	if err != nil {
		return fail(fmt.Errorf("keys: %w", err))
	}
	s, err := newSigners(private)
	if err != nil {
		return fail(fmt.Errorf("keys: %w", err))
	}
	now := r.cfg.Now().Truncate(time.Second).UTC()
	e := newEntry(public, true, now, now)
	return Record{
		Key:     Key{ID: e.id, Algorithm: public.Algorithm(), Created: now, LastUsed: now, Current: true},
		Private: stored,
	}, e, s, nil
}

// due reports whether the current key is to be replaced whatever its age: it is kept here
// and shall not be, or it is of another algorithm than is wanted.
func (r *Ring) due(current Key) bool {
	return r.cfg.Elsewhere != nil && (!current.Elsewhere || r.wish != "" && r.wish != current.Algorithm)
}

// greet asks who holds keys elsewhere at the start. Where there is a key, it may be away.
func (r *Ring) greet(ctx context.Context) error {
	err := r.ask(ctx)
	if err != nil && r.Signer() != nil {
		r.cfg.Logger.WarnContext(ctx, "the signer does not answer; events are taken, SETs wait for it", slog.Any("err", err))
		return nil
	}
	return err
}
