package sqlitestore_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

func TestSuite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Harness { return &harness{t: t, dir: t.TempDir()} })
}

// TestSuiteSmall runs the suite with hardly anything in memory.
func TestSuiteSmall(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Harness { return &harness{t: t, dir: t.TempDir(), small: true} })
}

// harness keeps a store in a folder.
type harness struct {
	t     testing.TB
	dir   string
	small bool
	store *sqlitestore.Store
}

func (h *harness) Open(ctx context.Context, opts storetest.Options) (streams.Store, error) {
	cfg := sqlitestore.Config{
		Path:     filepath.Join(h.dir, "state.db"),
		MaxDepth: opts.MaxDepth,
		Report:   func(err error) { h.t.Errorf("in the background: %v", err) },
	}
	if h.small {
		cfg = cfg.Small()
	}
	s, err := sqlitestore.Open(ctx, cfg)
	h.store = s
	return s, err
}

func (h *harness) Close() error { return h.store.Close() }

// Kill goes on with a copy of the files as they are, which is what a process
// that is killed leaves.
func (h *harness) Kill() error {
	copied := h.t.TempDir()
	for _, name := range []string{"state.db", "state.db-wal"} {
		data, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			return err
		}
	}
	h.dir = copied
	return h.store.Close()
}
