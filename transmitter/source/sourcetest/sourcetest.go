// Package sourcetest holds small servers that behave as the APIs of OneLogin,
// Fingerprint and ID.me are documented, errors and paging included, and fail on
// request. What is not documented they refuse, so that a client that relies on
// it is found out.
package sourcetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Event is a record that a server has.
type Event struct {
	ID   int64 // orders the events of a server
	Time time.Time
	JSON string
}

// Fault is an answer that stands for the next one.
type Fault struct {
	Status     int
	RetryAfter string // header; empty: none
	Body       string
}

// server is what the servers have in common. Safe for concurrent use.
type server struct {
	mu     sync.Mutex
	events []Event
	faults []Fault
	calls  []*http.Request
	after  func(n int) // see After
}

// Add adds events.
func (s *server) Add(events ...Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	slices.SortStableFunc(s.events, func(a, b Event) int { return int(a.ID - b.ID) })
}

// Fail makes the next answers faults, in order.
func (s *server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// After calls fn with the number of the call, from 1, before it is answered.
func (s *server) After(fn func(n int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = fn
}

// Calls returns the queries of the calls so far, with their paths.
func (s *server) Calls() []*url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	urls := make([]*url.URL, len(s.calls))
	for i, r := range s.calls {
		urls[i] = r.URL
	}
	return urls
}

// begin notes a call and answers it with a fault, if one is due.
func (s *server) begin(w http.ResponseWriter, r *http.Request) (done bool) {
	s.mu.Lock()
	s.calls = append(s.calls, r)
	n, after := len(s.calls), s.after
	var fault *Fault
	if len(s.faults) > 0 {
		fault, s.faults = &s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if after != nil {
		after(n)
	}
	if fault == nil || fault.Status == 0 {
		return false
	}
	if fault.RetryAfter != "" {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	w.WriteHeader(fault.Status)
	_, _ = w.Write([]byte(fault.Body))
	return true
}

// between returns the events strictly after since and strictly before until;
// zero bounds nothing.
func (s *server) between(since, until time.Time) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Event
	for _, e := range s.events {
		if (since.IsZero() || e.Time.After(since)) && (until.IsZero() || e.Time.Before(until)) {
			out = append(out, e)
		}
	}
	return out
}

// find returns the event with an id.
func (s *server) find(id string) (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if strconv.FormatInt(e.ID, 10) == id {
			return e, true
		}
	}
	return Event{}, false
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// raw returns the JSON of events.
func raw(events []Event) []json.RawMessage {
	out := make([]json.RawMessage, len(events))
	for i, e := range events {
		out[i] = json.RawMessage(e.JSON)
	}
	return out
}

// unknown returns the name of a parameter that is not listed or stands twice.
func unknown(q url.Values, names ...string) string {
	for name, values := range q {
		if !slices.Contains(names, name) || len(values) != 1 {
			return name
		}
	}
	return ""
}
