package transmitter_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
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

// An application that is in no admin.db, but was never removed, is missing in an
// older copy of it: its streams stay, and are its own again.
func TestOlderAdmin(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	sink := newSink(t)
	bob := h.client("bob", everyScope)
	stream := h.stream(bob, pushTo(sink.URL))
	if err := h.apps.DB().Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DELETE FROM applications WHERE id = 'bob'")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	until(t, "the sweep", func() bool { return strings.Contains(h.logs.String(), "application that is not known") })
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if h.gone(stream) {
		t.Fatal("got the stream deleted, want it kept")
	}
	if got := h.do(http.MethodGet, "/ssf/streams?stream_id="+stream, h.client("bob", everyScope), ""); got.status != http.StatusOK {
		t.Errorf("the application added again: got %d %s, want its stream", got.status, got.body)
	}
}

// The id of an application that was removed is not used again: neither by who
// asks for it, nor by who comes with its audience.
func TestRemovedID(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	const ask = `{"audience":"https://shop.example","scope":"ssf.manage"}`
	made := func() string {
		o.must(http.StatusCreated, http.MethodPost, "/admin/clients", "", ask)
		app, err := h.apps.ApplicationFor(t.Context(), "https://shop.example")
		if err != nil {
			t.Fatal(err)
		}
		return app.ID
	}
	first := made()
	o.must(http.StatusNoContent, http.MethodDelete, "/admin/applications/"+first, "", "")
	got := o.must(http.StatusConflict, http.MethodPost, "/admin/applications", "", `{"id":"`+first+`","audience":["https://other.example"]}`)
	if !strings.Contains(got.body, "was removed") {
		t.Errorf("got %s, want it to say that one was removed", got.body)
	}
	if second := made(); second == first {
		t.Errorf("the audience again: got application %q, want another than %q", second, first)
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
