package checkpoint_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/checkpointtest"
)

func TestContract(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T, dir string) checkpoint.Store {
		admin, err := auth.Open(t.Context(), filepath.Join(dir, "admin.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Close() })
		return checkpoint.NewStore(admin.DB())
	})
}

// lossy is a store whose server another one takes the place of.
type lossy struct{ checkpoint.Store }

// A checkpoint that the server lost is put back, so that who begins on what the server
// has is stopped, too: nobody signs a second history beside the one that others may hold.
func TestLostCheckpointIsPutBack(t *testing.T) {
	h, replica, log, shorter := newHouse(t), newHouse(t), new(checkpointtest.Log), new(checkpointtest.Log)
	open := func(s checkpoint.Store, log checkpoint.Log) (*checkpoint.Keeper, error) {
		return checkpoint.Open(t.Context(), checkpoint.Config{Store: s, Log: log, Origin: h.origin})
	}
	log.Add(10, 0)
	shorter.Add(7, 0)
	s := &lossy{h.store()}
	k, err := open(s, log)
	if err != nil {
		t.Fatal(err)
	}
	last := h.sign(k)
	s.Store = replica.store() // as it was before
	log.Add(1, 0)
	if c, err := k.Sign(t.Context()); err != nil || c.Size != 11 {
		t.Errorf("got %d (%v), want it to go on", c.Size, err)
	}
	if got, err := s.At(t.Context(), last.Size); err != nil || string(got.Text) != string(last.Text) {
		t.Errorf("got %s (%v), want the lost one put back", got.Text, err)
	}
	if _, err := open(s, shorter); !errors.Is(err, checkpoint.ErrOldLog) {
		t.Errorf("one that begins on a log that lost records, too: got %v, want ErrOldLog", err)
	}
}

// A head that is signed once more under another origin has no cosignatures of
// the text with the former one; under the same it keeps them.
func TestCosignaturesAreOfTheirOrigin(t *testing.T) {
	h := newHouse(t)
	_, sk := h.witness()
	h.add(3)
	k := h.keeper()
	c := h.sign(k)
	if n, err := k.Cosign(t.Context(), cosign(t, c.Text, sk)); err != nil || n != 1 {
		t.Fatalf("got %d (%v), want 1", n, err)
	}
	for _, tt := range []struct {
		origin string
		lines  int
	}{{h.origin, 2}, {"moved.example/log", 1}, {"ssf.example/log", 1}} {
		h.origin = tt.origin
		h.sign(h.keeper())
		last, err := h.store().Last(t.Context())
		if err != nil || last.Origin != tt.origin || strings.Count(string(last.Text), "\n— ") != tt.lines {
			t.Errorf("under %s: got %s (%v), want %d signatures", tt.origin, last.Text, err, tt.lines)
		}
	}
}

// Two that sign into one store, which the folder's lock does not let happen
// (contracts.md §7), sign one history all the same: what one signed from
// another log is refused by the store.
func TestTwoSigners(t *testing.T) {
	h := newHouse(t)
	second, err := auth.Open(t.Context(), filepath.Join(h.dir, "admin.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	open := func(admin *auth.Store, log checkpoint.Log) *checkpoint.Keeper {
		k, err := checkpoint.Open(t.Context(), checkpoint.Config{
			Store: checkpoint.NewStore(admin.DB()), Log: log, Origin: h.origin, Now: func() time.Time { return epoch },
		})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := open(h.admin, h.log), open(second, h.log)
	var signing sync.WaitGroup
	for _, k := range []*checkpoint.Keeper{one, two} {
		signing.Go(func() {
			for range 20 {
				h.add(1)
				if _, err := k.Sign(context.Background()); err != nil {
					t.Errorf("Sign: got %v, want no error", err)
				}
			}
		})
	}
	signing.Wait()
	vkey, err := one.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	last := h.sign(one)
	all, err := h.store().All(t.Context(), 0, 1000)
	if err != nil || len(all) < 2 || last.Size != 40 {
		t.Fatalf("got %d checkpoints up to %d (%v), want some up to 40", len(all), last.Size, err)
	}
	for _, c := range all {
		if _, err := note.Open(c.Text, note.VerifierList(v)); err != nil {
			t.Errorf("checkpoint of %d: got %v, want one of the log's key", c.Size, err)
		}
	}

	other := newHouse(t)
	f := &forked{h.log, h.log}
	k := open(second, f)
	h.add(1)
	h.sign(one)
	f.other = other.log
	other.add(int(last.Size) + 1)
	if c, err := k.Sign(t.Context()); !errors.Is(err, checkpoint.ErrFork) && !errors.Is(err, checkpoint.ErrOtherLog) {
		t.Errorf("another history: got %d (%v), want it refused", c.Size, err)
	}
}
