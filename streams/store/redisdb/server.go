package redisdb

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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

func (db *DB) checkServer(ctx context.Context, node asked) error {
	raw, err := node.Info(ctx).Result()
	if errors.Is(err, redis.Nil) { // of a Sentinel
		return errors.New("redisdb: no Sentinel that can be reached knows a master of that name")
	}
	if err != nil {
		return fmt.Errorf("redisdb: the server cannot be asked for its settings: %w", err)
	}
	info := parseInfo(raw)
	if info["loading"] == "1" {
		return fmt.Errorf("redisdb: the server does not answer yet: %w", errLoading)
	}
	return db.check(ctx, node, info)
}

// awaitPause is between two looks at a server that is not there yet.
const awaitPause = 250 * time.Millisecond

// await is checkServers, and waits for Config.Await where they are away, or fail over.
func (db *DB) await(ctx context.Context) error {
	err := db.checkServers(ctx)
	if err == nil || db.cfg.Await == 0 {
		return err
	}
	told := false
	for end := time.Now().Add(db.cfg.Await); err != nil; err = db.checkServers(ctx) {
		if !passes(err) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		if !told {
			told = true
			db.cfg.Logger.WarnContext(ctx, "the Redis server cannot be used yet: waiting for it", "for", db.cfg.Await, "err", err)
		}
		pause(ctx, awaitPause)
		db.reload(ctx)
	}
	db.cfg.Logger.InfoContext(ctx, "the Redis server is there")
	return nil
}

// meet checks a server at each new connection: it may be another one now.
func (db *DB) meet(ctx context.Context, conn *redis.Conn) error {
	raw, err := conn.Info(ctx).Result()
	if err != nil {
		var told redis.Error
		if errors.As(err, &told) {
			return nil // it does not let us ask; calls say more
		}
		return err
	}
	info := parseInfo(raw)
	if cmp.Or(info["redis_mode"], info["server_mode"]) == "sentinel" { // Valkey has another name for it
		return nil
	}
	if db.cluster && info["role"] != "master" {
		return nil // it is asked for the slots
	}
	return db.check(ctx, conn, info)
}

// asked is a client or a connection.
type asked interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
	ConfigGet(ctx context.Context, name string) *redis.MapStringStringCmd
}

// maxMet bounds the servers that are remembered.
const maxMet = 256

// check judges a server, and tells once what it has to say of it.
func (db *DB) check(ctx context.Context, node asked, info map[string]string) error {
	warnings, err := db.judge(info, db.appendfsync(ctx, node))
	told := strings.Join(append(warnings, fmt.Sprint(err)), "\n")
	db.mu.Lock()
	if len(db.met) >= maxMet {
		clear(db.met)
	}
	before, known := db.met[info["run_id"]]
	db.met[info["run_id"]] = told
	db.mu.Unlock()
	if !known || told != before {
		for _, warning := range warnings {
			db.cfg.Logger.WarnContext(ctx, "the settings of the Redis server are a risk", "risk", warning, "port", info["tcp_port"])
		}
	}
	switch {
	case errors.Is(err, errRole):
		return fmt.Errorf("redisdb: the server does not do: %w", err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if !knowsDisk(info["redis_version"]) {
		db.knowsDisk.Store(false)
	}
	return nil
}

// judge says what of the server's settings is a risk, and what is a refusal.
func (db *DB) judge(info map[string]string, appendfsync string) (warnings []string, err error) {
	var errs []error
	version := info["redis_version"]
	if !atLeast(version, minVersion, 0) {
		errs = append(errs, fmt.Errorf("its version is %q, want %d.0 or later", version, minVersion))
	}
	if role := info["role"]; role != "master" {
		errs = append(errs, fmt.Errorf("its role is %q: %w", role, errRole))
	}
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		errs = append(errs, fmt.Errorf("maxmemory-policy is %q, want noeviction: it would throw away what was acknowledged", policy))
	}
	if info["maxmemory"] == "0" {
		warnings = append(warnings, "maxmemory is not set: the operating system may kill the server when memory runs out")
	}
	if _, set := info["min_slaves_good_slaves"]; db.cfg.Replicas > 0 && !set {
		warnings = append(warnings, "min-replicas-to-write is not set: a master that is cut off from its replicas goes on taking writes, which are lost")
	}
	if db.cfg.Durable && !knowsDisk(version) {
		warnings = append(warnings, "its version is "+version+", which cannot be asked for the disk (7.2 can): a write is on disk when appendfsync says so")
	}
	switch {
	case db.cfg.Durable && info["aof_enabled"] != "1":
		errs = append(errs, errors.New("appendonly is off, and writes are to be on disk"))
	case db.cfg.Durable && knowsDisk(version): // whatever appendfsync says
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
func (db *DB) appendfsync(ctx context.Context, node asked) string {
	settings, err := node.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		return ""
	}
	return settings["appendfsync"]
}

// knowsDisk says whether a version of Redis has WAITAOF.
func knowsDisk(version string) bool { return atLeast(version, 7, 2) }

func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	first, err := strconv.Atoi(parts[0])
	if err != nil || first != major || len(parts) == 1 {
		return err == nil && first >= major+min(minor, 1)
	}
	second, err := strconv.Atoi(parts[1])
	return err == nil && second >= minor
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

// Risks returns what of the settings of the servers that were met is a risk, and no
// refusal: the sentences that are logged.
func (db *DB) Risks() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var all []string
	for _, told := range db.met {
		for line := range strings.Lines(told) {
			if line = strings.TrimSpace(line); line != "" && line != fmt.Sprint(error(nil)) && !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	slices.Sort(all)
	return all
}
