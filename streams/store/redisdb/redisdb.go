// Package redisdb opens Redis (7.0 or later) for a store that must not lose what it
// acknowledged: it checks the server's settings, runs scripts, and waits for replicas.
package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults and bounds.
const (
	DefaultPrefix      = "tocsin"
	DefaultReplicaWait = time.Second
	MaxReplicaWait     = 2 * time.Second // the client gives an answer up after 3 s
	MaxReplicas        = 16
	DefaultPatience    = 2 * time.Second
	MaxPatience        = time.Minute
	MaxAwait           = 10 * time.Minute
	MaxPrefixBytes     = 100
)

// Config says where the server is and what it has to promise.
type Config struct {
	// URL says where it is: redis:// a server, redis+sentinel:// the master that
	// Sentinels know, redis+cluster:// a cluster; rediss… by TLS. User, password, database
	// and parameters: docs/operations/redis.md. Required unless Client is given.
	URL string
	// Cluster says that a redis:// or rediss:// URL is that of a cluster's node, further
	// ones as ?addr=host:port.
	Cluster bool
	// Client is used in place of URL. It stays the caller's, and should have
	// ContextTimeoutEnabled.
	Client redis.UniversalClient
	// Prefix begins every key; empty: DefaultPrefix. Without braces.
	Prefix string
	// Replicas is how many replicas have to acknowledge each write (WAIT); zero: none.
	Replicas int
	// Durable waits for the disk as well: the server's own, and those of Replicas of its
	// replicas (WAITAOF, Redis 7.2). Older servers are asked for Replicas alone, with a
	// warning. With appendfsync everysec a write takes up to a second then.
	Durable bool
	// ReplicaWait is how long they have for it, in whole milliseconds; zero:
	// DefaultReplicaWait, MaxReplicaWait where Durable. At most MaxReplicaWait.
	ReplicaWait time.Duration
	// Patience is how long a call is tried again while the server is away or fails over;
	// zero: DefaultPatience. At most MaxPatience.
	Patience time.Duration
	// Await is how long Open waits for a server that is away, starts, or fails over, and
	// says so; zero: it does not. At most MaxAwait.
	Await time.Duration
	// Volatile accepts a server that keeps nothing on disk and has no replica to wait
	// for: what was acknowledged is lost when it restarts.
	Volatile bool
	// Logger gets warnings about the server's settings; nil: none.
	Logger *slog.Logger
}

// DB is a server that was checked. Safe for concurrent use.
type DB struct {
	cfg    Config
	client redis.UniversalClient
	own    bool
	leases *DB           // the same with connections of its own, for leases; nil where the client was given
	turns  chan struct{} // of leases; nil: any number at a time

	cluster   bool
	knowsDisk atomic.Bool // every server that was met knows WAITAOF

	mu  sync.Mutex
	met map[string]string // run id of a server → what was told of it
}

// Open connects and checks the server. Where the client is its own it checks every server
// that it meets later as well: a new master, or one that was started again. The error
// names everything that is wrong, but never the URL: it has a password.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg.fill()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("redisdb: %w", err)
	}
	db := &DB{cfg: cfg, client: cfg.Client, own: cfg.Client == nil, met: make(map[string]string)}
	_, db.cluster = cfg.Client.(*redis.ClusterClient)
	db.knowsDisk.Store(true)
	if db.own {
		t, err := parse(cfg.URL, cfg.Cluster)
		if err == nil {
			err = cfg.checkLine(ctx, t)
		}
		if err != nil {
			return nil, fmt.Errorf("redisdb: %w", err)
		}
		db.cluster = t.topology == cluster
		db.leases = &DB{cfg: cfg, client: t.forLeases().client(db.meet), own: true, cluster: db.cluster, turns: make(chan struct{}, leaseTurns)}
		db.client = t.client(db.meet)
	}
	if err := db.await(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Check reports what of cfg Open would not take whatever the server is. The error is as
// that of Open.
func (cfg Config) Check() error {
	cfg.fill()
	err := cfg.check()
	if cfg.Client == nil {
		_, urlErr := parse(cfg.URL, cfg.Cluster)
		err = errors.Join(urlErr, err)
	}
	return err
}

func (cfg *Config) fill() {
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if cfg.ReplicaWait == 0 {
		if cfg.ReplicaWait = DefaultReplicaWait; cfg.Durable {
			cfg.ReplicaWait = MaxReplicaWait
		}
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

func (cfg *Config) check() error {
	var errs []error
	errs = append(errs, CheckPrefix(cfg.Prefix))
	if cfg.Replicas < 0 || cfg.Replicas > MaxReplicas {
		errs = append(errs, fmt.Errorf("replicas: got %d, want 0 to %d", cfg.Replicas, MaxReplicas))
	}
	if cfg.ReplicaWait < time.Millisecond || cfg.ReplicaWait > MaxReplicaWait { // WAIT 0 waits for ever
		errs = append(errs, fmt.Errorf("replica_wait: got %v, want 1ms to %v", cfg.ReplicaWait, MaxReplicaWait))
	}
	if cfg.Patience < 0 || cfg.Patience > MaxPatience {
		errs = append(errs, fmt.Errorf("patience: got %v, want at most %v", cfg.Patience, MaxPatience))
	}
	if cfg.Await < 0 || cfg.Await > MaxAwait {
		errs = append(errs, fmt.Errorf("await: got %v, want at most %v", cfg.Await, MaxAwait))
	}
	return errors.Join(errs...)
}

// checkLine looks at what a URL says of the way to the server.
func (cfg *Config) checkLine(ctx context.Context, t *target) error {
	timeout := cmp.Or(t.options.ReadTimeout, answerTimeout)
	if (cfg.Replicas > 0 || cfg.Durable) && timeout > 0 && timeout <= cfg.ReplicaWait {
		return fmt.Errorf("url: read_timeout: got %v, want more than replica_wait (%v): answers come after it", timeout, cfg.ReplicaWait)
	}
	switch tls := t.options.TLSConfig; {
	case tls != nil && tls.InsecureSkipVerify:
		cfg.Logger.WarnContext(ctx, "whoever answers is taken for the Redis server: the URL says skip_verify")
	case tls == nil && !t.isLocal():
		cfg.Logger.WarnContext(ctx, "what is sent to the Redis server, the password too, is in clear: the URL says redis, not rediss")
	}
	return nil
}

// CheckPrefix says whether keys may begin with prefix: braces in it would change the slots
// of a cluster that they are in.
func CheckPrefix(prefix string) error {
	plain := len(prefix) <= MaxPrefixBytes
	for _, r := range prefix {
		plain = plain && r > ' ' && r <= '~' && r != '{' && r != '}'
	}
	if !plain {
		return fmt.Errorf("prefix: want at most %d printable characters without braces", MaxPrefixBytes)
	}
	return nil
}

// Client returns the client.
func (db *DB) Client() redis.UniversalClient { return db.client }

// Prefix returns what begins every key.
func (db *DB) Prefix() string { return db.cfg.Prefix }

// Close closes the connections, unless the client was given.
func (db *DB) Close() error {
	if !db.own {
		return nil
	}
	return errors.Join(db.client.Close(), db.leases.client.Close())
}

// forLeases returns the DB by which leases are taken and renewed.
func (db *DB) forLeases() *DB {
	if db.leases != nil {
		return db.leases
	}
	return db
}
