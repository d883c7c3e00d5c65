package node_test

import (
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// How long a source's ids are known is as configured, of a folder and of Redis; a command
// that appends in between, which does not know how long that is, lets none go.
func TestKeyMemory(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		redis func(t *testing.T) *redisdb.Config
	}{
		{"folder", func(*testing.T) *redisdb.Config { return nil }},
		{"redis", func(t *testing.T) *redisdb.Config {
			return &redisdb.Config{URL: redistest.Start(t).URL(), Volatile: true}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, server, now := t.TempDir(), tt.redis(t), time.Now()
			var token string
			with := func(offline bool, do func(n *node.Node)) {
				t.Helper()
				cfg := config(dir)
				cfg.Redis, cfg.Offline, cfg.Transmitter.Now = server, offline, func() time.Time { return now }
				if !offline {
					cfg.KeyMemory = 100 * day
				}
				n, err := node.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				do(n)
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var first, again, late string
			with(false, func(n *node.Node) {
				if _, err := n.Applications.AddApplication(t.Context(), auth.Application{ID: "app", Audience: []string{"https://app.example"}}); err != nil {
					t.Fatal(err)
				}
				given, err := n.Applications.AddClient(t.Context(), auth.Client{ID: "hr", Application: "app", Scopes: []auth.Scope{auth.ScopeEventsWrite}, Static: true})
				if err != nil {
					t.Fatal(err)
				}
				token = given.AccessToken
				first = ask(t, n, "/v1/events", token, event("1"))
			})
			now = now.Add(50 * day)
			with(true, func(n *node.Node) { ask(t, n, "/v1/events", token, event("2")) })
			with(false, func(n *node.Node) {
				again = ask(t, n, "/v1/events", token, event("1"))
				now = now.Add(60 * day)
				late = ask(t, n, "/v1/events", token, event("1"))
			})
			if again != first || late == first {
				t.Errorf("got %s after 50 days and %s after 110, want %s and then another", again, late, first)
			}
		})
	}
}
