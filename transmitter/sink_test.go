package transmitter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
)

// sink is a push receiver that keeps what it is sent.
type sink struct {
	*httptest.Server
	t testing.TB

	mu   sync.Mutex
	got  []pushed
	seen map[string]bool // txn
	// status answers; 0: 202.
	status func(n int) int
}

// pushed is one request.
type pushed struct {
	jti, txn, eventType string
	compact             string
	header              http.Header
}

func newSink(t testing.TB) *sink {
	s := &sink{t: t, seen: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	token, err := set.Parse(body)
	if err != nil {
		s.t.Errorf("sink: got %q: %v", body, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status := 0
	if s.status != nil {
		status = s.status(len(s.got))
	}
	if status == 0 {
		status = http.StatusAccepted
		s.seen[token.TransactionID] = true
	}
	s.got = append(s.got, pushed{token.ID, token.TransactionID, token.Type(), string(body), r.Header})
	w.WriteHeader(status)
}

// requests returns all pushes so far.
func (s *sink) requests() []pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]pushed(nil), s.got...)
}

// transactions returns the txn of what was accepted, each once.
func (s *sink) transactions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for txn := range s.seen {
		out = append(out, txn)
	}
	return out
}
