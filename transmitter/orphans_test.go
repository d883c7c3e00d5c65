package transmitter_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
)

// gone reports whether a stream is deleted.
func (h *house) gone(stream string) bool {
	h.t.Helper()
	_, err := h.store.Stream(context.Background(), stream)
	if err != nil && !errors.Is(err, streams.ErrNotFound) {
		h.t.Fatal(err)
	}
	return err != nil
}

// A removal that did not come to its end, because the process was killed in
// between, comes to it at the next start.
func TestOrphansAtStart(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	sink := newSink(t)
	of := map[string]string{}
	for _, app := range []string{"alice", "bob"} {
		of[app] = h.stream(h.client(app, everyScope), pushTo(sink.URL))
	}
	if err := h.apps.RemoveApplication(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	h.emit(h.client("hr", "events.write"), "a")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	until(t, "bob's SET", func() bool { return len(sink.requests()) > 0 })
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !h.gone(of["alice"]) || h.gone(of["bob"]) {
		t.Errorf("got alice's deleted %t, bob's %t; want hers alone", h.gone(of["alice"]), h.gone(of["bob"]))
	}
	if n := len(sink.requests()); n != 1 {
		t.Errorf("got %d pushes, want bob's alone", n)
	}
}

// lateStore lets a Create begin only when it may.
type lateStore struct {
	streams.Store
	began, may chan struct{}
}

func (s lateStore) Create(ctx context.Context, made streams.Stream, limit int) error {
	close(s.began)
	<-s.may
	return s.Store.Create(ctx, made, limit)
}

// A stream that is created beside the removal of its application does not
// outlive it.
func TestCreateBesideARemoval(t *testing.T) {
	late := lateStore{began: make(chan struct{}), may: make(chan struct{})}
	h := open(t, func(s *setup) {
		s.idle = true
		s.wrapStore = func(store streams.Store) streams.Store { late.Store = store; return late }
	})
	h.Upkeep(t.Context()) // that of the start
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	made := make(chan answer, 1)
	go func() {
		made <- h.do(http.MethodPost, "/ssf/streams", token, `{"delivery":{"method":"urn:ietf:rfc:8936"}}`)
	}()
	<-late.began
	o.must(http.StatusNoContent, http.MethodDelete, "/admin/applications/alice", "", "")
	h.Upkeep(t.Context()) // it finds nothing yet
	close(late.may)
	stream := (<-made).member("stream_id")
	if h.gone(stream) {
		t.Fatal("the stream is not there")
	}
	h.Upkeep(t.Context())
	if !h.gone(stream) {
		t.Error("got a stream without an application, want it deleted")
	}
}
