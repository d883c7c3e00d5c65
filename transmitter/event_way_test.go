package transmitter_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// step is an event's way to one stream.
type step struct {
	Stream      string `json:"stream_id"`
	Application string `json:"application"`
	Method      string `json:"method"`
	Type        string `json:"event_type"`
	JTI         string `json:"jti"`
	State       string `json:"state"`
	Matches     bool   `json:"matches"`
	Code        string `json:"err"`
	Description string `json:"description"`
}

type eventWay struct {
	Steps []step
	Gates []struct {
		Application, State string
		Released           bool
	}
	Mapping *struct {
		Rules []struct {
			Rule string
			Made bool
		}
	}
}

func (o *operator) wayOf(t *testing.T, id string) (w eventWay) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.must(http.StatusOK, http.MethodGet, "/admin/events/"+id+"/way", "", "").body), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// arrives waits until the way of an event to its one stream has a state.
func (o *operator) arrives(t *testing.T, id, state string) step {
	t.Helper()
	var w eventWay
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if w = o.wayOf(t, id); len(w.Steps) == 1 && w.Steps[0].State == state {
			return w.Steps[0]
		}
	}
	t.Fatalf("the way of an event: got %+v, want one step that is %s", w, state)
	return step{}
}

// An operator sees where an event went: what waits, was acknowledged, was set aside and why, is held
// by a gate, or goes nowhere.
func TestEventWay(t *testing.T) {
	h := open(t)
	op := h.operator(h.SocketHandler())
	alice := h.client("alice", everyScope)
	source := h.client("idp", "events.write")
	stream := h.stream(alice, "")

	id := h.emit(source, "jo")
	s := op.arrives(t, id, "waiting")
	jtis, _ := h.poll(alice, stream, `{"returnImmediately":true}`)
	if len(jtis) != 1 || s.JTI != jtis[0] || s.Stream != stream || s.Application != "alice" || s.Type != sessionRevoked || !s.Matches || s.Method != "urn:ietf:rfc:8936" {
		t.Errorf("waiting: got %+v, want the item %v", s, jtis)
	}
	h.poll(alice, stream, `{"ack":["`+jtis[0]+`"],"maxEvents":0,"returnImmediately":true}`)
	op.arrives(t, id, "acknowledged") // as this node saw it: elsewhere, and after a restart, it is gone

	id = h.emit(source, "jo")
	op.arrives(t, id, "waiting")
	jtis, _ = h.poll(alice, stream, `{"returnImmediately":true}`)
	h.poll(alice, stream, `{"setErrs":{"`+jtis[0]+`":{"err":"invalid_audience","description":"not for us"}},"maxEvents":0,"returnImmediately":true}`)
	if s = op.arrives(t, id, "dead_letter"); s.Code != "invalid_audience" || s.Description != "not for us" {
		t.Errorf("set aside: got %+v, want the receiver's reason", s)
	}

	op.must(http.StatusOK, http.MethodPut, "/admin/consents/gate", "", `{"application":"alice","enabled":true}`)
	id = h.emit(source, "jo")
	if s = op.arrives(t, id, "held"); s.Matches {
		t.Errorf("held: got %+v, want no match", s)
	}
	if w := op.wayOf(t, id); len(w.Gates) != 1 || w.Gates[0].Application != "alice" || w.Gates[0].State != "held" {
		t.Errorf("the gate: got %+v, want it to hold", w.Gates)
	}
	op.must(http.StatusCreated, http.MethodPost, "/admin/consents", "", `{"application":"alice","subject":{"format":"email","email":"jo@example.com"},"decision":"grant"}`)
	op.arrives(t, id, "waiting")
	if w := op.wayOf(t, id); len(w.Gates) != 1 || !w.Gates[0].Released {
		t.Errorf("the gate: got %+v, want it released", w.Gates)
	}

	other := h.must(http.StatusAccepted, http.MethodPost, "/v1/events", source, `{"type":"account.suspended","subject":{"format":"email","email":"jo@example.com"}}`).member("id")
	if w := op.wayOf(t, other); len(w.Steps) != 0 {
		t.Errorf("of a type that no stream delivers: got %+v, want none", w.Steps)
	}
	op.must(http.StatusOK, http.MethodPut, "/admin/consents/gate", "", `{"application":"alice"}`)
	hook, _ := h.hook(h.client("alice", everyScope+" webhooks.manage"), "http://127.0.0.1:1/", "")
	other = h.must(http.StatusAccepted, http.MethodPost, "/v1/events", source, `{"type":"account.suspended","subject":{"format":"email","email":"jo@example.com"}}`).member("id")
	if s = op.arrives(t, other, "waiting"); s.Stream != hook || s.Type != "" || s.Method != "urn:tocsin:delivery:webhook" {
		t.Errorf("to a webhook: got %+v, want the event itself waiting for %s", s, hook)
	}
	record := `{"format":"idme","record":{"event":"status.suspension.applied","identifier":"a1b2","email":"jo@example.com","tracked_at":"2024-01-01T00:00:00Z"}}`
	vendors := h.must(http.StatusAccepted, http.MethodPost, "/v1/events", source, record).member("id")
	if w := op.wayOf(t, vendors); w.Mapping == nil || len(w.Mapping.Rules) == 0 {
		t.Errorf("a vendor's record: got %+v, want the rules that were tried", w.Mapping)
	}
	checkError(t, "no id", op.do(http.MethodGet, "/admin/events/x/way", "", ""), http.StatusBadRequest)
	checkError(t, "unknown", op.do(http.MethodGet, "/admin/events/"+strings.Repeat("A", 22)+"/way", "", ""), http.StatusNotFound)
}

// What would become of an event is told by the transmitter's own mapper, to the claims of a SET, and
// nothing is kept.
func TestTryEvent(t *testing.T) {
	h := open(t)
	op := h.operator(h.SocketHandler())
	alice := h.client("alice", everyScope)
	stream := h.stream(alice, "")
	head, err := h.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	try := func(path, body string) string {
		t.Helper()
		return op.must(http.StatusOK, http.MethodPost, "/admin/mapping"+path, "", body).body
	}
	record := `{"format":"idme","record":{"event":"status.suspension.applied","identifier":"a1b2","email":"jo@example.com","tracked_at":"2024-01-01T00:00:00Z"}}`
	wants := func(name, got string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%s: got %s, want %s in it", name, got, text)
			}
		}
	}
	wants("a record", try("", record), `"type":"idme:status.suspension.applied"`, `"known":true`, `"made":true`, `"identifier":"a1b2"`)
	wants("a record for a stream", try("?stream_id="+stream, record), `"reason":"type_not_delivered"`, `"claims":{"iss":`)
	wants("a record that cannot be mapped", try("", `{"format":"idme","record":{"event":"status.suspension.applied"}}`), `"mapping_error":`)
	got := try("?stream_id="+stream, event("jo"))
	wants("an event for a stream", got, `"reason":"matches"`, `"sub_id":{"format":"email","email":"jo@example.com"}`, `"https://alice.example"`, `"event_timestamp":1700000000`)
	checkError(t, "no such stream", op.do(http.MethodPost, "/admin/mapping?stream_id=none", "", event("jo")), http.StatusNotFound)
	checkError(t, "no such format", op.do(http.MethodPost, "/admin/mapping", "", `{"format":"none","record":{}}`), http.StatusBadRequest)
	checkError(t, "two", op.do(http.MethodPost, "/admin/mapping", "", "["+event("a")+"]"), http.StatusBadRequest)
	if now, err := h.log.Head(t.Context()); err != nil || now != head {
		t.Errorf("the log: got %d records (%v), want %d as before", now, err, head)
	}
}
