package keys_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// fakeStore keeps keys in memory and fails on demand.
type fakeStore struct {
	mu    sync.Mutex
	kept  []keys.Record
	marks map[string]time.Time
	fail  error
}

func (s *fakeStore) Keys(context.Context) ([]keys.Record, error) { return s.kept, s.fail }

func (s *fakeStore) Add(_ context.Context, r keys.Record, _ string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.kept = append(s.kept, r)
	}
	return s.fail
}

func (s *fakeStore) Announce(context.Context, keys.Record, string) error { return s.fail }

func (s *fakeStore) Promote(context.Context, string, string, time.Time) error { return s.fail }

func (s *fakeStore) Replace(context.Context, string, []byte, []byte) error { return s.fail }

func (s *fakeStore) Mark(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.marks = used
	}
	return s.fail
}

func (s *fakeStore) Remove(context.Context, string, time.Time) error { return s.fail }

func (s *fakeStore) mark(kid string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[kid]
}

func (s *fakeStore) breakWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// A mark is durable within a minute, and at the end of Run.
func TestRunSavesMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		var lines strings.Builder
		r, err := keys.Open(t.Context(), keys.Config{
			Store: s, Algorithm: jose.EdDSA, Logger: slog.New(slog.NewTextHandler(&lines, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		kid := r.Signer().KeyID()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		wait := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}

		wait(45 * time.Second)
		used := time.Now()
		r.Signed(kid)
		wait(time.Minute)
		if got := s.mark(kid); !got.Equal(used.Truncate(time.Second)) {
			t.Errorf("after a minute: got %v, want %v", got, used)
		}

		s.breakWith(errors.New("disk full"))
		used = time.Now()
		r.Signed(kid)
		wait(time.Minute)
		if !strings.Contains(lines.String(), "disk full") {
			t.Errorf("log: got %q, want the failure", lines.String())
		}
		s.breakWith(nil)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		if got := s.mark(kid); !got.Equal(used.Truncate(time.Second)) {
			t.Errorf("at the end of Run: got %v, want %v", got, used)
		}
	})
}

// A store that fails leaves the ring as it was.
func TestStoreFailureChangesNothing(t *testing.T) {
	s, broken := &fakeStore{}, errors.New("disk full")
	c := newClock()
	r := open(t, s, jose.EdDSA, c)
	old := r.Signer().KeyID()
	rotate(t, r)
	current := r.Signer().KeyID()
	s.breakWith(broken)
	if _, err := r.Rotate(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Rotate: got %v, want the store's error", err)
	}
	if err := r.Retire(t.Context(), old, true); !errors.Is(err, broken) {
		t.Errorf("Retire: got %v, want the store's error", err)
	}
	c.add(time.Hour)
	r.Signed(current)
	if err := r.Close(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Close: got %v, want the store's error", err)
	}
	if got := r.List(); len(got) != 2 || got[0].ID != current || len(r.KeySet().Keys()) != 2 {
		t.Errorf("got %+v, want the same two keys", got)
	}
	if _, err := keys.Open(t.Context(), keys.Config{Store: s}); !errors.Is(err, broken) {
		t.Errorf("Open: got %v, want the store's error", err)
	}
}

func BenchmarkSigned(b *testing.B) {
	r, err := keys.Open(b.Context(), keys.Config{Store: &fakeStore{}, Algorithm: jose.EdDSA})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Signed(r.Signer().KeyID())
	}
}
