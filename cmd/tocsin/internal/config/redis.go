package config

import (
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// RedisSettings are those of stores in Redis, by the same words for every command that
// has them: flags, keys of files and twins in the environment.
type RedisSettings struct {
	// Redis is the URL; it may have a password.
	Redis string `help:"Keep all in Redis, which several processes share: redis://, redis+sentinel:// or redis+cluster://, rediss… by TLS. With a password better given as TOCSIN_REDIS." placeholder:"URL" group:"Redis:"`
	RedisDemands
}

// RedisDemands are what is asked of a Redis, wherever it is.
type RedisDemands struct {
	RedisPrefix      string        `help:"What begins each of its keys (default: tocsin)." placeholder:"TEXT" group:"Redis:"`
	RedisReplicas    int           `help:"How many replicas must have a write before it is acknowledged (default: none)." placeholder:"N" group:"Redis:"`
	RedisReplicaWait time.Duration `help:"How long they have for it (default: 1s)." placeholder:"TIME" group:"Redis:"`
	RedisDurable     bool          `help:"Wait for the disks, too (Redis 7.2)." group:"Redis:"`
	RedisVolatile    bool          `help:"Take a Redis that keeps nothing on disk: what was acknowledged is lost when it restarts." group:"Redis:"`
}

// Set reports whether there is a Redis.
func (r RedisSettings) Set() bool { return r.Redis != "" }

// Alone reports whether something is said of a Redis that is not named.
func (r RedisSettings) Alone() bool { return !r.Set() && r != RedisSettings{} }

// Over puts what is given in r over to.
func (r RedisSettings) Over(to *RedisSettings) {
	for _, one := range []struct{ from, to *string }{{&r.Redis, &to.Redis}, {&r.RedisPrefix, &to.RedisPrefix}} {
		if *one.from != "" {
			*one.to = *one.from
		}
	}
	if r.RedisReplicas != 0 {
		to.RedisReplicas = r.RedisReplicas
	}
	if r.RedisReplicaWait != 0 {
		to.RedisReplicaWait = r.RedisReplicaWait
	}
	to.RedisDurable = to.RedisDurable || r.RedisDurable
	to.RedisVolatile = to.RedisVolatile || r.RedisVolatile
}

// DB returns how the server is opened.
func (r RedisSettings) DB(logger *slog.Logger) redisdb.Config {
	return redisdb.Config{
		URL: r.Redis, Prefix: r.RedisPrefix, Replicas: r.RedisReplicas, ReplicaWait: r.RedisReplicaWait,
		Durable: r.RedisDurable, Volatile: r.RedisVolatile, Logger: logger,
	}
}

// Shared is DB; nil if there is none.
func (r RedisSettings) Shared(logger *slog.Logger) *redisdb.Config {
	if !r.Set() {
		return nil
	}
	db := r.DB(logger)
	return &db
}

// redisAwait is how long a daemon that starts waits for a server that is away or fails over.
const redisAwait = 30 * time.Second

// Served is Shared, for a daemon.
func (r RedisSettings) Served(logger *slog.Logger) *redisdb.Config {
	db := r.Shared(logger)
	if db != nil {
		db.Await = redisAwait
	}
	return db
}

// HasPassword reports whether a URL of Redis has a password in it, as far as can be told.
func HasPassword(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if _, password, ok := strings.Cut(rest[:at], ":"); ok && password != "" {
			return true
		}
	}
	parameters, err := url.ParseQuery(query)
	return err != nil || parameters.Get("password") != "" || parameters.Get("sentinel_password") != ""
}
