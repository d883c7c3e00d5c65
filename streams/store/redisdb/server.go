package redisdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// minVersion is the oldest major version of Redis that is taken.
const minVersion = 7

// checkServers checks the server, of a cluster every master.
func (db *DB) checkServers(ctx context.Context) error {
	cluster, ok := db.client.(*redis.ClusterClient)
	if !ok {
		return db.checkServer(ctx, db.client)
	}
	var mu sync.Mutex
	var errs []error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := db.checkServer(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		return nil
	})
	if err != nil {
		return fmt.Errorf("redisdb: %w", err)
	}
	return errors.Join(errs...)
}

func (db *DB) checkServer(ctx context.Context, node redis.UniversalClient) error {
	raw, err := node.Info(ctx).Result()
	if errors.Is(err, redis.Nil) { // of a Sentinel
		return errors.New("redisdb: no Sentinel that can be reached knows a master of that name")
	}
	if err != nil {
		return fmt.Errorf("redisdb: the server cannot be asked for its settings: %w", err)
	}
	info := parseInfo(raw)
	warnings, err := db.judge(info, db.appendfsync(ctx, node))
	for _, warning := range warnings {
		db.cfg.Logger.WarnContext(ctx, "the settings of the Redis server are a risk", "risk", warning, "port", info["tcp_port"])
	}
	if err != nil {
		return fmt.Errorf("redisdb: the server does not do: %w", err)
	}
	return nil
}

// judge says what of the server's settings is a risk, and what is a refusal.
func (db *DB) judge(info map[string]string, appendfsync string) (warnings []string, err error) {
	var errs []error
	version := info["redis_version"]
	if major, _, _ := strings.Cut(version, "."); !atLeast(major, minVersion) {
		errs = append(errs, fmt.Errorf("its version is %q, want %d.0 or later", version, minVersion))
	}
	if role := info["role"]; role != "master" {
		errs = append(errs, fmt.Errorf("its role is %q: connect to the master", role))
	}
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		errs = append(errs, fmt.Errorf("maxmemory-policy is %q, want noeviction: it would throw away what was acknowledged", policy))
	}
	if info["maxmemory"] == "0" {
		warnings = append(warnings, "maxmemory is not set: the operating system may kill the server when memory runs out")
	}
	switch {
	case info["aof_enabled"] == "1" && appendfsync == "everysec":
		warnings = append(warnings, "appendfsync is everysec: about one second of what was acknowledged is lost at a power cut")
	case info["aof_enabled"] == "1" && appendfsync == "no":
		warnings = append(warnings, "appendfsync is no: what was acknowledged within about 30 seconds is lost at a power cut")
	case info["aof_enabled"] == "1":
	case db.cfg.Replicas > 0:
		warnings = append(warnings, "appendonly is off: what was acknowledged lives in the memory of the server and its replicas alone")
	case db.cfg.Volatile:
		warnings = append(warnings, "appendonly is off: what was acknowledged is lost when the server restarts")
	default:
		errs = append(errs, errors.New("appendonly is off and no replica is waited for: what was acknowledged would be lost at a restart"))
	}
	return warnings, errors.Join(errs...)
}

// appendfsync returns the setting, empty where the server does not tell: hosted ones
// forbid CONFIG.
func (db *DB) appendfsync(ctx context.Context, node redis.UniversalClient) string {
	settings, err := node.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		return ""
	}
	return settings["appendfsync"]
}

func atLeast(major string, least int) bool {
	n, err := strconv.Atoi(major)
	return err == nil && n >= least
}

// parseInfo reads the lines name:value of INFO.
func parseInfo(raw string) map[string]string {
	info := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(raw)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			info[name] = value
		}
	}
	return info
}
