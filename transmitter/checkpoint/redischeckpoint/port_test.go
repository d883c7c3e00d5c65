package redischeckpoint_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Key, checkpoints and cosignatures come along from a file, also when it is begun again,
// and the history goes on from there.
func TestCopy(t *testing.T) {
	ctx := t.Context()
	admin, err := auth.Open(ctx, filepath.Join(t.TempDir(), "admin.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	from := checkpoint.NewStore(admin.DB())
	db := openDB(t, redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true})
	to := redischeckpoint.New(db)
	count := 0
	done := func(n int) { count += n }
	if err := checkpoint.Copy(ctx, from, to, done); err != nil || count != 0 {
		t.Fatalf("of a log that was never signed: got %d, %v, want none", count, err)
	}
	if _, err := to.Verifier(ctx); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("of a log that was never signed: got %v, want ErrNone", err)
	}
	key, _, err := from.Key(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var last eventlog.Tree
	add := func(s checkpoint.Store, i int) {
		t.Helper()
		c := checkpoint.Checkpoint{Origin: "x", Made: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * 5 * time.Minute)}
		c.Size, c.Root[0] = uint64(10*i), byte(i+1)
		c.Text = fmt.Appendf(nil, "x\n%d\nroot\n\n— x signature\n", c.Size)
		if err := s.Add(ctx, c, last); err != nil {
			t.Fatal(err)
		}
		last = c.Tree
	}
	for i := range 60 {
		add(from, i)
		if i%7 != 0 {
			continue
		}
		for hash, witness := range []string{"w", "v"} {
			if err := from.Cosign(ctx, uint64(10*i), witness, uint32(hash), fmt.Sprintf("— %s line %d\n", witness, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		count = 0
		if err := checkpoint.Copy(ctx, from, to, done); err != nil {
			t.Fatalf("copy: got %v, want no error", err)
		}
		want, err := from.All(ctx, 0, checkpoint.MaxPage)
		if err != nil || count != len(want) || len(want) >= 60 {
			t.Errorf("got %d (%v), want the %d that were not thinned out", count, err, len(want))
		}
		got, err := to.All(ctx, 0, checkpoint.MaxPage)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("got %v, diff %s", err, diff)
		}
		for _, c := range want {
			with, errWant := from.At(ctx, c.Size)
			got, err := to.At(ctx, c.Size)
			if diff := cmp.Diff(with, got); errWant != nil || err != nil || diff != "" {
				t.Errorf("with cosignatures: got %v, %v, diff %s", errWant, err, diff)
			}
		}
	}
	for _, witness := range []string{"v", "w"} {
		want, errWant := from.Cosigned(ctx, witness)
		got, err := to.Cosigned(ctx, witness)
		if diff := cmp.Diff(want, got); errWant != nil || err != nil || diff != "" {
			t.Errorf("cosigned by %s: got %v, %v, diff %s", witness, errWant, err, diff)
		}
	}
	if got, origin, err := to.Key(ctx); err != nil || origin != "x" || string(got.Stored()) != string(key.Stored()) {
		t.Errorf("key: got origin %q (%v), want x and the same key", origin, err)
	}
	add(to, 60)
	if err := to.ImportKey(ctx, checkpoint.NewKey()); !errors.Is(err, checkpoint.ErrOtherKey) {
		t.Errorf("another key: got %v, want ErrOtherKey", err)
	}
}
