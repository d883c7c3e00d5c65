// Package redis ends sessions that an application keeps in Redis: by the names of
// their keys, by sets of keys that the application keeps for each user, and by an
// index of sessions.
//
//	hook, err := redis.New(redis.Config{
//		URL:        "redis://127.0.0.1:6379/0",
//		SortedSets: []string{"user-sessions:{user.sub}"},
//	})
//
// Names in braces are values of the event (package values). Characters that Redis
// takes for a pattern are escaped in values.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// page is how many keys are looked at, and removed, at once.
const page = 500

// idMark stands for a session's id in Config.IDKey.
const idMark = "{id}"

// Config is where sessions are and how they are found. At least one of Keys, Sets,
// SortedSets and Index is needed.
type Config struct {
	// URL is that of the server, redis:// or rediss://, with user, password and
	// database; of a cluster that of one node, further ones as ?addr=host:port.
	// Required unless Client is given.
	URL string
	// Cluster says that URL is that of a cluster.
	Cluster bool
	// Client is used in place of URL. It stays the caller's, who sets its
	// ContextTimeoutEnabled for the deadline to be heeded.
	Client redis.UniversalClient

	// Keys are templates of key names, `session:{session.id}`, or of patterns as of
	// SCAN, `sess:{user.sub}:*`. A pattern costs a walk through all keys of the
	// database; a set does not.
	Keys []string
	// Sets are templates of the names of sets whose members are the user's keys.
	Sets []string
	// SortedSets are the same of sorted sets with the begin of each session, in Unix
	// seconds or milliseconds, as the score: sessions begun after the event live.
	SortedSets []string
	// Index finds sessions, too; IDKey makes keys of their ids. What has ended stays in
	// the Index until it expires there: a gate may look it up.
	Index sessions.Index
	// IDKey is the key of a session whose id the Index or a set has, with `{id}` in
	// its place: `session:{id}`; empty: the id is the key.
	IDKey string

	// BegunField is the field of a session's hash with its begin in Unix seconds or
	// milliseconds; sessions begun after the event live. Empty: not known.
	BegunField string
	// Lifetime is the time to live that a key has when its session begins and that is
	// never renewed, so that the begin can be told by it; zero: not known. Without
	// BegunField, Lifetime and score every session that is found ends.
	Lifetime time.Duration

	// DeniedKey is a template of a key that Deny sets, to the event's time in Unix
	// seconds, and Allow of the same or a later time removes, for the application to look
	// at when a user logs in; empty: Deny ends sessions alone.
	DeniedKey string
	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
}

// Hook ends sessions in Redis. It does End and Deny, and Allow if there is a DeniedKey.
// Safe for concurrent use.
type Hook struct {
	cfg    Config
	client redis.UniversalClient
	own    bool
	ways   []way
	denied *values.Template
}

// New checks cfg and returns its hook; it does not connect.
func New(cfg Config) (*Hook, error) {
	h := &Hook{cfg: cfg, client: cfg.Client}
	wrong := h.parse()
	if len(h.ways) == 0 && cfg.Index == nil {
		wrong = append(wrong, errors.New("one of keys, sets, sorted_sets and an index is needed"))
	}
	if cfg.IDKey != "" && strings.Count(cfg.IDKey, idMark) != 1 {
		wrong = append(wrong, errors.New("id_key: it has {id} once"))
	}
	if cfg.Lifetime < 0 {
		wrong = append(wrong, errors.New("lifetime: it is not negative"))
	}
	if cfg.Client == nil {
		var err error
		h.own = true
		h.client, err = connect(cfg)
		wrong = append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("redis hook: %w", err)
	}
	return h, nil
}

// parse reads the templates and returns what is wrong with them.
func (h *Hook) parse() (wrong []error) {
	for _, group := range []struct {
		name  string
		texts []string
		find  finder
	}{{"keys", h.cfg.Keys, (*run).key}, {"sets", h.cfg.Sets, (*run).set}, {"sorted_sets", h.cfg.SortedSets, (*run).sortedSet}} {
		for _, text := range group.texts {
			w, err := newWay(text, group.find)
			if err == nil && w.pattern && group.name != "keys" {
				err = fmt.Errorf("%q: the name of a set is no pattern", text)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", group.name, err))
			}
			h.ways = append(h.ways, w)
		}
	}
	if h.cfg.DeniedKey != "" {
		w, err := newWay(h.cfg.DeniedKey, nil)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("denied_key: %w", err))
		}
		h.denied = &w.template
	}
	return wrong
}

// connect returns a client of the URL. Errors do not repeat it: it has a password.
func connect(cfg Config) (redis.UniversalClient, error) {
	if cfg.Cluster {
		o, err := redis.ParseClusterURL(cfg.URL)
		if err != nil {
			return nil, errors.New("url: not the redis:// or rediss:// address of a cluster")
		}
		o.ContextTimeoutEnabled = true
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, errors.New("url: not a redis:// or rediss:// address")
	}
	o.ContextTimeoutEnabled = true
	return redis.NewClient(o), nil
}

// Close closes the connections, unless the client was given.
func (h *Hook) Close() error {
	if !h.own {
		return nil
	}
	return h.client.Close()
}

// Act ends the sessions in scope.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, false)
}

// Preview counts them.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	return h.do(ctx, a, true)
}

func (h *Hook) do(ctx context.Context, a hooks.Action, dry bool) (hooks.Outcome, error) {
	r := &run{Hook: h, until: a.Until, dry: dry}
	err := hooks.ErrNotApplicable
	switch {
	case a.Effect == hooks.End:
		err = r.end(ctx, a)
	case a.Effect == hooks.Deny:
		err = r.deny(ctx, a)
	case a.Effect == hooks.Allow && h.denied != nil:
		err = r.mark(ctx, a)
	}
	switch {
	case err == nil, errors.Is(err, hooks.ErrNotApplicable):
	case errors.Is(err, sessions.ErrScope): // more aliases than an index looks for
		err = receiver.Permanent(fmt.Errorf("redis hook: %w", err))
	default:
		err = fmt.Errorf("redis hook: %w", err)
	}
	return hooks.Outcome{Ended: int(r.ended.Load()), Detail: r.detail}, err
}
