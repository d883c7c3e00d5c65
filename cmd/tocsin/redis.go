package main

import (
	"log/slog"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// redisFlags say which Redis has the state that several processes share.
type redisFlags struct {
	Redis string `help:"Redis that several processes share, in place of the data folder's own files; with a password better given as TOCSIN_REDIS." placeholder:"URL" group:"Redis:"`
	redisSettings
}

// redisSettings say what is asked of a Redis.
type redisSettings struct {
	RedisPrefix      string        `help:"What begins every key (default: ${default})." default:"tocsin" placeholder:"TEXT" group:"Redis:"`
	RedisReplicas    int           `help:"Replicas that must have what is acknowledged (default: none)." default:"0" group:"Redis:"`
	RedisReplicaWait time.Duration `help:"How long they have for it." default:"1s" group:"Redis:"`
	RedisVolatile    bool          `help:"Take a Redis that keeps nothing on disk: what was acknowledged is lost when it restarts." group:"Redis:"`
}

// config returns how that Redis is reached; nil: none is.
func (f redisFlags) config(logger *slog.Logger) *redisdb.Config {
	if f.Redis == "" {
		return nil
	}
	return &redisdb.Config{
		URL: f.Redis, Prefix: f.RedisPrefix, Replicas: f.RedisReplicas, ReplicaWait: f.RedisReplicaWait,
		Volatile: f.RedisVolatile, Logger: logger,
	}
}
