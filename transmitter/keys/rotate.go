package keys

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Rotate makes a key of the configured algorithm, publishes it and signs with
// it from its return on. The key before stays published and counts as used
// until now, so that it cannot be retired too soon even if marks were lost.
// It returns the new kid.
//
// Errors: [ErrFull]; any other is a failure of the store: nothing changed.
func (r *Ring) Rotate(ctx context.Context) (string, error) {
	r.turns.Lock()
	defer r.turns.Unlock()
	before := r.held.Load()
	if len(before.keys) >= MaxKeys {
		return "", fmt.Errorf("%w: at most %d", ErrFull, MaxKeys)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	key, err := jose.Generate(r.cfg.Algorithm)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	private, err := key.MarshalPrivateJWK()
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	now := r.cfg.Now().Truncate(time.Second).UTC()
	e := newEntry(key, now, now)
	record := Record{
		Key:     Key{ID: e.id, Algorithm: key.Algorithm(), Created: now, LastUsed: now, Current: true},
		Private: private,
	}
	// Once begun it is done whole: store and memory must not differ.
	if err := r.cfg.Store.Add(context.WithoutCancel(ctx), record, now); err != nil {
		return "", err
	}
	if err := r.take(append([]*entry{e}, before.keys...), key); err != nil {
		return "", err
	}
	if before.sets != nil {
		r.Signed(before.sets.KeyID())
	}
	return e.id, nil
}

// Retire takes the key out of the key set and erases it: what it signed can no
// longer be verified. With force, it may have signed a moment ago (a key that
// leaked).
//
// Errors: [ErrNotFound], [ErrCurrent]; a [*TooSoonError] within [Overlap] of
// its last signature, without force; any other is a failure of the store:
// nothing changed.
func (r *Ring) Retire(ctx context.Context, kid string, force bool) error {
	r.turns.Lock()
	defer r.turns.Unlock()
	before := r.held.Load()
	e := before.entries[kid]
	switch {
	case e == nil:
		return ErrNotFound
	case e.describe(before).Current:
		return ErrCurrent
	}
	// A mark is rounded down to its second.
	if after := time.Unix(e.used.Load()+1, 0).UTC().Add(Overlap); !force && r.cfg.Now().Before(after) {
		return &TooSoonError{After: after}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.cfg.Store.Remove(context.WithoutCancel(ctx), kid); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(before.keys), func(k *entry) bool { return k == e })
	r.held.Store(hold(left, before.signers))
	return nil
}

// Run saves marks of last use, each within a minute of its signature, until ctx
// ends; then it saves the last ones and returns nil.
func (r *Ring) Run(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.log(ctx, r.Close(context.WithoutCancel(ctx)))
			return nil
		case <-tick.C:
			if err := r.save(ctx); err != nil && ctx.Err() == nil {
				r.log(ctx, err)
			}
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
