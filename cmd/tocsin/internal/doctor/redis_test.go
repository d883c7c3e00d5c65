package doctor_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func TestRedis(t *testing.T) {
	server := redistest.StartDurable(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	set := func(name, value string) {
		t.Helper()
		must(t, client.ConfigSet(t.Context(), name, value).Err())
	}
	set("maxmemory", "1gb")
	set("appendfsync", "always")
	url := "redis://" + server.Addr
	look := func(cfg redisdb.Config, now func() time.Time) *doctor.Report {
		r := new(doctor.Report)
		doctor.Redis(t.Context(), r, cfg, now)
		return r
	}
	r := look(redisdb.Config{URL: url}, time.Now)
	check(t, r, "redis.reach", doctor.OK)
	check(t, r, "clock", doctor.OK)
	check(t, r, "redis.settings", "")
	check(t, look(redisdb.Config{URL: url}, func() time.Time { return time.Now().Add(-time.Hour) }), "clock", doctor.Fail)
	check(t, look(redisdb.Config{URL: url, Replicas: 1}, time.Now), "redis.replicas", doctor.Fail)
	set("maxmemory", "1mb")
	check(t, look(redisdb.Config{URL: url}, time.Now), "redis.memory", doctor.Warn)
	set("maxmemory", "0")
	check(t, look(redisdb.Config{URL: url}, time.Now), "redis.settings", doctor.Warn)
	set("maxmemory-policy", "allkeys-lru")
	check(t, look(redisdb.Config{URL: url}, time.Now), "redis.settings", doctor.Fail)
	set("maxmemory-policy", "noeviction")
	set("appendonly", "no")
	check(t, look(redisdb.Config{URL: url}, time.Now), "redis.settings", doctor.Fail)
	check(t, look(redisdb.Config{URL: url, Volatile: true}, time.Now), "redis.settings", doctor.Warn)
	server.Stop()
	check(t, look(redisdb.Config{URL: url}, time.Now), "redis.reach", doctor.Fail)
}
