package transmitter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// A signing key is changed in the middle of deliveries: every SET verifies
// with the keys that are published, those of before too, whose key stays
// (contracts.md §6, SSF-7.1-02).
func TestKeyRotationMeanwhile(t *testing.T) {
	h := open(t)
	token := h.client("shop", everyScope)
	to := newSink(t)
	h.stream(token, pushTo(to.URL))
	pulled := h.stream(token, "")
	p := h.newParty("mail", true)
	var sent, kids []string
	for i := range 30 {
		if i == 15 { // once: a receiver looks for new keys no more than so often
			kid, err := h.keys.Rotate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kids = append(kids, kid)
		}
		sent = append(sent, h.emit(token, strconv.Itoa(i%3)))
	}
	until(t, "all are pushed", func() bool { return len(to.transactions()) == len(sent) })
	p.has("all, at a receiver that verifies", sent...)
	// A SET polled twice, once under each key: the same claims.
	_, first := h.poll(token, pulled, `{"maxEvents":1}`)
	kid, err := h.keys.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jwks := h.must(200, "GET", "/jwks.json", "", "").body
	for _, kid := range append(kids, kid) {
		if !strings.Contains(jwks, kid) {
			t.Errorf("SSF-7.1-02: key %s is not published", kid)
		}
	}
	verifier, err := set.NewVerifier(set.VerifierConfig{
		Issuer: h.issuer, Audience: []string{audience("shop")}, Algorithms: []jose.Algorithm{jose.ES256},
		Keys: wellknown.NewClient(wellknown.Config{HTTP: guard.NewClient(guard.Policy{InsecureLoopback: true})}).Keys(h.issuer),
	})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, r := range to.requests() {
		tok, err := verifier.Verify(t.Context(), []byte(r.compact))
		if err != nil {
			t.Errorf("contracts.md §6: a SET signed before: %v", err)
			continue
		}
		used[tok.Header.KeyID] = true
	}
	if len(used) != 2 {
		t.Errorf("got SETs under %d keys: the test saw too little", len(used))
	}
	if len(first) != 1 {
		t.Fatalf("got %d SETs, want 1", len(first))
	}
	if _, err := verifier.Verify(t.Context(), []byte(first[0])); err != nil {
		t.Errorf("a polled SET signed before: %v", err)
	}
}

// The delivery method is changed from push to poll and back while events come:
// nothing is lost and the order stays (U13).
func TestDeliveryMethodChanges(t *testing.T) {
	h := open(t)
	token := h.client("shop", everyScope)
	to := newSink(t)
	var closed atomic.Bool
	to.status = func(int) int {
		if closed.Load() {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	stream := h.stream(token, pushTo(to.URL))
	patch := func(delivery string) {
		h.must(200, "PATCH", "/ssf/streams", token, `{"stream_id":"`+stream+`","delivery":`+delivery+`}`)
	}
	sent := h.emitMany(token, 10)
	until(t, "pushed", func() bool { return len(to.transactions()) == 10 })
	closed.Store(true) // some wait for the receiver
	sent = append(sent, h.emitMany(token, 5)...)
	until(t, "the receiver was asked in vain", func() bool { r := to.requests(); return len(r) > 10 })
	patch(`{"method":"urn:ietf:rfc:8936"}`)
	sent = append(sent, h.emitMany(token, 5)...)
	var polled []string
	for ack := ""; len(polled) < 7; {
		ids, sets := h.poll(token, stream, `{"maxEvents":1,"ack":[`+ack+`]}`)
		ack = ""
		if len(ids) == 0 {
			continue // still out at the push that failed
		}
		ack = `"` + ids[0] + `"`
		polled = append(polled, parse(t, sets[0]).TransactionID)
		if len(polled) == 7 {
			h.poll(token, stream, `{"maxEvents":0,"ack":[`+ack+`]}`)
		}
	}
	closed.Store(false)
	patch(pushTo(to.URL))
	sent = append(sent, h.emitMany(token, 5)...)
	until(t, "all", func() bool { return len(to.transactions())+len(polled) == len(sent) })
	var got []string
	pushedOK := to.transactions()
	for _, r := range to.requests() {
		if slices.Contains(pushedOK, r.txn) && !slices.Contains(polled, r.txn) && !slices.Contains(got, r.txn) {
			got = append(got, r.txn)
		}
	}
	got = slices.Concat(got[:10], polled, got[10:])
	if !slices.Equal(got, sent) {
		t.Errorf("U13, SSF-8.1.2.1-05: got %v, want %v", got, sent)
	}
}

// What a receiver refuses for good becomes a dead letter, which its application
// lists page by page, sends again under its jti, or drops.
func TestDeadLettersOverHTTP(t *testing.T) {
	h := open(t)
	token := h.client("shop", everyScope)
	to := newSink(t)
	var refuse atomic.Bool
	refuse.Store(true)
	to.status = func(int) int {
		if refuse.Load() {
			return http.StatusBadRequest
		}
		return 0
	}
	stream := h.stream(token, pushTo(to.URL))
	sent := h.emitMany(token, 7)
	base := "/v1/streams/" + stream + "/dead-letters"
	type page struct {
		DeadLetters []struct {
			ID       string `json:"jti"`
			Type     string `json:"event_type"`
			Code     string `json:"err"`
			Attempts int    `json:"attempts"`
		} `json:"dead_letters"`
		Next string `json:"next"`
	}
	read := func(query string) (p page) {
		a := h.must(200, "GET", base+query, token, "")
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatal(err)
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("got Cache-Control %q", got)
		}
		return p
	}
	until(t, "all are dead letters", func() bool { return len(read("").DeadLetters) == len(sent) })
	var all []string
	for p := read("?limit=3"); ; p = read("?limit=3&after=" + p.Next) {
		for _, l := range p.DeadLetters {
			all = append(all, l.ID)
			if l.Type != sessionRevoked || l.Code == "" || l.Attempts != 1 {
				t.Errorf("got %+v", l)
			}
		}
		if p.Next == "" {
			break
		}
	}
	if len(all) != len(sent) {
		t.Fatalf("got %d dead letters page by page, want %d", len(all), len(sent))
	}
	refuse.Store(false)
	h.must(204, "DELETE", base+"/"+all[0], token, "")
	for _, jti := range all[1:] {
		h.must(202, "POST", base+"/"+jti+"/resend", token, "")
	}
	checkError(t, "sent again twice", h.do("POST", base+"/"+all[1]+"/resend", token, ""), http.StatusNotFound)
	until(t, "the rest is delivered", func() bool { return len(to.transactions()) == len(sent)-1 })
	var jtis []string
	for _, r := range to.requests()[len(sent):] {
		jtis = append(jtis, r.jti)
	}
	slices.Sort(jtis)
	slices.Sort(all)
	if len(jtis) != len(all)-1 || slices.ContainsFunc(jtis, func(id string) bool { return !slices.Contains(all, id) }) {
		t.Errorf("contracts.md §6: got jtis %v, want the dead letters' own", jtis)
	}
}

// clock is a clock that a test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) move(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) use(s *setup)         { s.Now = c.now }

// SSF-8.1.1-04, -05, -06, SSF-8.1.5-01: a stream without activity is paused and
// told so; pushes are no activity, calls and polls are; the receiver may enable
// it again (U17).
func TestInactivity(t *testing.T) {
	c := &clock{}
	h := open(t, c.use, func(s *setup) { s.InactivityTimeout = 10 * time.Minute })
	token := h.client("shop", everyScope)
	to := newSink(t)
	idle, polled, called := h.stream(token, pushTo(to.URL)), h.stream(token, ""), h.stream(token, "")
	if got := h.must(200, "GET", "/ssf/streams?stream_id="+called, token, "").member("inactivity_timeout"); got != "600" {
		t.Errorf("SSF-8.1.1: got inactivity_timeout %s, want 600", got)
	}
	status := func(id string) string {
		s, err := h.store.Stream(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Status)
	}
	for range 3 {
		c.move(4 * time.Minute)
		h.poll(token, polled, `{"returnImmediately":true}`)
		h.must(200, "GET", "/ssf/status?stream_id="+called, token, "")
		sent := h.emit(token, "a")
		// No lease shall end because the clock moves while it is on its way.
		until(t, "the event", func() bool { return slices.Contains(to.transactions(), sent) })
		h.Upkeep(t.Context())
	}
	until(t, "stream-updated", func() bool {
		return slices.ContainsFunc(to.requests(), func(r pushed) bool { return r.eventType == streams.TypeStreamUpdated })
	})
	for id, want := range map[string]string{idle: "paused", polled: "enabled", called: "enabled"} {
		if got := status(id); got != want {
			t.Errorf("SSF-8.1.1-04: got %s, want %s", got, want)
		}
	}
	for _, r := range to.requests() {
		if r.eventType != streams.TypeStreamUpdated {
			continue
		}
		tok := parse(t, r.compact)
		if got := string(tok.Events[0].Payload); got != `{"status":"paused","reason":"`+streams.ReasonInactive+`"}` || !tok.Subject.Equal(subject.Opaque(idle)) {
			t.Errorf("SSF-8.1.5-03: got %s about %v", got, tok.Subject)
		}
	}
	held := h.emit(token, "a")
	if got := h.must(200, "POST", "/ssf/status", token, `{"stream_id":"`+idle+`","status":"enabled"}`).member("status"); got != "enabled" {
		t.Errorf("U17: got %s", got)
	}
	until(t, "what was held", func() bool { return slices.Contains(to.transactions(), held) })
	if got := len(to.requests()); got != 5 {
		t.Errorf("got %d SETs, want four events and stream-updated", got)
	}
}

// SSF-8.1.1-03, SSF-8.1.4.2-04: sooner than min_verification_interval is 429
// with Retry-After; the state of the one that was accepted comes back.
func TestVerificationInterval(t *testing.T) {
	c := &clock{}
	h := open(t, c.use, func(s *setup) { s.MinVerificationInterval = time.Minute })
	token := h.client("shop", everyScope)
	stream := h.stream(token, "")
	body := func(state string) string { return `{"stream_id":"` + stream + `","state":"` + state + `"}` }
	if a := h.must(204, "POST", "/ssf/verify", token, body("one")); a.body != "" {
		t.Errorf("SSF-8.1.4.2-01: got body %q", a.body)
	}
	a := h.do("POST", "/ssf/verify", token, body("two"))
	checkError(t, "SSF-8.1.4.2-04", a, http.StatusTooManyRequests)
	if s, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || s < 1 || s > 60 {
		t.Errorf("SSF-8.1.4.2-04: got Retry-After %q, want up to 60 s", a.header.Get("Retry-After"))
	}
	c.move(61 * time.Second)
	h.must(204, "POST", "/ssf/verify", token, body("three"))
	_, sets := h.poll(token, stream, `{}`)
	var states []string
	for _, s := range sets {
		states = append(states, string(parse(t, s).Events[0].Payload))
	}
	if want := []string{`{"state":"one"}`, `{"state":"three"}`}; !slices.Equal(states, want) {
		t.Errorf("SSF-8.1.4.2-02: got %v, want %v", states, want)
	}
}

// SSF-7.1-13, SSF-8.1.1.1-03: default_subjects NONE and one stream per
// application.
func TestNoneAndOneStream(t *testing.T) {
	h := open(t, func(s *setup) { s.DefaultSubjects, s.OneStream = streams.SubjectsNone, true })
	token := h.client("shop", everyScope)
	if got := h.must(200, "GET", "/.well-known/ssf-configuration", "", "").member("default_subjects"); got != "NONE" {
		t.Errorf("SSF-7.1-10: got default_subjects %q", got)
	}
	stream := h.stream(token, "")
	checkError(t, "SSF-8.1.1.1-03", h.do("POST", "/ssf/streams", token, "{}"), http.StatusConflict)
	if got := h.must(200, "GET", "/ssf/streams", token, "").body; strings.Count(got, `"stream_id"`) != 1 {
		t.Errorf("SSF-8.1.1.1-03: got %s, want one stream", got)
	}
	h.stream(h.client("other", everyScope), "") // another application has its own
	body := func(user string) string {
		return `{"stream_id":"` + stream + `","subject":{"format":"email","email":"` + user + `@example.com"}}`
	}
	unknown := h.emit(token, "ana")
	h.must(200, "POST", "/ssf/subjects/add", token, body("ana"))
	added := h.emit(token, "ana")
	ids, sets := h.poll(token, stream, `{}`)
	if len(sets) != 1 || parse(t, sets[0]).TransactionID != added {
		t.Fatalf("SSF-7.1-13: got %d SETs, want the one after the subject was added, not %s", len(sets), unknown)
	}
	h.must(204, "POST", "/ssf/subjects/remove", token, body("ana"))
	h.emit(token, "ana")
	h.must(204, "POST", "/ssf/verify", token, `{"stream_id":"`+stream+`"}`)
	_, sets = h.poll(token, stream, `{"ack":["`+ids[0]+`"]}`)
	if len(sets) != 1 || parse(t, sets[0]).Type() != streams.TypeVerification {
		t.Errorf("SSF-7.1-14: got %d SETs, want the verification alone", len(sets))
	}
}

// SSF-7.2.1-02: issuers that share a host are apart: metadata, keys, streams
// and tokens, each below its own path.
func TestTwoIssuers(t *testing.T) {
	mux := http.NewServeMux()
	front := httptest.NewServer(mux)
	defer front.Close()
	mount := func(path string) *house {
		h := open(t, func(s *setup) { s.Issuer = front.URL + path })
		mux.Handle(path+"/", h.Handler())
		for _, name := range []string{"ssf-configuration", "oauth-authorization-server"} {
			mux.Handle("/.well-known/"+name+path, h.Handler())
		}
		mux.Handle("/.well-known/oauth-protected-resource"+path+"/", h.Handler())
		return h
	}
	one, two := mount("/t1"), mount("/t2")
	for _, h := range []*house{one, two} {
		u, err := wellknown.URL(h.issuer)
		if err != nil {
			t.Fatal(err)
		}
		a := h.ask(context.Background(), "GET", u, "", nil)
		if got := a.member("issuer"); a.status != 200 || got != h.issuer || a.member("jwks_uri") != h.issuer+"/jwks.json" {
			t.Errorf("SSF-7.2-01: got %d %s at %s, want issuer %s", a.status, a.body, u, h.issuer)
		}
		for _, endpoint := range []string{"configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
			if got := a.member(endpoint); !strings.HasPrefix(got, h.issuer+"/ssf/") {
				t.Errorf("SSF-7.1-05 %s: got %q", endpoint, got)
			}
		}
	}
	made, other := one.credentials("shop", everyScope), two.credentials("shop", everyScope)
	for name, token := range map[string]string{"static": made.AccessToken, "JWT": one.jwt(made)} {
		one.must(200, "GET", "/ssf/streams", token, "")
		checkError(t, name+" token at the other issuer", two.do("GET", "/ssf/streams", token, ""), http.StatusUnauthorized)
	}
	stream := one.stream(made.AccessToken, "")
	checkError(t, "stream of the other issuer", two.do("GET", "/ssf/streams?stream_id="+stream, other.AccessToken, ""), http.StatusNotFound)
	there := two.stream(other.AccessToken, "")
	id := one.emit(made.AccessToken, "a")
	_, sets := one.poll(made.AccessToken, stream, `{}`)
	if len(sets) != 1 {
		t.Fatalf("got %d SETs, want 1", len(sets))
	}
	tok := parse(t, sets[0])
	if tok.Issuer != one.issuer || tok.TransactionID != id {
		t.Errorf("SSF-4.1.6-01: got %s %s, want %s %s", tok.Issuer, tok.TransactionID, one.issuer, id)
	}
	if ids, _ := two.poll(other.AccessToken, there, `{"returnImmediately":true}`); len(ids) != 0 {
		t.Errorf("got %d SETs at the other issuer, want none", len(ids))
	}
	if k := two.must(200, "GET", "/jwks.json", "", "").body; strings.Contains(k, tok.Header.KeyID) {
		t.Error("the issuers share a key")
	}
	if got := one.do("GET", "/ssf/streams", "", "").header.Get("WWW-Authenticate"); !strings.Contains(got, front.URL+"/.well-known/oauth-protected-resource/t1/ssf/streams") {
		t.Errorf("PRM-5.1-01: got WWW-Authenticate %q", got)
	}
}

// Config is judged as a whole, each wrong field by name.
func TestConfigRefused(t *testing.T) {
	_, err := transmitter.New(transmitter.Config{
		DefaultSubjects: "SOME", MinVerificationInterval: time.Millisecond, InactivityTimeout: -time.Second,
		MaxStreams: -1, MaxSubjects: -1, PushWindow: -1, PushTimeout: -1, PushSchedule: []time.Duration{1, 0},
		PushGiveUp: -1, PushRefusals: -1, LongPoll: -1, Redeliver: -1, Expiry: -1,
	})
	for _, field := range []string{
		"Issuer", "Log", "Streams", "Applications", "Keys", "DefaultSubjects", "MinVerificationInterval", "InactivityTimeout",
		"MaxStreams", "MaxSubjects", "PushWindow", "PushTimeout", "PushSchedule", "PushGiveUp", "PushRefusals", "LongPoll", "Redeliver", "Expiry",
	} {
		if err == nil || !strings.Contains(err.Error(), "Config."+field+" ") {
			t.Errorf("got %v, want it to name %s", err, field)
		}
	}
	for _, c := range []struct {
		name, issuer string
		insecure     bool
		ok           bool
	}{
		{"SSF-7.1-01 https", "https://h.example", false, true},
		{"path", "https://h.example/t/1", false, true},
		{"SSF-7.2-01 slash at the end", "https://h.example/t/", false, true},
		{"SSF-7.1-01 http", "http://h.example", false, false},
		{"http, not loopback", "http://h.example", true, false},
		{"http on loopback, not asked for", "http://127.0.0.1:1", false, false},
		{"http on loopback", "http://127.0.0.1:1", true, true},
		{"SSF-7.1-01 query", "https://h.example?x", false, false},
		{"SSF-7.1-01 empty query", "https://h.example/?", false, false},
		{"SSF-7.1-01 fragment", "https://h.example#", false, false},
		{"user information", "https://u@h.example", false, false},
		{"no host", "https:///x", false, false},
		{"path like a pattern", "https://h.example/:id", false, false},
		{"path with a star", "https://h.example/*", false, false},
		{"escaped path", "https://h.example/%C3%A9", false, false},
		{"empty segment", "https://h.example/a//b", false, false},
	} {
		_, err := transmitter.New(transmitter.Config{Issuer: c.issuer, InsecureLoopback: c.insecure})
		if got := err == nil || !strings.Contains(fmt.Sprint(err), "Config.Issuer"); got != c.ok {
			t.Errorf("%s: got %v, want accepted %v", c.name, err, c.ok)
		}
	}
}
