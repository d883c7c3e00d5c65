package storm

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// Sends returns the load of a running server alone: what its events lead to is read from
// what others were told ([Told]).
func Sends(t *testing.T, server *proctest.Server, pace time.Duration) *Storm {
	t.Helper()
	s := &Storm{Server: server, Pace: pace, client: &http.Client{Timeout: 5 * time.Second}, over: make(chan struct{})}
	var err error
	if s.Source, err = server.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	return s
}

// SendAll is Send, but for its end: the last event of the sender, too, is sent until it is
// answered 202, so that all that was sent is known.
func (s *Storm) SendAll(ctx context.Context, sender int) {
	s.send(ctx, context.WithoutCancel(ctx), sender)
}

// Sent returns how many events were answered 202.
func (s *Storm) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// Told is a receiver by what it did, in order.
func Told(name string) *Receiver { return &Receiver{Name: name} }

// Did adds what was done for an event, once or again.
func (r *Receiver) Did(jti, txn, subject string) {
	r.arrivals = append(r.arrivals, arrival{jti: jti, txn: txn, subject: subject})
}

// JudgeTold fails unless everything that was sent was done, nothing else was, an event has
// one jti, and those of a subject were done in the order in which they were accepted.
func (s *Storm) JudgeTold(t *testing.T, r *Receiver) {
	t.Helper()
	if missing := s.Missing(r); len(missing) > 0 {
		t.Errorf("%s: events answered 202 of which nothing came: got %d of %d, want 0: %v", r.Name, len(missing), s.Sent(), missing[:min(5, len(missing))])
	}
	known := map[string]Sent{}
	for _, e := range s.sent {
		known[e.id] = e
	}
	first, once := *Told(r.Name), map[string]bool{}
	for _, a := range r.arrivals {
		if e, ok := known[a.txn]; !ok || e.subject != a.subject {
			t.Errorf("%s: got event %s about %s, which was never sent", r.Name, a.txn, a.subject)
		}
		if !once[a.jti] {
			once[a.jti] = true
			first.arrivals = append(first.arrivals, a)
		}
	}
	s.judgeIdentity(t, &first)
	s.judgeOrder(t, &first)
	t.Logf("%s: %d events, %d done again", r.Name, len(first.arrivals), len(r.arrivals)-len(first.arrivals))
}
