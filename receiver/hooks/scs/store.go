package scs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// page is how many sessions of an index are looked at at once.
const page = 100

// pack writes digests one after the other.
func pack(keys []sessions.Digest) []byte {
	b := make([]byte, 0, len(keys)*sessions.DigestSize)
	for _, key := range keys {
		b = append(b, key[:]...)
	}
	return b
}

// bearer reads what a session's data says of whom it is of.
func bearer(packed []byte, begun int64) sessions.Bearer {
	var keys []sessions.Digest
	for key := range slices.Chunk(packed, sessions.DigestSize) {
		if len(key) == sessions.DigestSize {
			keys = append(keys, sessions.Digest(key))
		}
	}
	return sessions.NewBearer(keys, time.Unix(0, begun), time.Time{})
}

// iterates reports whether all sessions of the store can be listed.
func iterates(store scs.Store) bool {
	if _, ok := store.(scs.IterableCtxStore); ok {
		return true
	}
	_, ok := store.(scs.IterableStore)
	return ok
}

// end ends the sessions of an action, or only counts them.
func (h *Hook) end(ctx context.Context, a hooks.Action, dry bool) (ended int, err error) {
	if h.index != nil {
		ended, err = h.endIndexed(ctx, a, dry)
	} else {
		ended, err = h.endStored(ctx, a, dry)
	}
	return ended, verdict(err)
}

// verdict returns an error as one of a hook: a scope that fits nothing is none of its
// business, one that cannot be looked for never will be.
func verdict(err error) error {
	switch {
	case errors.Is(err, sessions.ErrNobody):
		return fmt.Errorf("scs: %w: %w", hooks.ErrNotApplicable, err)
	case errors.Is(err, sessions.ErrScope), errors.Is(err, sessions.ErrInvalid):
		return receiver.Permanent(fmt.Errorf("scs: %w", err))
	}
	return err
}

// endStored looks at all sessions that the store has.
func (h *Hook) endStored(ctx context.Context, a hooks.Action, dry bool) (ended int, err error) {
	clauses, err := sessions.Clauses(a.Scope)
	if err != nil {
		return 0, err
	}
	all, err := h.all(ctx)
	if err != nil {
		return 0, err
	}
	var failed []error
	for stored, data := range all {
		_, values, err := h.manager.Codec.Decode(data)
		if err != nil {
			continue // not a session that scs could load either
		}
		keys, _ := values[valueKeys].([]byte)
		begun, _ := values[valueBegun].(int64)
		if b := bearer(keys, begun); b.Begun().After(a.Until) || !slices.ContainsFunc(clauses, b.Meets) {
			continue
		}
		if !dry {
			if err := h.remove(ctx, stored); err != nil {
				failed = append(failed, err)
				continue
			}
		}
		ended++
	}
	return ended, errors.Join(failed...)
}

// endIndexed asks the index.
func (h *Hook) endIndexed(ctx context.Context, a hooks.Action, dry bool) (ended int, err error) {
	for found, err := range sessions.Pages(ctx, h.index, a.Scope, a.Until, page) {
		if err != nil {
			return ended, err
		}
		for _, s := range found {
			if !dry {
				if err := h.destroy(ctx, s.ID); err != nil {
					return ended, err
				}
			}
			ended++
		}
	}
	return ended, nil
}

// destroy ends the session of a token, in the store first.
func (h *Hook) destroy(ctx context.Context, token string) error {
	loaded, err := h.manager.Load(ctx, token)
	if err == nil {
		err = h.manager.Destroy(loaded)
	}
	if err != nil {
		return err
	}
	return h.index.Remove(ctx, token)
}

func (h *Hook) all(ctx context.Context) (map[string][]byte, error) {
	if store, ok := h.manager.Store.(scs.IterableCtxStore); ok {
		return store.AllCtx(ctx)
	}
	if store, ok := h.manager.Store.(scs.IterableStore); ok {
		return store.All()
	}
	return nil, errors.New("scs: the store cannot list its sessions")
}

// remove deletes by the name that the store has for a session, which is not its token
// if the manager hashes tokens.
func (h *Hook) remove(ctx context.Context, stored string) error {
	if store, ok := h.manager.Store.(scs.CtxStore); ok {
		return store.DeleteCtx(ctx, stored)
	}
	return h.manager.Store.Delete(stored)
}
