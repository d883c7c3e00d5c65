package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// receiver takes SETs, or refuses them.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	refuses bool
	got     int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got++
		if !r.refuses {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"err":"invalid_request","description":"<b>not</b> like this"}`)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) refuse(is bool) { r.mu.Lock(); defer r.mu.Unlock(); r.refuses = is }

// ssf asks the stream API of the transmitter as an application does.
func (h *house) ssf(method, path, token, body string, out any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.issuer+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		h.t.Fatalf("%s %s: got %d %s (%v)", method, path, resp.StatusCode, raw, err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			h.t.Fatalf("%s %s: got %s: %v", method, path, raw, err)
		}
	}
}

// tenant makes an application with a client, and returns the client's token.
func (h *house) tenant(id string) string {
	h.t.Helper()
	h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": id, "audience": []string{"https://" + id + ".example"}}, nil)
	var made auth.Credentials
	h.operate(http.MethodPost, "/admin/clients", map[string]any{"application": id, "scope": "ssf.manage ssf.read", "static": true}, &made)
	return made.AccessToken
}

// stream makes a stream of an application: pushed to a URL, or polled.
func (h *house) stream(token, push, description string) string {
	h.t.Helper()
	delivery := `{"method":"urn:ietf:rfc:8936"}`
	if push != "" {
		delivery = fmt.Sprintf(`{"method":"urn:ietf:rfc:8935","endpoint_url":%q,"authorization_header":"Bearer hush"}`, push)
	}
	var made struct {
		ID string `json:"stream_id"`
	}
	h.ssf(http.MethodPost, "/ssf/streams", token, fmt.Sprintf(`{"delivery":%s,"events_requested":[%q,"https://example.com/unknown"],"description":%q}`, delivery, sessionRevoked, description), &made)
	return made.ID
}

// until gets a page again and again until it has all of the texts.
func (v *visitor) until(path string, texts ...string) (p page) {
	v.t.Helper()
	v.house.until(path+" has "+strings.Join(texts, ", "), func() bool {
		p = v.get(path)
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(p.body, text) })
	})
	return p
}

// lacks fails if a page has one of the texts.
func (p page) lacks(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(p.body, text) {
			t.Errorf("got %q on %s, want it nowhere\n%s", text, p.path, p.body)
		}
	}
}

func quick(c *node.Config) { c.Transmitter.InactivityTimeout = time.Hour }

// All streams are listed, page by page, and found.
func TestStreams(t *testing.T) {
	h := open(t, quick)
	v := h.signedIn()
	v.get("/console/streams").wants(t, 200, "There is no stream yet")
	token := h.tenant("shop")
	first := h.stream(token, "https://events.shop.example/in?key=hush", "<i>Till</i>")
	second := h.stream(token, "", "")
	all := v.get("/console/streams")
	all.wants(t, 200, first, second, "&lt;i&gt;Till", "events.shop.example", "2 streams")
	all.lacks(t, "hush", "Next page")
	one := v.get("/console/streams/" + first)
	one.wants(t, 200, "https://events.shop.example/in?…")
	one.lacks(t, "hush")
	found := v.get("/console/streams?q=TILL&status=enabled&method=push&has=")
	found.wants(t, 200, first, `value="TILL"`, "<option selected>push")
	found.lacks(t, second)
	v.get("/console/streams?q=nothing").wants(t, 200, "No stream matches")
	v.get("/console/streams?status=on").wants(t, 400, "status")
	v.get("/console/streams?after=x").wants(t, 400, "after")
	for n := range 49 {
		h.stream(token, "", fmt.Sprint("number ", n))
	}
	page := v.get("/console/streams?q=shop")
	page.wants(t, 200, "50 streams on this page", "Next page")
	_, rest, _ := strings.Cut(page.body, `<a href="/console/streams?after=`) // the only link to one
	next, _, _ := strings.Cut(rest, `"`)
	v.get("/console/streams?after="+strings.ReplaceAll(next, "&amp;", "&")).wants(t, 200, "1 stream on this page", "number 48", `href="/console/streams?q=shop">First page`)
}

// What an operator does about a stream is done by the admin API, told to the receiver, and
// noted.
func TestStream(t *testing.T) {
	h := open(t, quick)
	v, to := h.signedIn(), newReceiver(t)
	token := h.tenant("shop")
	id := h.stream(token, to.URL+"/in", "Till")
	at := "/console/streams/" + id
	v.get(at).wants(t, 200, id, "https://shop.example", "session-revoked", "https://example.com/unknown", "paused for inactivity", "has pushed nothing", "Nothing was refused")
	v.get("/console/streams/none").wants(t, 404, "no such thing")

	v.post(at+"/verify").wants(t, 200, "A verification event is on its way")
	v.until(at, "✓ delivered", "verification")
	to.refuse(true)
	v.post(at + "/verify")
	p := v.until(at, "✕ refused", "invalid_request", "&lt;b&gt;not&lt;/b&gt; like this", "1 refusal", "after 19 more refused SETs", "/resend")
	p.lacks(t, "hush")
	to.refuse(false)
	v.post(letter(t, p, at, "resend")).wants(t, 200, "queued again")
	v.until(at, "Nothing was refused")
	to.refuse(true)
	v.post(at + "/verify")
	p = v.until(at, "/drop")
	v.post(letter(t, p, at, "drop")).wants(t, 200, "dropped for good", "Nothing was refused")
	v.post(letter(t, p, at, "drop")).wants(t, 200, "Not done: there is no such thing")
	to.refuse(false)

	v.post(at+"/status", "status", "paused", "reason", "audit").wants(t, 200, "is paused: its events wait", "audit", "an operator; the receiver cannot change it")
	var status struct{ Status, Reason string }
	h.ssf(http.MethodGet, "/ssf/status?stream_id="+id, token, "", &status)
	if status.Status != "paused" || status.Reason != "audit" {
		t.Errorf("the receiver reads %+v, want paused for an audit", status)
	}
	v.until(at, "stream-updated")
	v.get("/console/streams?status=paused").wants(t, 200, id)
	v.post(at+"/status", "status", "enabled").wants(t, 200, "is enabled. Its receiver is told", "the transmitter")
	v.post(at+"/status", "status", "asleep").wants(t, 200, "Not done: status")
	v.post(at+"/replay", "from", "yesterday").wants(t, 200, "Not done: from is no time")
	v.post(at+"/replay", "from", "2999-01-01T00:00").wants(t, 200, "Not done: from")
	v.post(at+"/replay", "from", "2026-01-01T00:00:30").wants(t, 200, "recorded since 2026-01-01 00:00:30 UTC")
	v.post(at+"/profile", "profile", "okta").wants(t, 200, "in the form that you gave", `value="okta"`)
	v.post(at+"/profile", "profile", "psion").wants(t, 200, "Not done: profile")
	key, err := jose.GenerateDecryptionKey(jose.ECDHES, jose.X25519)
	if err != nil {
		t.Fatal(err)
	}
	h.operate(http.MethodPut, "/admin/streams/"+id+"/encryption", map[string]any{"keys": key.Public()}, nil)
	v.get(at).wants(t, 200, "SETs are encrypted to the key <code>"+key.ID()+"</code>, ECDH-ES with A256GCM")
	v.post(at+"/status", "status", "disabled").wants(t, 200, "Not done: say that what waits may be dropped")
	v.post(at+"/status", "status", "disabled", "sure", "yes").wants(t, 200, "is disabled: what waited was dropped")
	v.post(at+"/verify").wants(t, 200, "Not done: stream_id")

	var acts struct {
		Acts []struct {
			Act string
			By  struct{ Via string }
		}
	}
	h.operate(http.MethodGet, "/admin/acts", nil, &acts)
	noted := map[string]bool{}
	for _, a := range acts.Acts {
		noted[a.Act] = noted[a.Act] || a.By.Via == "console"
	}
	for _, act := range []string{"stream.verify", "stream.status", "stream.replay", "stream.profile", "dead_letter.resend", "dead_letter.drop"} {
		if !noted[act] {
			t.Errorf("got no %s by the console in %+v, want it", act, acts)
		}
	}
}

// letter is where a form about the dead letter on a page leads.
func letter(t *testing.T, p page, at, act string) string {
	t.Helper()
	_, rest, ok := strings.Cut(p.body, `action="`+at+"/dead-letters/")
	jti, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		t.Fatalf("got no dead letter on the page, want one\n%s", p.body)
	}
	return at + "/dead-letters/" + jti + "/" + act
}

// Subjects are shown to who asks for them, and nowhere else.
func TestStreamSubjects(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	token := h.tenant("shop")
	id := h.stream(token, "", "")
	at := "/console/streams/" + id
	v.get(at+"/subjects").wants(t, 200, "There is no subject")
	h.ssf(http.MethodPost, "/ssf/subjects/remove", token, `{"stream_id":"`+id+`","subject":{"format":"email","email":"jules@shop.example"}}`, nil)
	p := v.get(at)
	p.wants(t, 200, "1 registered", "show them")
	p.lacks(t, "jules")
	v.get(at+"/subjects").wants(t, 200, "jules@shop.example", "removed")
	v.get("/console/streams/none/subjects").wants(t, 404)
	v.get(at+"/subjects?search=x").wants(t, 404, "Begin again")
}

func TestStreamsInBrowser(t *testing.T) {
	h := open(t, quick)
	to := newReceiver(t)
	token := h.tenant("shop")
	b := h.browse(t)
	b.press(`nav a[href="/console/streams"]`)
	b.look("streams-empty")
	id := h.stream(token, to.URL+"/in", "The till in Ghent")
	h.stream(token, "", "Nightly")
	h.stream(h.tenant("bank"), "https://events.bank.example/ssf/in", "")
	to.refuse(true)
	h.operate(http.MethodPost, "/admin/streams/"+id+"/verify", nil, nil)
	v := h.signedIn()
	v.until("/console/streams/"+id, "/resend")
	b.open("/console/streams")
	b.look("streams")
	b.fill("#q", "ghent")
	b.press(".filters button")
	b.says("1 stream", "The till in Ghent")
	b.press("tbody th a")
	b.says("Stream of shop", "refused", "<b>not</b> like this")
	b.look("stream")
	to.refuse(false)
	b.press(`form[action$="/resend"] button`)
	b.says("queued again")
	v.until("/console/streams/"+id, "Nothing was refused")
	b.press(`form[action$="/verify"] button`)
	b.says("on its way")
	b.fill("#reason", "an audit")
	b.press(`button[value="paused"]`)
	b.says("is paused: its events wait", "an audit", "the receiver cannot change it")
	b.look("stream-paused")
	b.press(`button[value="enabled"]`)
	b.says("The stream is enabled")
	b.fill("#profile", "okta")
	b.press(`form[action$="/profile"] button`)
	b.says("in the form that you gave")
	h.ssf(http.MethodPost, "/ssf/subjects/remove", token, `{"stream_id":"`+id+`","subject":{"format":"email","email":"jules@shop.example"}}`, nil)
	b.open("/console/streams/" + id + "/subjects")
	b.says("jules@shop.example")
	b.look("stream-subjects")
	b.open("/console/streams/" + id)
	b.click(`input[name="sure"]`)
	b.press(`button[value="disabled"]`)
	b.says("what waited was dropped")
	b.look("stream-disabled")
}
