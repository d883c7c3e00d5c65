// Package vaulttest is the suite of the contract vault.Store: each promise of it is a case
// that every backend passes.
package vaulttest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Run runs every case against stores made by open, each of a place of its own; again opens
// the one before once more, as another process.
func Run(t *testing.T, open func(t *testing.T) (store vault.Store, again func() vault.Store)) {
	t.Run("none at first, then what was put", func(t *testing.T) {
		s, again := open(t)
		wantHeader(t, s, "")
		check(t, s.Replace(t.Context(), nil, []byte("a\x00b")))
		wantHeader(t, again(), "a\x00b")
		check(t, again().Replace(t.Context(), []byte("a\x00b"), []byte("c")))
		wantHeader(t, s, "c")
	})
	t.Run("not in the place of another", func(t *testing.T) {
		s, _ := open(t)
		if err := s.Replace(t.Context(), []byte("x"), []byte("y")); !errors.Is(err, vault.ErrChanged) {
			t.Errorf("of one that is not there: got %v, want ErrChanged", err)
		}
		check(t, s.Replace(t.Context(), nil, []byte("a")))
		for _, from := range [][]byte{nil, []byte("x")} {
			if err := s.Replace(t.Context(), from, []byte("b")); !errors.Is(err, vault.ErrChanged) {
				t.Errorf("from %q: got %v, want ErrChanged", from, err)
			}
		}
		wantHeader(t, s, "a")
	})
	t.Run("put by several at once, one is", func(t *testing.T) {
		s, again := open(t)
		var group sync.WaitGroup
		var won atomic.Int32
		for i, store := range []vault.Store{s, again(), again()} {
			group.Go(func() {
				switch err := store.Replace(t.Context(), nil, []byte{byte('a' + i)}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, vault.ErrChanged):
					t.Errorf("got %v, want ErrChanged", err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Errorf("got %d that were put, want one", won.Load())
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
}

func wantHeader(t *testing.T, s vault.Store, want string) {
	t.Helper()
	got, err := s.Header(t.Context())
	check(t, err)
	if string(got) != want || want == "" && got != nil {
		t.Errorf("got %q, want %q", got, want)
	}
}
