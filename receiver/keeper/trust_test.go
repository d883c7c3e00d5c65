package keeper_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// jtis returns the ids of what the hooks saw.
func (p *party) jtis() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, d := range p.got {
		ids = append(ids, d.ID)
	}
	return ids
}

// A transmitter may speak of the event types and the subjects that it is trusted for.
// The rest is acknowledged, counted, and reaches no hook.
func TestTrustedFor(t *testing.T) {
	const realm, other = "https://realm.example", "https://other.example"
	user := func(iss string) subject.Identifier { return subject.IssSub(iss, "alice") }
	both, err := subject.Complex(map[string]subject.Identifier{"user": user(realm), "session": subject.JWTID(other, "1")})
	must(t, err)
	p := newPeer(t)
	r := start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) {
		cfg.JWKSURL, cfg.Events, cfg.SubjectIssuers = p.issuer+"/jwks", []string{caep.SessionRevokedType}, []string{realm}
	})
	for _, e := range []struct {
		jti  string
		id   subject.Identifier
		kind string
	}{
		{"trusted", user(realm), caep.SessionRevokedType},
		{"nobody's", email("alice"), caep.SessionRevokedType},
		{"other type", user(realm), risc.AccountPurgedType},
		{"other issuer", user(other), caep.SessionRevokedType},
		{"other in a complex one", both, caep.SessionRevokedType},
		{"other among aliases", subject.Aliases(user(realm), user(other)), caep.SessionRevokedType},
		{"other assertion", subject.SAMLAssertionID(other, "1"), caep.SessionRevokedType},
		{"control", subject.Opaque("stream"), streams.TypeVerification},
		{"last", user(realm), caep.SessionRevokedType},
	} {
		if code, body := p.push(r.url, "", p.sign(e.jti, e.id, e.kind, `{}`)); code != http.StatusAccepted {
			t.Errorf("%s: got %d %s, want it acknowledged", e.jti, code, body)
		}
	}
	until(t, "all are handled", func() bool { return r.health().Inbox.Waiting == 0 })
	got := r.jtis()
	slices.Sort(got)
	if want := []string{"control", "last", "nobody's", "trusted"}; !slices.Equal(got, want) {
		t.Errorf("got %q at the hooks, want %q", got, want)
	}
	h := r.health()
	if h.Ignored["event_type"] != 1 || h.Ignored["subject_issuer"] != 4 || h.Inbox.Dead != 0 {
		t.Errorf("got %v ignored and %d dead, want 1 for its type, 4 for their subjects, none dead", h.Ignored, h.Inbox.Dead)
	}
}

// Of a SET with several events those reach hooks that the transmitter may speak of: a
// type that is trusted, or a verification, opens no door for the others beside it.
func TestTrustedForEachEvent(t *testing.T) {
	p := newPeer(t)
	r := start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) {
		cfg.JWKSURL, cfg.Events = p.issuer+"/jwks", []string{caep.CredentialChangeType}
	})
	const change = `"` + caep.CredentialChangeType + `":{"credential_type":"password","change_type":"update"}`
	const revoked, purged, verification = `"` + caep.SessionRevokedType + `":{}`, `"` + risc.AccountPurgedType + `":{}`, `"` + streams.TypeVerification + `":{}`
	for jti, events := range map[string]string{
		"behind":       change + "," + revoked,
		"before":       revoked + "," + change,
		"verification": verification + "," + revoked,
		"none":         revoked + "," + purged,
	} {
		claims := fmt.Sprintf(`{"iss":%q,"jti":%q,"iat":%d,"aud":%q,"sub_id":{"format":"opaque","id":"stream"},"events":{%s}}`,
			p.issuer, jti, time.Now().Unix(), audience, events)
		if code, body := p.push(r.url, "", p.signClaims(claims, peerKey())); code != http.StatusAccepted {
			t.Errorf("%s: got %d %s, want it acknowledged", jti, code, body)
		}
	}
	until(t, "all are handled", func() bool { return r.health().Inbox.Waiting == 0 })
	got := map[string]string{}
	r.mu.Lock()
	for _, d := range r.got {
		types := []string{d.Type}
		for _, event := range d.Token.Events {
			types = append(types, event.Type)
		}
		got[d.ID] = strings.Join(types, " ")
	}
	r.mu.Unlock()
	both := func(typ string) string { return typ + " " + typ } // as its type, and alone
	want := map[string]string{
		"behind": both(caep.CredentialChangeType), "before": both(caep.CredentialChangeType), "verification": both(streams.TypeVerification),
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v at the hooks, want %v", got, want)
	}
	if n := r.health().Ignored["event_type"]; n != 5 {
		t.Errorf("got %d events ignored, want 5", n)
	}
}

// A static registration can be polled, with a token, at the endpoint that is stated.
func TestStaticPolled(t *testing.T) {
	p := newPeer(t)
	p.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/poll" && r.Header.Get("Authorization") != "Bearer t0ken" {
			answer(w, http.StatusUnauthorized, object{})
			return true
		}
		return false
	}
	p.queue = []delivery.PollSet{{ID: "a", SET: p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)}}
	r := start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) {
		cfg.JWKSURL, cfg.Credential = p.issuer+"/jwks", fixed("t0ken")
		cfg.Receiver.Poll = &receiver.Poll{Endpoint: p.issuer + "/poll?stream_id=theirs"}
	})
	until(t, "the event", r.has("alice"))
	if h := r.health(); h.Poll == nil || h.Mode != keeper.Static {
		t.Errorf("got %+v, want a static registration that is polled", h)
	}
	if n := p.count("POST /poll?stream_id=theirs"); n == 0 || p.count("GET /.well-known") != 0 || p.count("GET /streams") != 0 {
		t.Errorf("got requests %q, want polls and keys alone", p.requests)
	}
}

// Algorithms and audiences are the issuer's own, and what is refused is told.
func TestRefusals(t *testing.T) {
	p := newPeer(t)
	k := static(t, p, func(cfg *keeper.Config) { cfg.Receiver.Algorithms = []jose.Algorithm{jose.ES256} })
	rs256 := p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)
	if code := offer(k, rs256); code != http.StatusBadRequest {
		t.Errorf("got %d for an algorithm that is not this issuer's, want 400", code)
	}
	elsewhere := static(t, p, func(cfg *keeper.Config) { cfg.Receiver.Audience = []string{"https://elsewhere.example"} })
	if code := offer(elsewhere, rs256); code != http.StatusBadRequest {
		t.Errorf("got %d for another audience, want 400", code)
	}
	if h := k.Health(t.Context()); h.Refusals != 1 || h.RefusedCode != delivery.CodeInvalidKey || h.Refused.IsZero() {
		t.Errorf("got %+v, want one refusal with its code and time", h)
	}
	if h := elsewhere.Health(t.Context()); h.RefusedCode != delivery.CodeInvalidAudience {
		t.Errorf("got %s, want %s", h.RefusedCode, delivery.CodeInvalidAudience)
	}
}

// journal collects what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// SEC-04: no secret and no subject is in the log or in the health.
func TestSecretsStayInside(t *testing.T) {
	p, log := newPeer(t), &journal{}
	r := pushed(p, t.TempDir(), func(cfg *keeper.Config) {
		cfg.Receiver.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.SubjectIssuers = []string{"https://realm.example"}
	})
	id := r.stands(keeper.OK).Stream.ID
	p.with(func() { p.stream(id)["description"] = "changed" })
	until(t, "a repair", func() bool { return r.health().Stream.Repaired == 1 })
	p.push(r.url, secret, p.sign("a", subject.IssSub("https://other.example", "alice"), caep.SessionRevokedType, `{}`))
	p.push(r.url, "Bearer wrong", p.sign("b", email("alice"), caep.SessionRevokedType, `{}`))
	until(t, "an ignored event", func() bool { return r.health().Ignored["subject_issuer"] == 1 })
	p.refusing(http.StatusBadRequest, "GET /streams")
	until(t, "a failure", func() bool { return r.health().Stream.Error != "" })
	for _, text := range []string{log.String(), shown(t, r.health())} {
		for _, hidden := range []string{"s3cret", "t0ken", "alice", "wrong\""} {
			if strings.Contains(text, hidden) {
				t.Errorf("got %q in %s, want it nowhere", hidden, text)
			}
		}
	}
	if !strings.Contains(log.String(), "repaired") {
		t.Errorf("got log %s, want the repair in it", log)
	}
}

// The error of New names every wrong field.
func TestConfig(t *testing.T) {
	_, err := keeper.New(keeper.Config{
		MetadataURL: "nowhere", JWKSURL: "nowhere", KeyFile: "x", Events: []string{}, SubjectIssuers: []string{""}, Interval: -1,
		Receiver: receiver.Config{Authorization: "a"},
		Stream:   &keeper.Stream{Delivery: streams.Delivery{Method: delivery.MethodPush, AuthorizationHeader: "b"}, Status: "asleep"},
	})
	for _, name := range []string{
		"Receiver.Mux", "MetadataURL", "JWKSURL", "KeyFile", "Events", "SubjectIssuers", "times", "EndpointURL",
		"Receiver.Authorization", "Stream.Status", "Config.State",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want it to name %s", err, name)
		}
	}
	_, err = keeper.New(keeper.Config{Receiver: receiver.Config{Mux: receiver.NewMux()}})
	for _, name := range []string{"Issuer", "Audience", "Inbox"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want it to name %s", err, name)
		}
	}
}
