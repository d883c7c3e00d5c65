package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// onRedis is a node that shares a Redis.
func onRedis(url, issuer string) func(*node.Config) {
	return func(cfg *node.Config) {
		cfg.Redis = &redisdb.Config{URL: url, Volatile: true}
		if issuer != "" {
			cfg.Transmitter.Issuer = issuer
		}
	}
}

// The console is the same where several nodes share a Redis: what one was told the other's
// pages show, and they say what is of one node alone.
func TestOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := open(t, onRedis(server.URL(), ""))
	b := open(t, onRedis(server.URL(), a.issuer))
	to := newReceiver(t)
	to.refuse(true)
	tenant := a.tenant("shop")
	push, poll := a.stream(tenant, to.URL, "The till"), a.stream(tenant, "", "The desk")
	a.ssf(http.MethodPost, "/ssf/subjects/add", tenant, `{"stream_id":"`+push+`","subject":{"format":"email","email":"jules@shop.example"}}`, nil)
	va, vb := a.signedIn(), b.signedIn()
	if p := vb.post("/console/events/emit", "type", "session.revoked", "format", "email", "who", "jules@shop.example"); p.status != 200 {
		t.Fatalf("emit: got %d\n%s", p.status, p.body)
	}
	at := "/console/streams/" + push
	var p page
	b.until("the other node's page has the dead letter", func() bool {
		p = vb.get(at)
		return strings.Contains(p.body, "1 in all, the oldest first")
	})
	p.wants(t, 200, "The till", "invalid_request", "1 registered", "show them")
	vb.get(at+"/subjects").wants(t, 200, "There are 1", "does not list them")
	// The attempts are with the node that has the stream: one of both.
	both := va.get(at).body + vb.get(at).body
	for _, text := range []string{"as node <code>", "what others saw is with them", "has pushed nothing to this stream"} {
		if !strings.Contains(both, text) {
			t.Errorf("got no %q on the stream's page of either node", text)
		}
	}
	for _, v := range []*visitor{va, vb} {
		v.get("/console/").wants(t, 200, "2 streams, the worst first", "dead letters")
		v.get("/console/streams").wants(t, 200, "The till", "The desk", "2 streams")
		v.get("/console/streams?has=dead_letters").wants(t, 200, "The till", "1 stream")
		v.get("/console/streams?q=desk").wants(t, 200, "The desk", "1 stream")
		v.get("/console/streams/"+poll).wants(t, 200, "Stream of shop")
		v.until("/console/events", "1 event", "session.revoked")
		v.get("/console/keys").wants(t, 200, "signs")
		v.get("/console/clients").wants(t, 200, "shop")
		v.get("/console/applications").wants(t, 200, "shop")
		v.get("/console/sources").wants(t, 200, "There is no source yet")
		v.get("/console/webhooks").wants(t, 200, "There is no webhook yet")
		v.get("/console/consents").wants(t, 200, "shop", "off")
		v.get("/console/consents/shop").wants(t, 200, "Nothing was decided yet")
		v.get("/console/audit").wants(t, 200, "console.sign_in", "application.add")
	}
	var found struct{ Events []struct{ ID string } }
	a.operate(http.MethodGet, "/admin/events", nil, &found)
	va.until("/console/events/"+found.Events[0].ID, "dead letter", "waiting", "invalid_request")

	// Acts at one node hold at the other.
	to.refuse(false)
	_, rest, _ := strings.Cut(p.body, `action="`+at+`/dead-letters/`)
	jti, _, _ := strings.Cut(rest, "/")
	va.post(at+"/dead-letters/"+jti+"/resend").wants(t, 200, "queued again")
	b.until("the dead letter is gone", func() bool { return strings.Contains(vb.get(at).body, "Nothing was refused or expired") })
	va.post(at+"/status", "status", "paused", "reason", "stocktaking").wants(t, 200, "stream is paused")
	vb.get(at).wants(t, 200, "stocktaking")
	vb.post(at+"/status", "status", "enabled").wants(t, 200, "stream is enabled")
	va.post("/console/consents/shop/gate", "enabled", "true", "refused", "hold", "hold_seconds", "0", "drop_after_seconds", "60").wants(t, 200, "gate was set")
	va.post("/console/consents/shop/decide", "subject", "jules@shop.example", "decision", "grant").wants(t, 200, "decision was noted")
	vb.get("/console/consents").wants(t, 200, "● on")
	vb.until("/console/consents/shop", "grant")
	va.post("/console/keys/rotate").wants(t, 200, "signs from now on")
	if a, b := strings.Count(va.get("/console/keys").body, "<tr>"), strings.Count(vb.get("/console/keys").body, "<tr>"); a != b {
		t.Errorf("keys: got %d and %d rows at two nodes, want the same", a, b)
	}
}

// A page costs a few exchanges with the Redis, however many streams and applications stand
// on it: each takes a while here.
func TestExchangesOfPages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	line := server.StartLine(t)
	h := open(t, onRedis(line.URL(), ""))
	for i := range 60 { // each of an application of its own: the worst case
		id := fmt.Sprintf("app%02d", i)
		h.stream(h.tenant(id), "", id)
	}
	var made struct{ ID string }
	h.operate(http.MethodPost, "/admin/events", map[string]any{"type": "session.revoked", "subject": map[string]string{"format": "email", "email": "jo@example.com"}}, &made)
	v := h.signedIn()
	v.until("/console/events/"+made.ID, "waiting")
	const slow = 20 * time.Millisecond
	line.Delay(t, slow)
	for _, test := range []struct {
		path string
		most int // exchanges, one after the other
	}{
		{"/console/", 8},
		{"/console/streams", 14},
		{"/console/streams?has=dead_letters", 16},
		{"/console/applications", 6},
		{"/console/clients", 8},
		{"/console/consents", 8},
		{"/console/events", 8},
		{"/console/audit", 12},
		{"/console/webhooks", 8},
		{"/console/events/" + made.ID, 110}, // one for each stream of the hundred that it names, to ask whether the account takes part
	} {
		took := min(v.firstByte(test.path), v.firstByte(test.path)) // others use the machine, too
		n := int(took / slow)
		t.Logf("%s: %v, about %d exchanges", test.path, took, n)
		if n > test.most {
			t.Errorf("%s: got about %d exchanges (%v at %v each), want at most %d", test.path, n, took, slow, test.most)
		}
	}
}
