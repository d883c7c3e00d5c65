package keeper_test

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
)

// together is what two keepers share, in memory, with an inbox.
type together struct {
	inbox.Inbox // not the keepers' to close

	mu      sync.Mutex
	whose   string
	changed chan struct{} // closed when whose changes
	state   []byte
	members map[string]*member
}

func newTogether(t *testing.T) *together {
	t.Helper()
	in, err := sqliteinbox.Open(context.Background(), sqliteinbox.Config{Path: filepath.Join(t.TempDir(), "inbox.db")})
	must(t, err)
	t.Cleanup(func() { must(t, in.Close()) })
	return &together{Inbox: in, changed: make(chan struct{}), members: map[string]*member{}}
}

// give makes it the turn of a member.
func (s *together) give(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whose = name
	close(s.changed)
	s.changed = make(chan struct{})
}

// member is one of those who share; a keeper.Shared.
type member struct {
	*together
	name string
	told chan struct{}
}

// as lets a keeper share as that member.
func (s *together) as(name string) func(*keeper.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &member{s, name, make(chan struct{}, 1)}
	s.members[name] = m
	return func(cfg *keeper.Config) { cfg.State, cfg.Shared, cfg.Receiver.Inbox = "", m, s }
}

func (m *member) Turn(ctx context.Context, work func(context.Context)) {
	for ctx.Err() == nil {
		m.mu.Lock()
		mine, changed := m.whose == m.name, m.changed
		m.mu.Unlock()
		inner, cancel := context.WithCancel(ctx)
		var working sync.WaitGroup
		if mine {
			working.Go(func() { work(inner) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
		cancel()
		working.Wait()
	}
}

func (m *member) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, nil
}

func (m *member) Swap(_ context.Context, last, next []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.state, last) {
		return false, nil
	}
	m.state = next
	for _, other := range m.members {
		select {
		case other.told <- struct{}{}:
		default:
		}
	}
	return true, nil
}

func (m *member) Changed() <-chan struct{} { return m.told }

// Of two processes one keeps the stream, though what the transmitter pushes comes to the
// other; that one knows what the first sees, and goes on where it stopped.
func TestShared(t *testing.T) {
	p, s := newPeer(t), newTogether(t)
	var front string // where pushes come
	b := pushed(p, t.TempDir(), s.as("b"), func(cfg *keeper.Config) { front = cfg.Stream.Delivery.EndpointURL })
	a := pushed(p, t.TempDir(), s.as("a"), func(cfg *keeper.Config) { cfg.Stream.Delivery.EndpointURL = front })
	s.give("a")

	// The verification event comes to b.
	id := a.stands(keeper.OK).Stream.ID
	if h := b.stands(keeper.OK); h.Stream.ID != id || !h.Elsewhere || a.health().Elsewhere {
		t.Errorf("got %+v of b and %+v of a, want the stream %s kept by a alone", h, a.health(), id)
	}
	if verified := p.count("POST /verify"); verified != 1 {
		t.Errorf("got %d verifications, want one", verified)
	}

	// What the transmitter decided comes to b, and is not fought by a.
	p.set(id, "paused")
	p.updated(b, "u1", "paused", "too many refusals")
	decided := func(r *party) func() bool {
		return func() bool { s := r.health().Stream; return s.DecidedByTransmitter && s.Reason == "too many refusals" }
	}
	wait(t, "the decision at a", decided(a))
	wait(t, "the decision at b", decided(b))
	if n := p.count("POST /status"); n != 0 {
		t.Errorf("got %d attempts to change the status, want none", n)
	}
	p.set(id, "enabled")
	a.stands(keeper.OK)

	// b goes on: the same stream, told anew what it shall be, not verified before its time.
	verified := p.count("POST /verify")
	s.give("b")
	wait(t, "the turn of b", func() bool { return !b.health().Elsewhere && a.health().Elsewhere })
	p.looks(3)
	p.with(func() { p.stream(id)["description"] = "somebody's" })
	wait(t, "the repair by b", func() bool { return b.health().Stream.Repaired == 1 && a.health().Stream.Repaired == 1 })
	if n := p.count("POST /streams"); n != 1 {
		t.Errorf("got %d streams made, want one", n)
	}
	if n := p.count("POST /verify"); n != verified {
		t.Errorf("got %d verifications more, want none", n-verified)
	}
}

// Of two processes one polls, and the other begins when it ends.
func TestSharedPolls(t *testing.T) {
	h, s := openHouse(t), newTogether(t)
	token, source := h.token("ssf.manage ssf.read"), h.token("events.write")
	run := func(name string) *party {
		return start(t, h.issuer, t.TempDir(), func(cfg *keeper.Config, url string) {
			kept(token, false)(cfg, url)
			s.as(name)(cfg)
		})
	}
	a, b := run("a"), run("b")
	s.give("a")
	a.stands(keeper.OK)
	h.emit(source, "jo")
	either := func(user string) func() bool { return func() bool { return a.has(user)() || b.has(user)() } }
	wait(t, "the first event", either("jo"))
	if !b.health().Poll.Polled.IsZero() {
		t.Error("got b polling beside a")
	}
	a.stop()
	s.give("b")
	h.emit(source, "jo")
	wait(t, "the second event", func() bool { return len(a.users())+len(b.users()) == 2 })
	if b.health().Poll.Polled.IsZero() {
		t.Error("got b not polling after a")
	}
}
