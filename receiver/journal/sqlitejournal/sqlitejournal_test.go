package sqlitejournal_test

import (
	"path/filepath"
	"strings"
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

// Each question is answered by the index that leaves least to look at.
func TestPlans(t *testing.T) {
	j := open(t, sqlitejournal.Config{Path: filepath.Join(t.TempDir(), "journal.db")})
	defer func() { _ = j.Close() }()
	const identity, txn = "entry_identity (jti=?", "entry_txn (txn=?)"
	plan, err := j.PlanOf(t.Context())
	if err != nil || !strings.Contains(plan, identity+" AND issuer=? AND feed=?)") {
		t.Errorf("of: got %q %v, want by the whole identity", plan, err)
	}
	for want, q := range map[string]journal.Query{
		identity + ")":                {ID: "a"},
		identity + " AND issuer=?)":   {ID: "a", Issuer: "i", Hook: "h", Verdict: journal.Done, TransactionID: "t"},
		txn:                           {TransactionID: "t", Feed: "f", Issuer: "i", Hook: "h"},
		"entry_hook (hook=?)":         {Hook: "h"},
		"entry_verdict (verdict=?)":   {Verdict: journal.Failed},
		"entry_hook_verdict (hook=? ": {Hook: "h", Verdict: journal.Failed, Feed: "f", Issuer: "i", Before: 7},
		"entry_feed (feed=?)":         {Feed: "f"},
		"entry_issuer (issuer=?)":     {Issuer: "i"},
		"SCAN entry":                  {}, // in its own order
	} {
		q.Max = 10
		if plan, err := j.PlanList(t.Context(), q); err != nil || !strings.Contains(plan, want) {
			t.Errorf("%+v: got %q %v, want %q", q, plan, err, want)
		}
	}
}
