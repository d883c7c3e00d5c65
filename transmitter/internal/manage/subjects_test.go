package manage_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// SSF-8.1.3.2-01, SSF-8.1.3.2-05, SSF-8.1.3.3-01, SSF-8.1.3-02, SSF-9.1-01, U19: whatever the
// subject, and however often, the same answer.
func TestSubjects(t *testing.T) {
	for _, mode := range []streams.DefaultSubjects{streams.SubjectsAll, streams.SubjectsNone} {
		s := newServer(t, func(c *streams.CatalogConfig) { c.DefaultSubjects = mode })
		id := s.create("alice", `{"events_requested":["`+typeA+`"]}`).StreamID
		body := func(subject string) string { return `{"stream_id":"` + id + `","subject":` + subject + `}` }
		hears := func(id subject.Identifier) bool {
			got, err := s.store.Match(t.Context(), streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{id}})
			if err != nil {
				t.Fatal(err)
			}
			return len(got) == 1
		}
		known, unknown := subject.Email("known@example.com"), subject.Email("never@example.com")
		added := answer{Status: http.StatusOK, Cache: "no-store"}
		removed := answer{Status: http.StatusNoContent, Cache: "no-store"}
		for range 2 {
			for _, who := range []subject.Identifier{known, unknown} {
				if diff := cmp.Diff(added, s.call("alice", "POST", "/add", body(string(who.Raw())))); diff != "" || !hears(who) {
					t.Errorf("%s, add: heard %t, want - got +\n%s", mode, hears(who), diff)
				}
			}
		}
		for range 2 {
			for _, who := range []subject.Identifier{known, unknown} {
				if diff := cmp.Diff(removed, s.call("alice", "POST", "/remove", body(string(who.Raw())))); diff != "" || hears(who) {
					t.Errorf("%s, remove: heard %t, want - got +\n%s", mode, hears(who), diff)
				}
			}
		}
		s.want("again", s.call("alice", "POST", "/add", body(string(known.Raw()))), http.StatusOK)
		if !hears(known) { // SSF-7.1-12, SSF-7.1-13: it may be added again
			t.Errorf("%s: got no match after adding again", mode)
		}
		// SSF-8.1.3-03
		s.want("the stream itself", s.call("alice", "POST", "/remove", body(`{"format":"opaque","id":"`+id+`"}`)), http.StatusNoContent)
		s.want("verification goes on", s.call("alice", "POST", "/verify", `{"stream_id":"`+id+`"}`), http.StatusNoContent)
		s.wantQueue("SSF-8.1.3-03", id, "verification")
		// SSF-8.1.3.2-04, U3
		for name, wrong := range map[string]string{
			"no object": `"a"`, "no format": `{"email":"a@b.c"}`, "no email": `{"format":"email"}`, "extra": `{"format":"email","email":"a@b.c","x":1}`,
		} {
			s.want(name, s.call("alice", "POST", "/add", body(wrong)), http.StatusBadRequest)
			s.want(name, s.call("alice", "POST", "/remove", body(wrong)), http.StatusBadRequest)
		}
	}
}

// SEC-08, SSF-8.1.3.2-04: 429 at the bound.
func TestTooManySubjects(t *testing.T) {
	s := newServer(t, func(c *streams.CatalogConfig) { c.MaxSubjects, c.DefaultSubjects = 1, streams.SubjectsNone })
	id := s.create("alice", `{}`).StreamID
	add := func(email string) answer {
		return s.call("alice", "POST", "/add", `{"stream_id":"`+id+`","subject":{"format":"email","email":"`+email+`"}}`)
	}
	s.want("first", add("a@b.c"), http.StatusOK)
	s.want("first again", add("a@b.c"), http.StatusOK)
	s.want("second", add("d@e.f"), http.StatusTooManyRequests)
}
