package transmitter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// An annotation is seen at once, by get and by search, beside a record that
// stays as it was; its history can be read.
func TestAnnotate(t *testing.T) {
	h := open(t)
	source, reader := h.client("hr", everyScope), h.client("shop", readerScope)
	id := h.record(source, `"linked_id":"l1","tags":{"plan":"gold","x":"y"}`)
	before, err := h.log.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ patch, suspect, linked, tags string }{
		{`{"suspect":true}`, `true`, `"l1"`, `{"plan":"gold","x":"y"}`},
		{`{"tags":{"plan":"silver","x":null,"new":""},"linked_id":"l2"}`, `true`, `"l2"`, `{"new":"","plan":"silver"}`},
		{`{"suspect":false,"linked_id":null}`, `false`, ``, `{"new":"","plan":"silver"}`},
		{`{"suspect":null,"tags":null}`, ``, ``, ``},
		{`{"tags":{"again":"1"}}`, ``, ``, `{"again":"1"}`},
	} {
		patched := h.must(http.StatusOK, "PATCH", "/v1/events/"+id, reader, step.patch, "Content-Type", "application/merge-patch+json")
		got := h.must(http.StatusOK, "GET", "/v1/events/"+id, reader, "")
		found := h.must(http.StatusOK, "GET", "/v1/events", reader, "")
		var page struct{ Events []json.RawMessage }
		if err := json.Unmarshal([]byte(found.body), &page); err != nil || len(page.Events) != 1 {
			t.Fatalf("search: got %s (%v), want the event", found.body, err)
		}
		for name, a := range map[string]answer{"patch": patched, "get": got, "search": {body: string(page.Events[0])}} {
			var e struct {
				Suspect, Tags json.RawMessage
				LinkedID      json.RawMessage `json:"linked_id"`
			}
			if err := json.Unmarshal([]byte(a.body), &e); err != nil {
				t.Fatal(err)
			}
			if string(e.Suspect) != step.suspect || string(e.LinkedID) != step.linked || string(e.Tags) != step.tags {
				t.Errorf("%s after %s: got suspect %s, linked_id %s, tags %s, want %s, %s, %s",
					name, step.patch, e.Suspect, e.LinkedID, e.Tags, step.suspect, step.linked, step.tags)
			}
		}
	}
	after, err := h.log.Get(t.Context(), id)
	if err != nil || string(after.Canonical) != string(before.Canonical) || after.Verify() != nil {
		t.Errorf("the record: got %s (%v), want it unchanged", after.Canonical, err)
	}
	var history struct {
		Annotations []struct {
			ID, By                  string
			RecordedAt              time.Time `json:"recorded_at"`
			Suspect, Tags, LinkedID json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(h.must(http.StatusOK, "GET", "/v1/events/"+id+"/annotations", reader, "").body), &history); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, n := range history.Annotations {
		got += fmt.Sprintf("%s %s; ", n.Suspect, n.Tags)
		if n.ID == "" || n.By == "" || n.RecordedAt.IsZero() {
			t.Errorf("history: got %+v, want id, time and author", n)
		}
	}
	if want := `true ;  {"new":"","plan":"silver","x":null}; false ; null null;  {"again":"1"}; `; got != want {
		t.Errorf("history: got %s, want %s", got, want)
	}
}

// What an application says is its own and the operators'; what operators say, all see.
func TestAnnotationsAreOnesOwn(t *testing.T) {
	h := open(t)
	id := h.record(h.client("hr", everyScope), "")
	shop, bank, operator := h.client("shop", readerScope), h.client("bank", readerScope), h.client("ops", "admin")
	h.must(http.StatusOK, "PATCH", "/v1/events/"+id, shop, `{"tags":{"who":"shop"}}`)
	h.must(http.StatusOK, "PATCH", "/v1/events/"+id, operator, `{"suspect":true}`)
	for name, tt := range map[string]struct{ token, tags, history string }{
		"shop": {shop, `{"who":"shop"}`, "2 1"}, "bank": {bank, "", "1 0"}, "operator": {operator, `{"who":"shop"}`, "2 2"},
	} {
		got := h.must(http.StatusOK, "GET", "/v1/events/"+id, tt.token, "")
		if got.member("suspect") != "true" || got.member("tags") != tt.tags {
			t.Errorf("%s: got suspect %s and tags %s, want true and %s", name, got.member("suspect"), got.member("tags"), tt.tags)
		}
		want := 0
		if tt.tags != "" {
			want = 1
		}
		if found := h.search(tt.token, "tags.who=shop&total_hits=5"); len(found.Events) != want || *found.Total != want {
			t.Errorf("%s: got %d events, want %d", name, len(found.Events), want)
		}
		history := h.must(http.StatusOK, "GET", "/v1/events/"+id+"/annotations", tt.token, "").body
		if got := fmt.Sprint(strings.Count(history, `"recorded_at"`), " ", strings.Count(history, `"by"`)); got != tt.history {
			t.Errorf("%s: history: got %s (%s), want %s", name, got, history, tt.history)
		}
	}
}

// What cannot be said is refused by name and leaves nothing.
func TestAnnotateRefusals(t *testing.T) {
	var late atomic.Bool
	h := open(t, func(s *setup) {
		s.AnnotateFor = time.Hour
		s.Now = func() time.Time {
			if late.Load() {
				return time.Now().Add(2 * time.Hour)
			}
			return time.Now()
		}
	})
	source, reader := h.client("hr", everyScope), h.client("shop", readerScope)
	id := h.record(source, "")
	var many []string
	for n := range 65 {
		many = append(many, fmt.Sprintf(`"t%d":"x"`, n))
	}
	for body, member := range map[string]string{
		`{}`:                "",
		`[]`:                "",
		`{"suspect":true`:   "",
		`{"note":"x"}`:      "",
		`{"suspect":"yes"}`: "suspect",
		`{"linked_id":""}`:  "linked_id",
		`{"linked_id":7}`:   "linked_id",
		`{"linked_id":"` + strings.Repeat("l", 257) + `"}`: "linked_id",
		`{"tags":"x"}`:      "tags",
		`{"tags":{"a":1}}`:  "tags",
		`{"tags":{"":"x"}}`: "tags",
		`{"tags":{"a":"` + strings.Repeat("l", 1025) + `"}}`: "tags",
		`{"tags":{` + strings.Join(many, ",") + `}}`:         "tags",
	} {
		if a := h.must(http.StatusBadRequest, "PATCH", "/v1/events/"+id, reader, body); a.member("member") != member {
			t.Errorf("%.40s: got %s, want a refusal of %q", body, a.body, member)
		}
	}
	for name, tt := range map[string]struct {
		status              int
		path, token, header string
	}{
		"without the scope": {http.StatusForbidden, id, h.client("shop", "events.read"), "application/json"},
		"another type":      {http.StatusUnsupportedMediaType, id, reader, "text/plain"},
		"no id":             {http.StatusBadRequest, "x", reader, "application/json"},
		"an unknown event":  {http.StatusNotFound, "AAAAAAAAAAAAAAAAAAAAAA", reader, "application/json"},
	} {
		if a := h.do("PATCH", "/v1/events/"+tt.path, tt.token, `{"suspect":true}`, "Content-Type", tt.header); a.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", name, a.status, a.body, tt.status)
		}
	}
	if head, err := h.log.Head(t.Context()); err != nil || head != 1 {
		t.Errorf("head: got %d (%v), want the event alone", head, err)
	}
	for range eventlog.MaxAnnotations {
		h.must(http.StatusOK, "PATCH", "/v1/events/"+id, reader, `{"suspect":true}`)
	}
	if a := h.must(http.StatusConflict, "PATCH", "/v1/events/"+id, reader, `{"suspect":true}`); a.member("err") != "too_many_annotations" {
		t.Errorf("one too many: got %s, want too_many_annotations", a.body)
	}
	late.Store(true)
	if a := h.must(http.StatusConflict, "PATCH", "/v1/events/"+id, reader, `{"suspect":true}`); a.member("err") != "too_old" {
		t.Errorf("too late: got %s, want too_old", a.body)
	}
}
