package sqliteacts_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/actstest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/sqliteacts"
)

func TestContract(t *testing.T) {
	actstest.Run(t, func(t *testing.T, dir string, most int, remember time.Duration, now func() time.Time) actstest.Closer {
		s, err := sqliteacts.Open(t.Context(), sqliteacts.Config{Path: filepath.Join(dir, "acts.db"), MaxActs: most, Remember: remember, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]sqliteacts.Config{
		"no path": {}, "negative number": {Path: "x", MaxActs: -1}, "negative age": {Path: "x", Remember: -1},
	} {
		if _, err := sqliteacts.Open(t.Context(), cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
