// Package hookstest is the suite that every hook passes which calls an HTTP server.
package hookstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
)

// MaxRead is how many bytes of an endless answer may be sent before the hook hangs up:
// what it reads, and what is on the way in buffers.
const MaxRead = 16 << 20

// Subject makes a hook and what stands behind it.
type Subject struct {
	// New returns the hook that calls a server at base, by client.
	New func(t *testing.T, base string, client call.Config) hooks.Hook
	// Server behaves as the hook's server is documented.
	Server func(t *testing.T) http.Handler
	// Calls is how many requests the action takes; zero: one. The server is at fault
	// from the first of them on, from the second, and so on.
	Calls int
	// Action is one that the hook does.
	Action hooks.Action
	// Secrets are texts that no error may hold: credentials and identifiers.
	Secrets []string
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	t.Run("done, and again", s.done)
	t.Run("nobody listens", s.unreachable)
	t.Run("addresses are guarded", s.guarded)
	for well := range max(s.Calls, 1) {
		f := faults{s, well}
		t.Run(fmt.Sprintf("fault at request %d", well+1), func(t *testing.T) {
			t.Run("a deadline is heeded", f.deadline)
			t.Run("redirects are not followed", f.redirect)
			t.Run("an endless answer is cut", f.endless)
			t.Run("statuses", f.statuses)
		})
	}
}

// faults are those of a server that answers the first requests well.
type faults struct {
	Subject
	well int
}

func (s Subject) hook(t *testing.T, base string) hooks.Hook {
	t.Helper()
	return s.New(t, base, call.Config{InsecureLoopback: true, Timeout: time.Minute})
}

// faulty starts a server at fault, until it is mended.
func (f faults) faulty(t *testing.T, fault http.HandlerFunc) (base string, mend func()) {
	t.Helper()
	well, left := f.Server(t), atomic.Int64{}
	left.Store(int64(f.well))
	mend = func() { left.Store(math.MaxInt64) }
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) >= 0 {
			well.ServeHTTP(w, r)
			return
		}
		fault(w, r)
	})), mend
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// done: repetition is harmless.
func (s Subject) done(t *testing.T) {
	h := s.hook(t, serve(t, s.Server(t)))
	for range 2 {
		if _, err := h.Act(t.Context(), s.Action); err != nil {
			t.Fatalf("got %v, want none", err)
		}
	}
}

func (f faults) deadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	release := make(chan struct{})
	base, _ := f.faulty(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel() // the deadline passes while the server is silent
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	_ = f.again(t, func() error { _, err := f.hook(t, base).Act(ctx, f.Action); return err })
}

func (f faults) redirect(t *testing.T) {
	var followed atomic.Bool
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	base, _ := f.faulty(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	_, err := f.hook(t, base).Act(t.Context(), f.Action)
	if err == nil || errors.Is(err, hooks.ErrNotApplicable) || followed.Load() {
		t.Errorf("got %v, followed %v, want an error and nothing followed", err, followed.Load())
	}
}

func (f faults) endless(t *testing.T) {
	var sent atomic.Int64
	base, _ := f.faulty(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		chunk := []byte(strings.Repeat("x", 64<<10))
		for sent.Load() < 2*MaxRead {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	_, _ = f.hook(t, base).Act(t.Context(), f.Action) // may be done: the status says so
	if n := sent.Load(); n > MaxRead {
		t.Errorf("got %d bytes taken, want at most %d", n, MaxRead)
	}
}

// statuses: what fails at the server is tried again, and told without what it echoes.
func (f faults) statuses(t *testing.T) {
	for _, status := range []int{
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden,
	} {
		base, mend := f.faulty(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(status)
			_ = r.Header.Write(w)
			_, _ = io.WriteString(w, r.URL.String())
			_, _ = io.Copy(w, r.Body)
		})
		h := f.hook(t, base)
		err := f.again(t, func() error { _, err := h.Act(t.Context(), f.Action); return err })
		if after := receiver.After(err); status == http.StatusTooManyRequests && after != 2*time.Minute {
			t.Errorf("%d: got another attempt after %v (%v), want the time that the server asks for", status, after, err)
		}
		mend()
		if _, err := h.Act(t.Context(), f.Action); err != nil {
			t.Errorf("%d, then mended: got %v, want it done", status, err)
		}
	}
}

func (s Subject) unreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_ = s.again(t, func() error { _, err := s.hook(t, server.URL).Act(t.Context(), s.Action); return err })
}

func (s Subject) guarded(t *testing.T) {
	var called atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer server.Close()
	base := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // a name that leads to the inside
	if _, err := s.New(t, base, call.Config{}).Act(t.Context(), s.Action); err == nil || called.Load() {
		t.Errorf("got %v, called %v, want the address refused", err, called.Load())
	}
}

// again wants an error to be tried again, without secrets.
func (s Subject) again(t *testing.T, act func() error) error {
	t.Helper()
	err := act()
	switch {
	case err == nil:
		t.Error("got no error, want one to try again")
		return nil
	case receiver.IsPermanent(err), errors.Is(err, hooks.ErrNotApplicable):
		t.Errorf("got %v, want an error to try again", err)
	}
	for _, secret := range s.Secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("got %q, want it without %q", err, secret)
		}
	}
	return err
}
