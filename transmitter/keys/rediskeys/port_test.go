package rediskeys_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
)

// Keys come along from a file with their order and their last use, also when it is begun
// again; keys of another installation are not mixed with them.
func TestCopy(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		ctx := t.Context()
		admin, err := auth.Open(ctx, filepath.Join(t.TempDir(), "admin.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Close() })
		from := keys.NewStore(admin.DB())
		at, before := time.Unix(1_800_000_000, 0).UTC(), ""
		add := func(to keys.Store, kid string) {
			t.Helper()
			r := keys.Record{Key: keys.Key{ID: kid, Algorithm: jose.ES256, Created: at, LastUsed: at, Current: true}, Private: []byte(`{"d":"` + kid + `"}`)}
			if err := to.Add(ctx, r, before, at); err != nil {
				t.Fatal(err)
			}
			before, at = kid, at.Add(time.Hour)
		}
		add(from, "b")
		add(from, "a")
		cfg.Prefix = "copy"
		to := rediskeys.New(openDB(t, cfg))
		for range 2 {
			if err := keys.Copy(ctx, from, to); err != nil {
				t.Fatalf("copy: got %v, want no error", err)
			}
			want, err := from.Keys(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got, err := to.Keys(ctx)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("got %v, diff %s", err, diff)
			}
			add(from, "c"+before) // as if it had ended in between
			if err := from.Mark(ctx, map[string]time.Time{"b": at}); err != nil {
				t.Fatal(err)
			}
		}
		before = "ca"
		add(to, "other")
		if err := keys.Copy(ctx, from, to); !errors.Is(err, keys.ErrChanged) {
			t.Errorf("to a store with a key of its own: got %v, want ErrChanged", err)
		}
	})
}
