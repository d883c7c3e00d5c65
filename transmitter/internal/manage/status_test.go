package manage_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
)

// SSF-8.1.2.1-01, SSF-8.1.2.2-01, SSF-8.1.2.2-03, OIDF-04.
func TestStatus(t *testing.T) {
	s := newServer(t)
	id, other := s.create("alice", `{}`).StreamID, s.create("alice", `{}`).StreamID
	for _, c := range []struct{ body, want string }{
		{`"status":"paused","reason":"r"`, `"status":"paused","reason":"r"`},
		{`"status":"paused"`, `"status":"paused"`},
		{`"status":"disabled"`, `"status":"disabled"`},
		{`"status":"disabled"`, `"status":"disabled"`},
		{`"status":"paused"`, `"status":"paused"`},
		{`"status":"enabled"`, `"status":"enabled"`},
	} {
		want := answer{http.StatusOK, jsonType, "no-store", `{"stream_id":"` + id + `",` + c.want + `}`}
		// OIDF-04: a stream_id in the query is ignored.
		got := s.call("alice", "POST", "/status?stream_id="+other, `{"stream_id":"`+id+`",`+c.body+`}`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("POST %s: want - got +\n%s", c.body, diff)
		}
		if diff := cmp.Diff(want, s.call("alice", "GET", "/status?stream_id="+id, "")); diff != "" {
			t.Errorf("GET after %s: want - got +\n%s", c.body, diff)
		}
	}
	s.want("U14 no stream_id", s.call("alice", "GET", "/status", ""), http.StatusBadRequest)
	s.want("SSF-8.1.2.1-02", s.call("alice", "POST", "/status", `{"stream_id":"`+id+`","status":"Paused"}`), http.StatusBadRequest)
	if got := s.call("alice", "GET", "/status?stream_id="+other, ""); got.Body != `{"stream_id":"`+other+`","status":"enabled"}` {
		t.Errorf("SSF-8.1.1-10: got %s, want the other stream enabled", got.Body)
	}
	s.wantQueue("SSF-8.1.2-01: no event of what the receiver asked for", id)
}

// Queue effects of §5: SSF-8.1.2.1-04, SSF-8.1.2.1-06, U16.
func TestQueueEffects(t *testing.T) {
	s := newServer(t)
	id := s.create("alice", `{"events_requested":["`+typeA+`"]}`).StreamID
	set := func(status string) {
		t.Helper()
		s.want(status, s.call("alice", "POST", "/status", `{"stream_id":"`+id+`","status":"`+status+`"}`), http.StatusOK)
	}
	s.put(id, 1, "j1")
	set("paused")
	s.put(id, 2, "j2")
	s.wantQueue("SSF-8.1.2.1-04 paused", id)
	set("enabled")
	s.wantQueue("enabled again: held ones leave", id, "session-revoked", "session-revoked")

	s.put(id, 3, "j3")
	set("paused")
	set("disabled")
	if got := s.put(id, 4, "j4"); got.Gone != 1 {
		t.Errorf("SSF-8.1.2.1-06: got %+v, want it not held", got)
	}
	s.head = 4
	set("enabled")
	s.wantQueue("U16 what was undelivered is purged", id)
	if got, err := s.store.Stream(t.Context(), id); err != nil || got.From != 4 {
		t.Errorf("SSF-8.1.2.1-06: got from %d, %v, want the head 4", got.From, err)
	}
	s.put(id, 5, "j5")
	s.wantQueue("enabled anew", id, "session-revoked")
}

// SSF-8.1.5-01, SSF-8.1.5-02, U17, U18: the transmitter's own decisions.
func TestImposedStatus(t *testing.T) {
	s := newServer(t, func(c *streams.CatalogConfig) { c.InactivityTimeout = time.Hour })
	id := s.create("alice", `{}`).StreamID
	s.put(id, 1, "j1")
	do := func(_ streams.Stream, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.catalog.Pause(t.Context(), id, "failing", streams.ByTransmitter))
	s.wantQueue("SSF-8.1.5-01 paused", id, "stream-updated")
	do(s.catalog.Resume(t.Context(), id, ""))
	s.wantQueue("SSF-8.1.5-02 ahead of held events", id, "stream-updated", "session-revoked")
	s.put(id, 2, "j2")
	do(s.catalog.Disable(t.Context(), id, "abuse", streams.ByPolicy))
	s.wantQueue("U18 disabled, the queue is purged", id, "stream-updated")
	s.want("U17 policy", s.call("alice", "POST", "/status", `{"stream_id":"`+id+`","status":"enabled"}`), http.StatusForbidden)
	do(s.catalog.Resume(t.Context(), id, ""))
	s.wantQueue("SSF-8.1.5-02 from disabled", id, "stream-updated")

	s.now = s.now.Add(2 * time.Hour)
	if got, err := s.catalog.PauseInactive(t.Context()); err != nil || !cmp.Equal(got, []string{id}) {
		t.Fatalf("SSF-8.1.1-05: got %v, %v, want %s", got, err, id)
	}
	s.wantQueue("SSF-8.1.1-06", id, "stream-updated")
	s.want("U17 inactivity", s.call("alice", "POST", "/status", `{"stream_id":"`+id+`","status":"enabled"}`), http.StatusOK)
	s.now = s.now.Add(time.Hour - time.Second)
	s.want("SSF-8.1.1-04 activity", s.call("alice", "GET", "/streams", ""), http.StatusOK)
	s.now = s.now.Add(time.Hour - time.Second)
	if got, err := s.catalog.PauseInactive(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("SSF-8.1.1-04: got %v, %v, want none", got, err)
	}
}
