package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// written is the id of an event of a user that was written.
func (h *house) written(kind, who string, data map[string]any) string {
	h.t.Helper()
	ask := map[string]any{"type": kind, "subject": map[string]string{"format": "email", "email": who}}
	if data != nil {
		ask["data"] = data
	}
	var made struct{ ID string }
	h.operate(http.MethodPost, "/admin/events", ask, &made)
	return made.ID
}

// Events are found by what an operator types; whom it names stands in no address and no log.
func TestEventsFound(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/events").wants(t, 200, "Nothing was written in the last 7 days")
	jo := h.written("session.revoked", "jo@example.com", nil)
	h.written("session.revoked", "kim@example.com", nil)
	p := v.get("/console/events")
	p.wants(t, 200, "2 events", "session.revoked", "operator", jo)
	if strings.Contains(p.body, "jo@example.com") {
		t.Error("a list that nobody asked subjects of: got one")
	}
	p = v.post("/console/events", "subject", "jo@example.com", "show", "subjects")
	p.wants(t, 200, "1 event<", jo, "jo@example.com (email)")
	if strings.Contains(p.query, "jo") || !strings.Contains(p.query, "search=") {
		t.Errorf("the address of a search: got %q, want a key alone", p.query)
	}
	v.post("/console/events", "subject", "nobody@example.com").wants(t, 200, "No event was found", "nobody@example.com</textarea>")
	v.post("/console/events", "type", "session.revoked\r\naccount.suspended", "limit", "1").wants(t, 200, "2 events", "Next page")
	v.post("/console/events", "subject", "{").wants(t, 200, "Not searched: a subject is")
	v.post("/console/events", "signals", "vpn").wants(t, 200, "Not searched: a signal")
	v.post("/console/events", "ip_address", "here").wants(t, 200, "ip_address is not an IPv4 or IPv6 address")
	v.post("/console/events", "start", "2026-01-02T03:04", "end", "2026-01-03T03:04:05").wants(t, 200, "No event was found", `value="2026-01-02T03:04"`)
	v.get("/console/events?subject=jo").wants(t, 400, "Not in an address")
	v.get("/console/events?search=none").wants(t, 404, "Search again")
	if strings.Contains(h.logs.String(), "example.com") {
		t.Errorf("got a subject in the logs:\n%s", h.logs)
	}
}

// A search goes on page by page, past what is written meanwhile.
func TestEventsPages(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	first := h.written("session.revoked", "jo@example.com", nil)
	for range 2 {
		h.written("session.revoked", "jo@example.com", nil)
	}
	p := v.post("/console/events", "email", "none\njo@example.com", "limit", "2")
	p.wants(t, 200, "No event was found")
	p = v.post("/console/events", "subject", "jo@example.com", "limit", "2")
	p.wants(t, 200, "3 events")
	_, next, _ := strings.Cut(p.body, `<nav class="pages" aria-label="Pages"><a href="`)
	next, _, _ = strings.Cut(next, `"`)
	h.written("session.revoked", "jo@example.com", nil)
	p = v.get(strings.ReplaceAll(next, "&amp;", "&"))
	p.wants(t, 200, "The next 1 event", first, "This is the last page")
}

// One event is shown whole, is annotated, and its proof is a file; of an erased one its place is left.
func TestEvent(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	id := h.written("session.revoked", "jo@example.com", map[string]any{"reason_admin": map[string]string{"en": `<b>"stolen"</b>`}})
	at := "/console/events/" + id
	p := v.get(at)
	p.wants(t, 200, "https://schemas.openid.net/secevent/caep/event-type/session-revoked", "jo@example.com (email)", "stolen", "Nothing was said of it")
	if strings.Contains(p.body, "<b>") {
		t.Error("data of an event: got it as markup")
	}
	v.post(at+"/annotate").wants(t, 200, "Not done: the form says nothing")
	v.post(at+"/annotate", "suspect", "true", "tag", "case", "value", "4711").wants(t, 200, "The annotation was added", "4711", "suspect: <code>true")
	v.post(at+"/annotate", "tag", strings.Repeat("x", 65), "value", "1").wants(t, 200, "Not done: tags has")
	v.post("/console/events", "tags", "case=4711").wants(t, 200, "1 event<", id, `<span class="badge warn">suspect`)
	v.get("/console/events/none").wants(t, 400, "id")

	h.operate(http.MethodPost, "/admin/log/checkpoint", nil, nil)
	p = v.get(at + "/proof")
	p.wants(t, 200, `"inclusion"`)
	if got := p.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Errorf("the proof: got %q, want an attachment", got)
	}
	v.get(at).wants(t, 200, "Download the proof")

	h.operate(http.MethodPost, "/admin/erasures", map[string]any{"subject": map[string]string{"format": "email", "email": "jo@example.com"}, "now": true}, nil)
	h.until("the event is erased", func() bool { return strings.Contains(v.get(at).body, "Erased event") })
	v.get(at).wants(t, 200, "Erased by", "Download the proof of its place")
}

// A test event is recorded; what is refused is shown with the form as it was filled in.
func TestEmit(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	v.get("/console/events/emit").wants(t, 200, "This is a real event", `<option value="session.revoked">`)
	emit := func(fields ...string) page { return v.post("/console/events/emit", fields...) }
	emit("type", "session.revoked", "format", "email", "who", "nonsense").wants(t, 400, "Not recorded: subject", `value="nonsense"`)
	emit("type", "session.revoked", "format", "iss_sub", "who", "jo").wants(t, 400, "Not recorded: issuer is missing")
	emit("type", "no such", "format", "opaque", "who", "jo", "data", `{"a":1}`).wants(t, 400, "Not recorded: ", `{&#34;a&#34;:1}`)
	emit("type", "session.revoked", "format", "opaque", "who", "jo", "data", "{").wants(t, 400, "Not recorded: data is not JSON")
	emit("type", "session.revoked", "format", "opaque", "who", "jo", "time", "2100-01-01T00:00").wants(t, 400, "Not recorded: time lies in the future")
	p := emit("type", "session.revoked", "format", "iss_sub", "issuer", "https://idp.example", "who", "jo", "time", "2026-01-02T03:04", "data", `{"reason_admin":{"en":"test"}}`)
	p.wants(t, 200, "The event was recorded", "jo at https://idp.example", "2026-01-02 03:04:00", "<dd>operator")
	if !strings.HasPrefix(p.path, "/console/events/") || p.query != "" {
		t.Errorf("got %s?%s, want the page of the event", p.path, p.query)
	}
}

func TestEventsInBrowser(t *testing.T) {
	h := open(t)
	b := h.browse(t)
	b.press(`nav a[href="/console/events"]`)
	b.look("events-empty")
	b.press(`main a[href="/console/events/emit"]`)
	b.fill("#type", "session.revoked")
	b.fill("#who", "jo")
	b.press(".fields button.main")
	b.says("Not recorded: subject")
	b.fill("#who", "jo@example.com")
	b.fill("#data", `{"reason_admin":{"en":"Landspeed policy violation"}}`)
	b.look("emit")
	b.press(".fields button.main")
	b.says("The event was recorded", "Landspeed policy violation")
	b.fill("#tag", "case")
	b.fill("#value", "4711")
	b.press("form[action$=annotate] button.main")
	b.says("The annotation was added", "4711")
	b.look("event")
	for range 3 {
		h.written("account.suspended", "kim@example.com", nil)
	}
	b.open("/console/events")
	b.fill("#subject", "jo@example.com")
	b.click("input[name=show]")
	b.press("form.card button.main")
	b.says("1 event", "jo@example.com (email)")
	b.press(`main a[href="/console/events"]`)
	b.says("4 events")
	b.look("events")
}
