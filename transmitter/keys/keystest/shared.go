package keystest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// seen is how soon a process sees what another one did (issue: within 1 s).
const seen = time.Second

// RunShared runs what is promised when several processes have the keys of one store,
// under virtual time. Such a backend passes Run, too.
func RunShared(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*processes)
	}{
		{"one key is made by processes that begin at once", oneFirst},
		{"rotated by one, signed with by the other", rotated},
		{"seen at once by who looks", seenAtOnce},
		{"rotated by both at once, none is lost", rotatedByBoth},
		{"retired by one, out of the other's key set", retired},
		{"the latest signature of all counts, contracts.md §6", latestCounts},
		{"marks that were lost, contracts.md §6", lostMarks},
		{"marked while it is removed, contracts.md §6", markedMeanwhile},
		{"another algorithm", otherAlgorithm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { tt.test(&processes{T: t, open: open, dir: dir}) })
		})
	}
}

type processes struct {
	*testing.T
	open Open
	dir  string
}

// ring opens the ring of another process, which does not run yet.
func (p *processes) ring() *keys.Ring {
	p.Helper()
	r, err := keys.Open(p.Context(), keys.Config{Store: p.open(p.T, p.dir), Algorithm: jose.EdDSA})
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// run runs a ring until end is called.
func (p *processes) run(r *keys.Ring) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.Context()))
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		p.check(<-done)
	}
}

func (p *processes) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("got %v, want no error", err)
	}
}

func (p *processes) rotate(r *keys.Ring) string {
	p.Helper()
	kid, err := r.Rotate(p.Context())
	p.check(err)
	return kid
}

func wait(d time.Duration) { <-time.After(d) }

// has reports whether the ring publishes a key.
func has(r *keys.Ring, kid string) bool {
	for _, k := range r.KeySet().Keys() {
		if k.ID() == kid {
			return true
		}
	}
	return false
}

func oneFirst(p *processes) {
	rings := make([]*keys.Ring, 5)
	stores := make([]keys.Store, len(rings))
	for i := range stores {
		stores[i] = p.open(p.T, p.dir)
	}
	var group sync.WaitGroup
	for i := range rings {
		group.Go(func() {
			var err error
			if rings[i], err = keys.Open(p.Context(), keys.Config{Store: stores[i], Algorithm: jose.EdDSA}); err != nil {
				p.Error(err)
			}
		})
	}
	group.Wait()
	if p.Failed() {
		return
	}
	for _, r := range rings {
		if got := r.List(); len(got) != 1 || got[0].ID != rings[0].Signer().KeyID() {
			p.Errorf("got %+v, want the one key of all", got)
		}
	}
}

func rotated(p *processes) {
	a, b := p.ring(), p.ring()
	defer p.run(b)()
	before, set := b.Signer().KeyID(), b.KeySet()
	wait(10 * seen)
	if b.KeySet() != set {
		p.Error("got another key set though nothing changed, want the same pointer")
	}
	kid := p.rotate(a)
	wait(seen)
	if got := b.Signer().KeyID(); got != kid || b.TokenSigner().KeyID() != kid {
		p.Errorf("got %s, want the new key %s", got, kid)
	}
	if !has(b, kid) || !has(b, before) {
		p.Error("got a key set that lacks one, want both keys published")
	}
}

func seenAtOnce(p *processes) {
	a, b := p.ring(), p.ring()
	for range 3 {
		kid := p.rotate(a)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if err := b.Look(p.Context()); err != nil || !has(b, kid) {
					p.Errorf("got no key %s (%v), want it", kid, err)
				}
			})
		}
		group.Wait()
	}
}

func rotatedByBoth(p *processes) {
	a, b := p.ring(), p.ring()
	first := a.Signer().KeyID()
	const each = 3
	made := make([][]string, 2)
	var group sync.WaitGroup
	for i, r := range []*keys.Ring{a, b} {
		group.Go(func() {
			for range each {
				kid, err := r.Rotate(p.Context())
				if err != nil {
					p.Error(err)
				}
				made[i] = append(made[i], kid)
			}
		})
	}
	group.Wait()
	p.check(a.Look(p.Context()))
	p.check(b.Look(p.Context()))
	for _, r := range []*keys.Ring{a, b} {
		for _, kid := range append(append([]string{first}, made[0]...), made[1]...) {
			if !has(r, kid) {
				p.Errorf("got no key %s, want every key", kid)
			}
		}
		if n := len(r.List()); n != 1+2*each {
			p.Errorf("got %d keys, want %d", n, 1+2*each)
		}
	}
	if a.Signer().KeyID() != b.Signer().KeyID() {
		p.Error("got two current keys, want one")
	}
}

func retired(p *processes) {
	a, b := p.ring(), p.ring()
	defer p.run(b)()
	old := a.Signer().KeyID()
	p.rotate(a)
	wait(seen)
	p.check(a.Retire(p.Context(), old, true))
	wait(seen)
	if has(b, old) || len(b.List()) != 1 {
		p.Errorf("got %+v, want the retired key gone", b.List())
	}
	b.Signed(old) // a straggler
	if err := b.Retire(p.Context(), old, false); !errors.Is(err, keys.ErrNotFound) {
		p.Errorf("retired twice: got %v, want ErrNotFound", err)
	}
}

// One process rotates; the other, which has not seen it, signs with the old key, and
// later still.
func latestCounts(p *processes) {
	a, b := p.ring(), p.ring()
	old := a.Signer().KeyID()
	p.rotate(a)
	wait(2 * time.Hour) // b was frozen
	b.Signed(old)
	last := time.Now()
	end := p.run(b)
	wait(time.Minute)
	end()
	wait(time.Until(last.Add(keys.Overlap)))
	err := a.Retire(p.Context(), old, false)
	var soon *keys.TooSoonError
	if !errors.As(err, &soon) || soon.After.Before(last.Add(keys.Overlap)) {
		p.Fatalf("24 h after the signature: got %v, want a TooSoonError after %v", err, last.Add(keys.Overlap))
	}
	wait(time.Until(soon.After))
	p.check(a.Retire(p.Context(), old, false))
}

// A process signs with the old key until it sees the rotation, and is killed before it
// has saved that.
func lostMarks(p *processes) {
	a, b := p.ring(), p.ring()
	old := a.Signer().KeyID()
	p.rotate(a)
	wait(seen)
	b.Signed(old)
	last := time.Now()
	wait(keys.Overlap) // b is gone
	if err := a.Retire(p.Context(), old, false); !errors.Is(err, keys.ErrTooSoon) {
		p.Errorf("24 h after the rotation: got %v, want ErrTooSoon", err)
	}
	wait(2 * time.Minute)
	if time.Since(last) < keys.Overlap {
		p.Fatal("the test's times are wrong")
	}
	p.check(a.Retire(p.Context(), old, false))
}

// marking marks a key just before it is removed.
type marking struct {
	keys.Shared
	at time.Time
}

func (m *marking) Remove(ctx context.Context, kid string, unused time.Time) error {
	if err := m.Mark(ctx, map[string]time.Time{kid: m.at}); err != nil {
		return err
	}
	return m.Shared.Remove(ctx, kid, unused)
}

func markedMeanwhile(p *processes) {
	shared, ok := p.open(p.T, p.dir).(keys.Shared)
	if !ok {
		p.Fatal("got a store that is not keys.Shared, want it to be")
	}
	m := &marking{Shared: shared}
	r, err := keys.Open(p.Context(), keys.Config{Store: m, Algorithm: jose.EdDSA})
	p.check(err)
	old := r.Signer().KeyID()
	p.rotate(r)
	wait(2 * keys.Overlap)
	m.at = time.Now().Truncate(time.Second)
	var soon *keys.TooSoonError
	if err := r.Retire(p.Context(), old, false); !errors.As(err, &soon) || soon.After.Before(m.at.Add(keys.Overlap)) {
		p.Errorf("got %v, want a TooSoonError after %v", err, m.at.Add(keys.Overlap))
	}
	if !has(r, old) {
		p.Error("got the key removed, want it there")
	}
}

// A process with another algorithm makes a key, and the other signs with it.
func otherAlgorithm(p *processes) {
	a := p.ring()
	defer p.run(a)()
	b, err := keys.Open(p.Context(), keys.Config{Store: p.open(p.T, p.dir), Algorithm: jose.ES256})
	p.check(err)
	wait(seen)
	if got, want := a.Signer().KeyID(), b.Signer().KeyID(); got != want || a.Signer().Algorithm() != jose.ES256 {
		p.Errorf("got %s of %s, want %s of ES256", got, a.Signer().Algorithm(), want)
	}
}
