// Package gorilla ends the sessions of an application that keeps them in Redis through
// a store of gorilla/sessions, such as boj/redistore, also behind gin-contrib/sessions,
// echo or chi.
//
// The store's keys are made of ids that stand in the cookie alone, so the application
// calls [Hook.Login] once a user has logged in, and the store has saved the session:
//
//	hook, err := gorilla.New(gorilla.Config{URL: "redis://127.0.0.1:6379", Index: index})
//	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
//	…
//	err = session.Save(r, w)
//	err = hook.Login(r.Context(), session, map[string][]subject.Identifier{"user": {subject.Email(email)}})
package gorilla

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gorilla "github.com/gorilla/sessions"
	lib "github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/hooks/redis"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// DefaultPrefix is the prefix of keys of boj/redistore.
const DefaultPrefix = "session_"

// Config is the store's Redis and an index of its sessions.
type Config struct {
	// URL and Cluster, or Client, are the Redis, as in package redis.
	URL     string
	Cluster bool
	Client  lib.UniversalClient
	// Prefix is that of the store's keys; empty: DefaultPrefix.
	Prefix string
	// Index finds sessions. Required; one that processes share if there are several.
	Index sessions.Index
}

// Hook ends sessions: it is a redis.Hook. It does End, and Deny, which ends sessions, too.
type Hook struct {
	*redis.Hook
	index sessions.Index
}

// New checks cfg and returns its hook; it does not connect.
func New(cfg Config) (*Hook, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	switch {
	case cfg.Index == nil:
		return nil, errors.New("gorilla hook: index: it is missing")
	case strings.Contains(cfg.Prefix, "{id}"):
		return nil, errors.New("gorilla hook: prefix: it is what stands before the id")
	}
	hook, err := redis.New(redis.Config{
		URL: cfg.URL, Cluster: cfg.Cluster, Client: cfg.Client, Index: cfg.Index, IDKey: cfg.Prefix + "{id}",
	})
	if err != nil {
		return nil, fmt.Errorf("gorilla %w", err)
	}
	return &Hook{hook, cfg.Index}, nil
}

// Login notes whose a session is and that it begins now. The store has saved it, so
// that it has an id. members are the identifiers of the user, of the transmitter's
// session, … under their names (sessions.Session). Errors: sessions.ErrInvalid, or the
// index's, and the user is not to be logged in.
func (h *Hook) Login(ctx context.Context, s *gorilla.Session, members map[string][]subject.Identifier) error {
	var life time.Duration
	if s.Options != nil {
		life = time.Duration(s.Options.MaxAge) * time.Second
	}
	return h.LoginID(ctx, s.ID, life, members)
}

// LoginID is Login where only the session's id is at hand, as with gin-contrib/sessions.
// life is how long the store keeps the session; zero or less: not known.
func (h *Hook) LoginID(ctx context.Context, id string, life time.Duration, members map[string][]subject.Identifier) error {
	now := time.Now()
	entry := sessions.Session{ID: id, Members: members, Begun: now}
	if life > 0 {
		entry.Expires = now.Add(life)
	}
	return h.index.Add(ctx, entry)
}

// Identify says who bears a request by the session that the store has of it under a
// name, for sessions.Gate.Middleware: a gate also refuses a session that a running
// request wrote back while it was ended. A new session is nobody's.
func Identify(store gorilla.Store, name string, index sessions.Lookup) func(*http.Request) (sessions.Bearer, bool) {
	return func(r *http.Request) (sessions.Bearer, bool) {
		s, err := store.Get(r, name)
		if err != nil || s.IsNew {
			return sessions.Bearer{}, false
		}
		return sessions.Identify(r.Context(), index, s.ID), true
	}
}
