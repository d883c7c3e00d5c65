package sqliteinbox_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
)

// Feeds that hold something are known, whether or not anybody follows them, also
// after a restart.
func TestFeeds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	in := open(t, sqliteinbox.Config{Path: path})
	of := func(feed string) inbox.Message {
		m := message(feed + "-1")
		m.Feed = feed
		return m
	}
	if _, err := in.Append(t.Context(), of("waits"), of("dies"), of("done")); err != nil {
		t.Fatal(err)
	}
	for feed, verdict := range map[string]inbox.Verdict{"dies": inbox.SetAside, "done": inbox.Done} {
		got, err := in.Take(t.Context(), feed, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Settle(t.Context(), inbox.Outcome{Seq: got[0].Seq, Verdict: verdict}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		got, err := in.Feeds(t.Context())
		if want := []string{"dies", "waits"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		in = open(t, sqliteinbox.Config{Path: path})
	}
	if err := in.Drop(t.Context(), "https://t.example", "dies-1"); err != nil {
		t.Fatal(err)
	}
	if got, err := in.Feeds(t.Context()); err != nil || !slices.Equal(got, []string{"waits"}) {
		t.Errorf("dead letter dropped: got %q (%v), want waits alone", got, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
}
