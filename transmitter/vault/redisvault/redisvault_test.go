package redisvault_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/redisvault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/vaulttest"
)

func TestContract(t *testing.T) {
	for name, cfg := range map[string]redisdb.Config{
		"single":  {URL: "redis://" + redistest.Start(t).Addr, Volatile: true},
		"cluster": {URL: "redis://" + redistest.StartCluster(t).Addr, Cluster: true, Volatile: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			vaulttest.Run(t, func(t *testing.T) (vault.Store, func() vault.Store) {
				n++
				cfg := cfg
				cfg.Prefix = "t" + string(rune('a'+n))
				again := func() vault.Store {
					db, err := redisdb.Open(t.Context(), cfg)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = db.Close() })
					return redisvault.New(db)
				}
				return again(), again
			})
		})
	}
}
