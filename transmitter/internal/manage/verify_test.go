package manage_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
)

// SSF-8.1.4.2-01, SSF-8.1.4.2-02, SSF-8.1.4.2-04, U18.
func TestVerify(t *testing.T) {
	s := newServer(t, func(c *streams.CatalogConfig) { c.MinVerificationInterval = time.Minute })
	id, other := s.create("alice", `{}`).StreamID, s.create("alice", `{}`).StreamID
	verify := func() answer {
		return s.call("alice", "POST", "/verify", `{"stream_id":"`+id+`","state":"VGhpcw=="}`)
	}
	if diff := cmp.Diff(answer{Status: http.StatusNoContent, Cache: "no-store"}, verify()); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
	items, err := s.store.Take(t.Context(), id, streams.TakeOptions{Max: 9, Lease: time.Minute})
	if err != nil || len(items) != 1 || string(items[0].Payload) != `{"state":"VGhpcw=="}` || items[0].Type != streams.TypeVerification {
		t.Fatalf("SSF-8.1.4.2-02: got %+v, %v, want one verification with the state", items, err)
	}
	s.want("SSF-8.1.4.2-04 too soon", verify(), http.StatusTooManyRequests)
	s.now = s.now.Add(time.Minute)
	s.want("the interval is over", verify(), http.StatusNoContent)
	s.wantQueue("SSF-8.1.1-10 the other stream", other)

	set := func(status string) {
		t.Helper()
		s.want(status, s.call("alice", "POST", "/status", `{"stream_id":"`+id+`","status":"`+status+`"}`), http.StatusOK)
	}
	s.queue(id)
	set("paused")
	s.now = s.now.Add(time.Minute)
	s.want("U18 paused", verify(), http.StatusNoContent)
	s.wantQueue("U18 held", id)
	set("enabled")
	s.wantQueue("U18 until enabled", id, "verification")
	set("disabled")
	s.now = s.now.Add(time.Minute)
	s.want("U18 disabled", verify(), http.StatusBadRequest)
}
