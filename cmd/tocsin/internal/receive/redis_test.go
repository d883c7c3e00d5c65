package receive_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// What is said of Redis is checked before anybody is asked, and no password of it stands
// in the file, in an error, or in what the file is shown as.
func TestRedisSettings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "url"), []byte("rediss://u:hunter2@redis.example/3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(text string) (receive.Config, error) {
		path := filepath.Join(dir, "receive.yaml")
		if err := os.WriteFile(path, []byte(text+"\n"+issuers("a")), 0o600); err != nil {
			t.Fatal(err)
		}
		return receive.Read(path, []string{"URL=redis://u:hunter2@redis.example"}, nil)
	}
	for text, want := range map[string]string{
		"redis: redis://u:hunter2@redis.example":               "receive.yaml:1: redis: a password",
		"redis: redis://redis.example?password=hunter2":        "receive.yaml:1: redis: ",
		"redis: http://redis.example":                          "receive.yaml:1: redis: url: want redis://",
		"redis: redis://redis.example\nredis_prefix: 'a{b}'":   "redis: prefix",
		"redis: redis://redis.example\nredis_replica_wait: 5s": "redis: replica_wait",
		"redis: redis://redis.example\nredis_replicas: -1":     "redis: replicas",
		"redis_prefix: a": "redis: it is missing",
		"redis: redis://redis.example\nsessions: {store: sqlite}": "",
		"redis: ${URL}": "",
		"redis: redis://u@redis.example?password_file=" + filepath.Join(dir, "url"): "",
		"redis: redis://u@redis.example?password_file=url":                          "", // in the folder of the file
		"redis_file: url\nredis_prefix: a\nredis_replicas: 2":                       "",
	} {
		_, err := read(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got the password in %v", text, err)
		}
	}
	cfg, err := read("redis_file: url\nredis_prefix: a\nredis_replicas: 2\nredis_replica_wait: 500ms")
	want := config.RedisSettings{Redis: "rediss://u:hunter2@redis.example/3", RedisDemands: config.RedisDemands{RedisPrefix: "a", RedisReplicas: 2, RedisReplicaWait: 500 * time.Millisecond}}
	if err != nil || cfg.RedisSettings != want {
		t.Errorf("got %+v %v, want what the file says", cfg.RedisSettings, err)
	}
	data, redis, err := receive.StoreOf(filepath.Join(dir, "receive.yaml"), nil)
	if err != nil || redis != want || data != receive.DefaultData {
		t.Errorf("got %s %+v %v for a command, want the same", data, redis, err)
	}
}

// With Redis sessions are there as well: a store of one process would let through what
// another was told of.
func TestRedisSessions(t *testing.T) {
	for text, want := range map[string]string{
		"sessions: {store: sqlite}":                  "sessions.store: with redis",
		"sessions: {store: memory}":                  "sessions.store: with redis",
		"sessions: {store: redis, prefix: other}":    "sessions: prefix and cluster",
		"gate: {fail: closed}\nsessions: {}":         "",
		"sessions: {store: redis, retention: 1000h}": "",
	} {
		path := filepath.Join(t.TempDir(), "receive.yaml")
		if err := os.WriteFile(path, []byte("redis: redis://127.0.0.1:1\n"+text+"\n"+issuers("a")), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := receive.Read(path, nil, nil)
		if err == nil {
			err = receive.CheckGate(cfg)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// A Redis that hangs does not make the daemon's word of itself wait for each issuer.
func TestHealthOfHungRedis(t *testing.T) {
	server := redistest.StartDurable(t)
	path := filepath.Join(t.TempDir(), "receive.yaml")
	text := "redis: redis://" + server.Addr + "\nlisten: 127.0.0.1:1\ninsecure_loopback: true\ndata: data\n"
	text += "issuers:\n"
	for _, name := range []string{"a", "b", "c", "d"} {
		text += "- {name: " + name + ", issuer: https://" + name + ".example, jwks_url: https://" + name + ".example/keys, audience: https://shop.example}\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := receive.Read(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	daemon, err := receive.Open(t.Context(), cfg, receive.Options{Address: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if h := daemon.Health(t.Context()); h.Issuers[3].Inbox.Error != "" {
		t.Errorf("got %q of the inbox, want no error", h.Issuers[3].Inbox.Error)
	}
	server.Pause(t)
	began := time.Now()
	h := daemon.Health(t.Context())
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("got the health after %v, want it within 5 s", took)
	}
	if h.Standing != keeper.Failing || h.Issuers[3].Inbox.Error == "" {
		t.Errorf("got %+v, want it said that the inbox cannot be asked", h)
	}
	server.Resume(t)
	if err := daemon.Close(); err != nil {
		t.Errorf("Close: got %v", err)
	}
}
