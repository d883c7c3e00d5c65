package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// turnsLost is how often a change is begun anew because others were faster.
const turnsLost = 8

// Look takes over what other processes have changed in a [Shared] store, so that who
// was shown a key by one of them finds it here. Run does so by itself, within a second.
// It costs one small question to the store, which calls at the same time share, and waits
// for its answer a moment at most; of a store that is not shared it costs nothing.
func (r *Ring) Look(ctx context.Context) error {
	if r.shared == nil {
		return nil
	}
	come := r.looks.Load()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	r.turns.Lock()
	defer r.turns.Unlock()
	if r.looks.Load() > come+1 {
		return nil // one that began after this call has ended
	}
	return r.look(ctx)
}

func (r *Ring) look(ctx context.Context) error {
	if r.shared == nil {
		if len(r.held.Load().keys) > 0 {
			return nil // nobody else changes it
		}
		return r.load(ctx)
	}
	r.looks.Add(1)
	defer r.looks.Add(1)
	version, err := r.shared.Version(ctx) // before the keys: what comes between is seen the next time
	if err != nil || version == r.version && version != 0 {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	r.version = version
	return nil
}

// Rotate makes a key of the configured algorithm, publishes it and signs with
// it from its return on; a next key that is published is discarded, for it may have
// leaked with this one. The key before stays published and counts as used
// until now, so that it cannot be retired too soon even if marks were lost.
// It returns the new kid.
//
// Where keys are held elsewhere it takes the next key, else the first one that is
// announced and was never used: both are published already.
//
// Errors: [ErrFull], [ErrNoneLeft], [ErrAway], [ErrHeld]; any other is a failure of the
// store: nothing changed.
func (r *Ring) Rotate(ctx context.Context) (string, error) {
	if r.cfg.Elsewhere == nil {
		if _, why := r.Away(); why != nil {
			return "", why
		}
	}
	if err := r.ask(ctx); err != nil {
		return "", err
	}
	return r.rotate(ctx, always, false)
}

// RotateHere is [Ring.Rotate] to a key that is made and kept here although keys are held
// elsewhere: where those are lost.
func (r *Ring) RotateHere(ctx context.Context) (string, error) { return r.rotate(ctx, always, true) }

func always() bool { return true }

// rotate rotates if it is wanted, having seen what others have done; here: to a key of
// our own in any case.
func (r *Ring) rotate(ctx context.Context, wanted func() bool, here bool) (string, error) {
	r.turns.Lock()
	defer r.turns.Unlock()
	for again := 0; ; again++ {
		if err := r.look(ctx); err != nil {
			return "", err
		}
		if !wanted() {
			return "", nil
		}
		kid, err := r.replace(ctx, here)
		if !errors.Is(err, ErrChanged) || again == turnsLost {
			return kid, err
		}
	}
}

// replace lets the next key sign that is held elsewhere, if there is one: whether it may
// have leaked is known, and settled, where it is held. Else it adds one.
func (r *Ring) replace(ctx context.Context, here bool) (string, error) {
	if next := r.published(); next != "" && r.cfg.Elsewhere != nil && !here {
		return next, r.advance(ctx, next, r.held.Load().sets.KeyID())
	}
	return r.add(ctx, here)
}

func (r *Ring) add(ctx context.Context, here bool) (string, error) {
	before := r.held.Load()
	if len(before.keys) >= MaxKeys {
		return "", fmt.Errorf("%w: at most %d", ErrFull, MaxKeys)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	record, e, s, err := r.provide(here)
	if err != nil {
		return "", err
	}
	replaced := ""
	if before.sets != nil {
		replaced = before.sets.KeyID()
	}
	// Once begun it is done whole: store and memory must not differ.
	if err := r.cfg.Store.Add(context.WithoutCancel(ctx), record, replaced, record.Created); err != nil {
		return "", err
	}
	left := slices.DeleteFunc(slices.Clone(before.keys), func(k *entry) bool { return k.id == before.next })
	r.held.Store(hold(append([]*entry{e}, left...), "", s, r.announced()))
	if replaced != "" {
		r.Signed(replaced)
	}
	return e.id, nil
}

// provide returns the key that comes next: made here, or held elsewhere.
func (r *Ring) provide(here bool) (Record, *entry, signers, error) {
	if r.cfg.Elsewhere != nil && !here {
		return r.adopt()
	}
	return r.generate()
}

// generate makes a key, and the signers for it.
func (r *Ring) generate() (Record, *entry, signers, error) {
	fail := func(err error) (Record, *entry, signers, error) {
		return Record{}, nil, signers{}, fmt.Errorf("keys: %w", err)
	}
	key, err := jose.Generate(r.cfg.Algorithm)
	if err != nil {
		return fail(err)
	}
	private, err := key.MarshalPrivateJWK()
	if err != nil {
		return fail(err)
	}
	if private, err = stored(key.Public(), private, r.cfg.Vault); err != nil {
		return fail(err)
	}
	s, err := newSigners(key)
	if err != nil {
		return fail(err)
	}
	now := r.cfg.Now().Truncate(time.Second).UTC()
	e := newEntry(key.Public(), false, now, now)
	return Record{
		Key:     Key{ID: e.id, Algorithm: key.Algorithm(), Created: now, LastUsed: now, Current: true},
		Private: private,
	}, e, s, nil
}

// Retire takes the key out of the key set and erases it: what it signed can no
// longer be verified. With force, it may have signed a moment ago (a key that
// leaked).
//
// Of a [Shared] store the latest signature of all processes counts, and a minute
// is added for marks that one of them may have lost.
//
// Errors: [ErrNotFound], [ErrCurrent], [ErrAnnounced]; a [*TooSoonError] within [Overlap] of
// its last signature, without force; any other is a failure of the store:
// nothing changed.
func (r *Ring) Retire(ctx context.Context, kid string, force bool) error {
	r.turns.Lock()
	defer r.turns.Unlock()
	for again := 0; ; again++ {
		if r.shared != nil { // marks change no version
			if err := r.load(ctx); err != nil {
				return err
			}
		}
		unused, err := r.retirable(kid, force)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err = r.cfg.Store.Remove(context.WithoutCancel(ctx), kid, unused)
		if r.shared != nil && errors.Is(err, ErrTooSoon) && again < turnsLost {
			continue // it was marked meanwhile: the marks say until when
		}
		if err != nil {
			return err
		}
		before := r.held.Load()
		left := slices.DeleteFunc(slices.Clone(before.keys), func(k *entry) bool { return k.id == kid })
		next := before.next
		if next == kid {
			next = ""
		}
		r.held.Store(hold(left, next, before.signers, r.announced()))
		return nil
	}
}

// retirable reports whether a key may be retired now as far as is known here,
// and how old its last use must be for it; zero with force.
func (r *Ring) retirable(kid string, force bool) (unused time.Time, err error) {
	h := r.held.Load()
	e := h.entries[kid]
	switch {
	case e == nil:
		return unused, ErrNotFound
	case h.isCurrent(kid):
		return unused, ErrCurrent
	case e.elsewhere && announces(r.announced(), kid):
		return unused, ErrAnnounced
	case force:
		return unused, nil
	}
	keep := Overlap + time.Second // a mark is rounded down to its second
	if r.shared != nil {
		keep += lostMarks
	}
	now := r.cfg.Now()
	if after := time.Unix(e.used.Load(), 0).UTC().Add(keep); now.Before(after) {
		return unused, &TooSoonError{After: after}
	}
	return now.Add(-keep), nil
}

// Run saves marks of last use, each within a minute of its signature, and takes
// over what other processes have changed and a signer announces, until ctx ends; then it saves the last
// marks and returns nil.
func (r *Ring) Run(ctx context.Context) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	var look <-chan time.Time
	if r.shared != nil || r.cfg.Elsewhere != nil {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		look = ticker.C
	}
	blind := false
	for {
		select {
		case <-ctx.Done():
			r.log(ctx, r.Close(context.WithoutCancel(ctx)))
			return nil
		case <-save.C:
			if err := r.save(ctx); err != nil && ctx.Err() == nil {
				r.log(ctx, err)
			}
		case <-look:
			r.turns.Lock()
			err := r.look(ctx)
			r.refresh()
			r.turns.Unlock()
			if err != nil && !blind && ctx.Err() == nil {
				r.cfg.Logger.ErrorContext(ctx, "cannot see whether others have rotated the signing keys", slog.Any("err", err))
			}
			blind = err != nil
		}
	}
}

func (r *Ring) log(ctx context.Context, err error) {
	if err != nil {
		r.cfg.Logger.ErrorContext(ctx, "last use of signing keys not saved", slog.Any("err", err))
	}
}

// Close saves the marks of last use. It does not close the store; the ring may
// be used on.
func (r *Ring) Close(ctx context.Context) error { return r.save(ctx) }

func (r *Ring) save(ctx context.Context) error {
	r.turns.Lock()
	defer r.turns.Unlock()
	h := r.held.Load()
	marks := map[string]time.Time{}
	for _, e := range h.keys {
		if used := e.used.Load(); used != e.saved.Load() {
			marks[e.id] = time.Unix(used, 0)
		}
	}
	if len(marks) == 0 {
		return nil
	}
	if err := r.cfg.Store.Mark(ctx, marks); err != nil {
		return err
	}
	for kid, at := range marks {
		h.entries[kid].saved.Store(at.Unix())
	}
	return nil
}
