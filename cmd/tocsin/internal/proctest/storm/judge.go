package storm

import (
	"context"
	"sync"
	"testing"
)

// Run runs the load while fn does its work to the nodes, and judges.
func (s *Storm) Run(t *testing.T, fn func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var senders, pollers sync.WaitGroup
	for i := range 3 {
		senders.Go(func() { s.Send(ctx, i) })
	}
	for _, r := range s.Receivers {
		if r.Poll != "" {
			pollers.Go(func() { s.PollLoop(t.Context(), r) })
		}
	}
	fn()
	stop()
	senders.Wait()
	s.Settle(t)
	s.End()
	pollers.Wait()
	s.mu.Lock()
	t.Logf("%d events", len(s.sent))
	if len(s.sent) == 0 {
		t.Error("no event was accepted: it proves nothing")
	}
	s.mu.Unlock()
	for _, r := range s.Receivers {
		if missing := s.Missing(r); len(missing) > 0 {
			t.Errorf("%s: events answered 202 and never delivered: got %d, want 0: %v", r.Name, len(missing), missing[:min(5, len(missing))])
		}
		s.judgeIdentity(t, r)
		s.judgeOrder(t, r)
		for _, again := range r.repeats {
			if r.Poll != "" && again.acked {
				t.Errorf("%s: %s came back after its acknowledgement was answered", r.Name, again.jti)
			}
		}
	}
}

// Missing returns the events that a receiver does not have.
func (s *Storm) Missing(r *Receiver) []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	have := map[string]bool{}
	for _, a := range r.arrivals {
		have[a.txn] = true
	}
	var out []Sent
	for _, e := range s.sent {
		if !have[e.id] {
			out = append(out, e)
		}
	}
	return out
}

// Judge compares what was sent with what arrived.
func (s *Storm) Judge(t *testing.T) {
	t.Helper()
	t.Logf("%d events, %d kills", len(s.sent), s.life)
	if len(s.sent) == 0 {
		t.Fatal("no event was accepted: the storm proves nothing")
	}
	for _, r := range s.Receivers {
		t.Run(r.Name, func(t *testing.T) {
			if missing := s.Missing(r); len(missing) > 0 {
				t.Errorf("events answered 202 and never delivered: got %d, want 0: %v", len(missing), missing[:min(5, len(missing))])
			}
			s.judgeIdentity(t, r)
			s.judgeOrder(t, r)
			s.judgeRepeats(t, r)
		})
	}
}

// judgeIdentity: one event has one jti on a stream, whatever happened.
func (s *Storm) judgeIdentity(t *testing.T, r *Receiver) {
	t.Helper()
	jtis := map[string]string{}
	for _, a := range r.arrivals {
		if other, ok := jtis[a.txn]; ok && other != a.jti {
			t.Errorf("event %s left under two jtis: %s and %s", a.txn, other, a.jti)
		}
		jtis[a.txn] = a.jti
	}
}

// judgeOrder: first arrivals of a subject come in the order of acceptance.
func (s *Storm) judgeOrder(t *testing.T, r *Receiver) {
	t.Helper()
	number := map[string]int{}
	for _, e := range s.sent {
		number[e.id] = e.n
	}
	last := map[string]int{}
	for _, a := range r.arrivals {
		n, ok := number[a.txn]
		if !ok {
			continue // accepted, but its answer was lost at the end
		}
		if before, ok := last[a.subject]; ok && n < before {
			t.Errorf("%s: event %d arrived after %d", a.subject, n, before)
		}
		last[a.subject] = n
	}
}

// judgeRepeats: what was acknowledged by a poll never comes back; what was
// answered 202 comes back only if the server was killed before it had written
// the answer down: in a later life, at most a window for each kill.
func (s *Storm) judgeRepeats(t *testing.T, r *Receiver) {
	t.Helper()
	perLife := map[int]map[string]bool{} // jtis by the life that first sent them
	for _, again := range r.repeats {
		switch {
		case r.Poll != "" && again.acked:
			t.Errorf("%s came back after its acknowledgement was answered", again.jti)
		case r.Poll == "" && again.life == again.first.life:
			t.Errorf("%s came back in the life in which it was answered 202", again.jti)
		case r.Poll == "":
			if perLife[again.first.life] == nil {
				perLife[again.first.life] = map[string]bool{}
			}
			perLife[again.first.life][again.jti] = true
		}
	}
	for life, jtis := range perLife {
		if len(jtis) > window {
			t.Errorf("SETs answered 202 in life %d that came back: got %d, want at most %d", life, len(jtis), window)
		}
	}
}
