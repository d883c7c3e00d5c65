package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// listening makes an application with a stream that it polls; the result is its token and the stream's id.
func (h *house) listening(id string) (token, stream string) {
	h.t.Helper()
	token = h.token(id, "ssf.manage ssf.read")
	made := h.public(http.MethodPost, "/ssf/streams", token, `{"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked"],"delivery":{"method":"urn:ietf:rfc:8936"}}`)
	var s struct {
		ID string `json:"stream_id"`
	}
	if err := json.Unmarshal([]byte(made), &s); err != nil || s.ID == "" {
		h.t.Fatalf("a stream: got %s (%v)", made, err)
	}
	return token, s.ID
}

// An event's page tells where it went; the playground what would become of one, and keeps nothing.
func TestWayAndPlayground(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	token, stream := h.listening("shop")
	id := h.written("session.revoked", "jo@example.com", nil)
	at := "/console/events/" + id
	h.until("the SET waits", func() bool { return strings.Contains(v.get(at).body, "waiting</span>") })
	v.get(at).wants(t, 200, "Its way", stream, "● enabled")
	var got struct{ Sets map[string]string }
	if err := json.Unmarshal([]byte(h.public(http.MethodPost, "/ssf/poll/"+stream, token, `{"returnImmediately":true}`)), &got); err != nil || len(got.Sets) != 1 {
		t.Fatalf("a poll: got %v (%v), want one SET", got.Sets, err)
	}
	for jti := range got.Sets {
		h.public(http.MethodPost, "/ssf/poll/"+stream, token, `{"setErrs":{"`+jti+`":{"err":"invalid_audience","description":"not <us>"}},"maxEvents":0,"returnImmediately":true}`)
	}
	v.get(at).wants(t, 200, "dead letter</span>", "invalid_audience", "not &lt;us&gt;")
	again := h.written("session.revoked", "jo@example.com", nil)
	h.until("the next SET is taken", func() bool {
		var got struct{ Sets map[string]string }
		if err := json.Unmarshal([]byte(h.public(http.MethodPost, "/ssf/poll/"+stream, token, `{"returnImmediately":true}`)), &got); err != nil {
			t.Fatal(err)
		}
		for jti := range got.Sets {
			h.public(http.MethodPost, "/ssf/poll/"+stream, token, `{"ack":["`+jti+`"],"maxEvents":0,"returnImmediately":true}`)
		}
		return len(got.Sets) == 1
	})
	v.get("/console/events/"+again).wants(t, 200, "acknowledged</span>", `title="The receiver took it, as this node saw."`, `href="/console/streams/`+stream+`"`)
	other := h.written("account.suspended", "jo@example.com", nil)
	v.get("/console/events/"+other).wants(t, 200, "It goes to no stream")

	const try = "/console/events/try"
	v.get(try).wants(t, 200, "Mapping playground", `<option value="idme">`)
	v.post(try, "record", "{").wants(t, 400, "Not tried: the record is not JSON")
	v.post(try, "record", `{"type":"none"}`).wants(t, 400, "Not tried: subject is missing", "{&#34;type&#34;:&#34;none&#34;}")
	v.post(try, "record", `{"type":"session.revoked","subject":{"format":"email","email":"jo@example.com"}}`, "stream_id", "none").wants(t, 404, "Not tried: there is no such stream")
	v.post(try, "format", "idme", "record", `{"event":"status.suspension.applied","identifier":"a1b2","email":"jo@example.com","tracked_at":"2024-01-01T00:00:00Z"}`).
		wants(t, 200, "idme:status.suspension.applied", "Rules that were tried", `<span class="badge good">made</span>`)
	v.post(try, "record", `{"type":"session.revoked","subject":{"format":"email","email":"jo@example.com"}}`, "stream_id", stream).
		wants(t, 200, "Claims of the SET", "https://shop.example", "goes there")
	v.get("/console/events").wants(t, 200, "3 events")
}

func TestWayAndPlaygroundInBrowser(t *testing.T) {
	h := open(t)
	_, stream := h.listening("shop")
	id := h.written("session.revoked", "jo@example.com", nil)
	b := h.browse(t)
	b.open("/console/events/" + id)
	b.look("event-way")
	b.open("/console/events/try")
	ask(b, chromedp.Evaluate[int](`document.querySelector("#format").value = "idme"; 0`))
	b.fill("#record", `{"event":"status.suspension.applied","identifier":"a1b2","email":"jo@example.com","tracked_at":"2024-01-01T00:00:00Z"}`)
	b.fill("#stream_id", stream)
	b.press(".fields button.main")
	b.says("idme:status.suspension.applied", "Rules that were tried", "Claims of the SET")
	b.look("try")
}
