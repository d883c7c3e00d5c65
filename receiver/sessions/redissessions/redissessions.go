// Package redissessions keeps an index of sessions and revocations in Redis (7.0 or
// later), for several nodes. Each node has all revocations in memory and follows their
// feed, so that checks ask nobody; what one node keeps the others see within
// milliseconds, and a gate knows when they do not (sessions.Config.MaxLag).
//
// Keys, with the prefix of Config, all that there are:
//
//	tocsin:{gate}:marks            hash: clause → until, since, denied, version
//	tocsin:{gate}:ends             sorted set: clause by when its mark expires
//	tocsin:{gate}:version          the version of the latest change
//	tocsin:{gate}:feed             stream of changes, cut at Config.MaxFeed
//	tocsin:session:ID              a session, until it ends; ID is a digest
//	tocsin:of:{DIGEST}:ids         sorted set: ids of sessions by name
//	tocsin:of:{DIGEST}:ends        the same by when they end
//
// Identifiers are digests, ids of sessions are in clear, as they are what is found. Each
// script keeps to one slot of a cluster and can be repeated. What a call said is as
// durable as the server makes it; with Config.DB revocations wait for its replicas.
package redissessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Defaults and bounds.
const (
	DefaultPrefix  = redisdb.DefaultPrefix
	DefaultMaxFeed = 100_000
	// MaxPrefixBytes bounds Config.Prefix.
	MaxPrefixBytes = redisdb.MaxPrefixBytes
)

// Config says where the store is and what it keeps.
type Config struct {
	// URL is that of the server, redis:// or rediss://, with user, password and
	// database; of a cluster that of one node, further ones as ?addr=host:port.
	// Required unless Client is given.
	URL string
	// Cluster says that URL is that of a cluster.
	Cluster bool
	// Client is used in place of URL. It stays the caller's.
	Client redis.UniversalClient
	// DB is used in place of URL, Client and Prefix, and stays the caller's. Its replicas
	// are waited for when something is revoked, denied or allowed.
	DB *redisdb.DB
	// Prefix begins every key; empty: DefaultPrefix. Nodes that share revocations and
	// sessions have one prefix. Without braces.
	Prefix string
	// MaxFeed is about how many changes a node may miss and still catch up by the feed;
	// beyond it loads everything anew. Zero: DefaultMaxFeed.
	MaxFeed int
	// Index says what is kept of sessions; its MaxSessions is not read.
	Index sessions.IndexConfig
	// Revocations says what is kept of revocations, the same on every node.
	Revocations sessions.RevocationsConfig
	// Logger gets what happens; nil: nothing is logged.
	Logger *slog.Logger
}

// Store is a sessions.Lookup and a sessions.Revocations. Safe for concurrent use.
// Times are kept in microseconds.
type Store struct {
	cfg    Config
	client redis.UniversalClient
	own    bool
	state  *sessions.State
	log    *slog.Logger
}

var (
	_ sessions.Lookup      = (*Store)(nil)
	_ sessions.Revocations = (*Store)(nil)
)

// New returns a store; it does not connect. Revocations are known once Run has loaded
// them. The error names everything that is wrong in cfg.
func New(cfg Config) (*Store, error) {
	var errs []error
	var err error
	if cfg.Index, err = cfg.Index.Filled(); err != nil {
		errs = append(errs, err)
	}
	if cfg.Revocations, err = cfg.Revocations.Filled(); err != nil {
		errs = append(errs, err)
	}
	if cfg.DB != nil {
		cfg.Client, cfg.Prefix = cfg.DB.Client(), cfg.DB.Prefix()
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if err := redisdb.CheckPrefix(cfg.Prefix); err != nil {
		errs = append(errs, err)
	}
	if cfg.MaxFeed < 0 {
		errs = append(errs, errors.New("max_feed: it is not negative"))
	}
	if cfg.MaxFeed == 0 {
		cfg.MaxFeed = DefaultMaxFeed
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, client: cfg.Client, own: cfg.Client == nil, log: cfg.Logger}
	if s.own {
		if s.client, err = redisdb.Connect(cfg.URL, cfg.Cluster); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		s.state, err = sessions.NewState(cfg.Revocations, true)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("redissessions: %w", err)
	}
	return s, nil
}

// Close closes the connections, unless the client was given. Checks of what is in
// memory go on.
func (s *Store) Close() error {
	if !s.own {
		return nil
	}
	return s.client.Close()
}

// Ping asks the server for a sign of life.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx).Err() }

// ttl is the time to live of what is kept until deadline, at least a millisecond.
func ttl(deadline, now time.Time) time.Duration { return max(deadline.Sub(now), time.Millisecond) }
