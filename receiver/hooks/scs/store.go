package scs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
)

// iterates reports whether all sessions of the store can be listed.
func iterates(store scs.Store) bool {
	if _, ok := store.(scs.IterableCtxStore); ok {
		return true
	}
	_, ok := store.(scs.IterableStore)
	return ok
}

// revokeStored ends sessions by looking at all that the store has.
func (s *Sessions) revokeStored(ctx context.Context, keys []string, until time.Time) (ended int, err error) {
	all, err := s.all(ctx)
	if err != nil {
		return 0, err
	}
	var failed []error
	for stored, data := range all {
		_, values, err := s.manager.Codec.Decode(data)
		if err != nil {
			continue // not a session that scs could load either
		}
		own, _ := values[valueKeys].([]string)
		begun, _ := values[valueBegun].(int64)
		if !matches(own, keys) || time.Unix(0, begun).After(until) {
			continue
		}
		if err := s.remove(ctx, stored); err != nil {
			failed = append(failed, err)
			continue
		}
		ended++
	}
	return ended, errors.Join(failed...)
}

// revokeIndexed ends sessions that logged in through this process.
func (s *Sessions) revokeIndexed(ctx context.Context, keys []string, until time.Time) (ended int, err error) {
	var failed []error
	for _, token := range s.indexed(keys, until) {
		loaded, err := s.manager.Load(ctx, token)
		if err == nil {
			err = s.manager.Destroy(loaded)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		s.forget(token)
		ended++
	}
	return ended, errors.Join(failed...)
}

// indexed returns the tokens of sessions of one of the keys that began in time.
func (s *Sessions) indexed(keys []string, until time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tokens []string
	for _, key := range keys {
		for token, begun := range s.index[key] {
			if !begun.After(until) && !slices.Contains(tokens, token) {
				tokens = append(tokens, token)
			}
		}
	}
	return tokens
}

func (s *Sessions) forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, tokens := range s.index {
		if delete(tokens, token); len(tokens) == 0 {
			delete(s.index, key)
		}
	}
}

func (s *Sessions) all(ctx context.Context) (map[string][]byte, error) {
	if store, ok := s.manager.Store.(scs.IterableCtxStore); ok {
		return store.AllCtx(ctx)
	}
	if store, ok := s.manager.Store.(scs.IterableStore); ok {
		return store.All()
	}
	return nil, errors.New("scs: the store cannot list its sessions")
}

// remove deletes by the name that the store has for a session, which is not its token
// if the manager hashes tokens.
func (s *Sessions) remove(ctx context.Context, stored string) error {
	if store, ok := s.manager.Store.(scs.CtxStore); ok {
		return store.DeleteCtx(ctx, stored)
	}
	return s.manager.Store.Delete(stored)
}

func matches(own, keys []string) bool {
	return slices.ContainsFunc(own, func(key string) bool { return slices.Contains(keys, key) })
}
