package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handled is a client whose requests a handler answers in this process, so that
// their time is virtual.
func handled(h http.Handler) *http.Client { return &http.Client{Transport: roundTrip{h}} }

type roundTrip struct{ http.Handler }

func (rt roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w.Result(), nil
}

// store keeps sources and places in memory, as auth.Store does on disk.
type store struct {
	mu      sync.Mutex
	sources []auth.CalledSource
	changed chan struct{}
	fail    error // of SavePlace
	saves   int
}

func (s *store) CalledSources(context.Context) ([]auth.CalledSource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]auth.CalledSource(nil), s.sources...), nil
}

func (s *store) SavePlace(_ context.Context, name, registration string, place auth.VendorPlace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	for i := range s.sources {
		if s.sources[i].Name == name && s.sources[i].Registration == registration {
			s.sources[i].Place = place
			s.saves++
			return nil
		}
	}
	return auth.ErrNotFound
}

func (s *store) VendorsChanged() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// change replaces the sources.
func (s *store) change(sources ...auth.CalledSource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources = sources
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *store) place() auth.VendorPlace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[0].Place
}

// log keeps records by their id, as the event log does.
type log struct {
	mu     sync.Mutex
	kept   []string
	again  int // records that were kept before
	offers int
	err    error
	before func(n int) // called before the n-th offer, from 1
}

func (l *log) accept(_ context.Context, _ *auth.VendorSource, records []json.RawMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offers++
	if l.before != nil {
		l.before(l.offers)
	}
	if l.err != nil {
		return l.err
	}
	for _, raw := range records {
		var head struct {
			ID    json.Number `json:"id"`
			Event string      `json:"event_id"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return err
		}
		id := head.ID.String() + head.Event
		if contains(l.kept, id) {
			l.again++
			continue
		}
		l.kept = append(l.kept, id)
	}
	return nil
}

func (l *log) count() (kept, again int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.kept), l.again
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

const (
	every   = time.Minute
	overlap = 2 * time.Minute
)

// polled is a source of that kind that is polled from since on.
func polled(kind string, since time.Time) auth.CalledSource {
	api := &auth.VendorAPI{URL: "https://vendor.example", Secret: "secret", Every: every, Overlap: overlap, Since: since}
	if kind == auth.KindFingerprint {
		api.URL += "/v4/"
	}
	return auth.CalledSource{
		VendorSource: auth.VendorSource{Source: auth.Source{Name: kind}, Kind: kind, Auth: auth.VendorOff, API: api},
		Registration: "r1", Place: auth.VendorPlace{Since: since},
	}
}

// world is pollers on a store, with a vendor.
type world struct {
	*store
	*log
	logs    *strings.Builder
	crash   func(point string)
	outcome []string
}

func newWorld(sources ...auth.CalledSource) *world {
	return &world{store: &store{sources: sources}, log: &log{}, logs: &strings.Builder{}}
}

// start runs pollers until the returned function is called.
func (w *world) start(t *testing.T, vendor http.Handler) (stop func()) {
	t.Helper()
	p, err := source.NewPollers(source.Config{
		Store: w.store, Accept: w.accept, HTTP: handled(vendor), Crash: w.crash,
		Observe: func(name string, err error, _ auth.VendorPlace) {
			w.log.mu.Lock()
			defer w.log.mu.Unlock()
			w.outcome = append(w.outcome, fmt.Sprint(name, " ", err == nil))
		},
		Logger: slog.New(slog.NewTextHandler(w.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v", err)
		}
	}
}

var errDown = errors.New("down")

// pass lets virtual time pass, and what happens in it settle.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
