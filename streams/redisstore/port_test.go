package redisstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// From a file.
func TestPort(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		storetest.RunPort(t,
			func(t testing.TB) storetest.Harness { return &file{path: filepath.Join(t.TempDir(), "state.db")} },
			func(t testing.TB) storetest.Harness {
				// A cluster client's goroutines, which sleep a little, end with the bubble.
				t.Cleanup(func() { <-time.After(time.Second) })
				cfg.Prefix = newPrefix()
				return &harness{t: t, cfg: cfg}
			})
	})
}

// file is a store in a file.
type file struct {
	path  string
	store *sqlitestore.Store
}

func (f *file) Open(ctx context.Context, opts storetest.Options) (streams.Store, error) {
	var err error
	f.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: f.path, MaxDepth: opts.MaxDepth})
	return f.store, err
}

func (f *file) Close() error { return f.store.Close() }

func (f *file) Kill() error { return f.store.Close() }
