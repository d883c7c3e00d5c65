package sqlitejournal_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/journaltest"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
)

func open(t *testing.T, cfg sqlitejournal.Config) *sqlitejournal.Journal {
	t.Helper()
	j, err := sqlitejournal.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestContract(t *testing.T) {
	in := func(t *testing.T, dir string, max int) journaltest.Closer {
		return open(t, sqlitejournal.Config{Path: filepath.Join(dir, "journal.db"), MaxEntries: max})
	}
	journaltest.Run(t, in)
	journaltest.RunDurable(t, in)
}

func TestConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	for name, cfg := range map[string]sqlitejournal.Config{
		"forgets too soon": {Path: path, Remember: journal.MinRemember - time.Second},
		"negative bound":   {Path: path, MaxEntries: -1},
		"no path":          {},
	} {
		if j, err := sqlitejournal.Open(t.Context(), cfg); err == nil {
			_ = j.Close()
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
