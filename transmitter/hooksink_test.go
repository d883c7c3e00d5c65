package transmitter_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hookSink is the receiver of a webhook; it keeps what it is sent.
type hookSink struct {
	*httptest.Server
	t testing.TB

	mu   sync.Mutex
	got  []hooked
	seen map[string]int // accepted, by the event's id
	// answer writes what is not a 204; it reports false to have that.
	answer func(w http.ResponseWriter, r *http.Request, h hooked) bool
}

// hooked is one request.
type hooked struct {
	header http.Header
	body   string
	ids    []string // of the events in it, in their order
}

func newHookSink(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, h hooked) bool) *hookSink {
	s := &hookSink{t: t, seen: map[string]int{}, answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *hookSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h := hooked{header: r.Header, body: string(body)}
	for _, doc := range s.docs(h) {
		h.ids = append(h.ids, doc["id"].(string))
	}
	s.mu.Lock()
	s.got = append(s.got, h)
	s.mu.Unlock()
	if s.answer != nil && s.answer(w, r, h) {
		return
	}
	s.mu.Lock()
	for _, id := range h.ids {
		s.seen[id]++
	}
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// docs reads the events of a request in any format.
func (s *hookSink) docs(h hooked) (docs []map[string]any) {
	s.t.Helper()
	if strings.HasPrefix(h.body, "[") {
		if err := json.Unmarshal([]byte(h.body), &docs); err != nil {
			s.t.Errorf("array: got %v", err)
		}
		return docs
	}
	dec := json.NewDecoder(strings.NewReader(h.body))
	for dec.More() {
		var one map[string]any
		if err := dec.Decode(&one); err != nil {
			s.t.Errorf("got %q: %v", h.body, err)
			return docs
		}
		docs = append(docs, one)
	}
	return docs
}

func (s *hookSink) requests() []hooked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]hooked(nil), s.got...)
}

// accepted returns how many different events were accepted.
func (s *hookSink) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// verify checks the signature of a request with the specification's library.
func (h hooked) verify(secret string) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.Verify([]byte(h.body), h.header)
}

// neverAgain is a schedule by which nothing is tried again within a test.
func neverAgain() []time.Duration { return []time.Duration{24 * time.Hour} }
