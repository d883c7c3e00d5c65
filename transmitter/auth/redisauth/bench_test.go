package redisauth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
)

// BenchmarkApplications states what b.N applications with a client each cost the
// server: memory, and its CPU to add one and to look one up; with -benchtime 100000x
// of a hundred thousand.
func BenchmarkApplications(b *testing.B) {
	client := redistest.Start(b).Client(b)
	backend := redisauth.New(openDB(b, redisdb.Config{Client: client, Volatile: true}))
	s := auth.NewStore(backend)
	ctx := b.Context()
	application := func(i int) auth.Application {
		id := fmt.Sprintf("relying-party-%06d", i)
		return auth.Application{ID: id, Name: "Relying party " + id, Audience: []string{"https://" + id + ".example/ssf"}, Created: time.Now()}
	}
	clientOf := func(a auth.Application) auth.Client {
		return auth.Client{ID: "client-" + a.ID, Application: a.ID, Scopes: []auth.Scope{auth.ScopeManage, auth.ScopeRead}, Created: a.Created}
	}
	memory := redistest.Memory(b, client)
	for i := 0; i < b.N; i += 100 { // many at once, to be quick
		err := backend.Write(ctx, func(tx *auth.Tx) error {
			var errs []error
			for j := range min(100, b.N-i) {
				a := application(i + j)
				errs = append(errs, tx.Applications.Put(a), tx.Clients.Put(auth.Registration{
					Client: clientOf(a), Number: strings.Repeat("n", 22), Secret: []byte(strings.Repeat("s", 32)),
				}))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := client.Del(ctx, answers(b, client)...).Err(); err != nil { // they last for a minute
		b.Fatal(err)
	}
	b.ReportMetric((redistest.Memory(b, client)-memory)/float64(b.N), "bytes/application")
	const more = 1000
	cpu := redistest.CPU(b, client)
	for i := range more {
		a, err := s.AddApplication(ctx, application(b.N+i))
		if err == nil {
			_, err = s.AddClient(ctx, clientOf(a))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((redistest.CPU(b, client)-cpu)/more*1e6, "µs-CPU/add")
	cpu = redistest.CPU(b, client)
	const asked = 20_000
	begun := time.Now()
	for i := range asked {
		id := fmt.Sprintf("client-relying-party-%06d", i*7919%b.N)
		if _, err := backend.Holder(ctx, auth.Credential{Client: id, TokenID: "jti"}, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((redistest.CPU(b, client)-cpu)/asked*1e6, "µs-CPU/request")
	b.ReportMetric(float64(time.Since(begun).Microseconds())/asked, "µs/request")
}

func answers(b *testing.B, client redis.UniversalClient) []string {
	b.Helper()
	names, _, err := client.Scan(b.Context(), 0, "*:answer:*", 100_000).Result()
	if err != nil {
		b.Fatal(err)
	}
	return append(names, "none")
}
