package redisdb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// BenchmarkWrite writes 900 bytes a call, by eight callers at once, with what a server can
// promise: what each setting costs. An operation is one WriteMany.
func BenchmarkWrite(b *testing.B) {
	script := redis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1])`)
	payload := strings.Repeat("x", 900)
	for _, fsync := range []string{"no", "everysec", "always"} {
		for _, replicas := range []int{0, 1, 2} {
			for _, calls := range []int{1, 16} {
				b.Run(fmt.Sprintf("appendfsync=%s/WAIT=%d/calls=%d", fsync, replicas, calls), func(b *testing.B) {
					s := redistest.StartDurable(b)
					if err := s.Client(b).ConfigSet(b.Context(), "appendfsync", fsync).Err(); err != nil {
						b.Fatal(err)
					}
					for range replicas {
						s.StartReplica(b)
					}
					db, err := redisdb.Open(b.Context(), redisdb.Config{URL: s.URL(), Replicas: replicas, ReplicaWait: 2 * time.Second})
					if err != nil {
						b.Fatal(err)
					}
					defer func() { _ = db.Close() }()
					batch := make([]redisdb.Call, calls)
					for i := range batch {
						batch[i] = redisdb.Call{Script: script, Keys: []string{fmt.Sprint("k", i)}, Args: []any{payload}}
					}
					for range 20 { // a replica that has just come acknowledges once a second at first
						db.WriteMany(b.Context(), batch)
					}
					b.SetParallelism(4) // of each of two cores
					b.ResetTimer()
					b.RunParallel(func(p *testing.PB) {
						for p.Next() {
							for _, a := range db.WriteMany(b.Context(), batch) {
								if a.Err != nil {
									b.Error(a.Err)
								}
							}
						}
					})
					b.ReportMetric(float64(b.N*calls)/b.Elapsed().Seconds(), "writes/s")
				})
			}
		}
	}
}
