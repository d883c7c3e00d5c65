package transmitter_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokenServer gives out tokens t1, t2, … by client credentials.
type tokenServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked int
	forms []string
	down  bool
}

func newTokenServer(t *testing.T) *tokenServer {
	s := &tokenServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		id, secret, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || id != "cid" || secret != "c-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.asked++
		s.forms = append(s.forms, r.PostForm.Encode())
		w.Header().Set("Content-Type", "application/json")
		if s.down {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_scope","error_description":"SECRET-TEXT"}`))
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, s.asked)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// OAuth2 client credentials: one token serves many events; a receiver that
// does not take it any more gets a new one; a token endpoint that fails backs
// the webhook off, and all goes on when it is well again.
func TestWebhookOAuth2(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	as := newTokenServer(t)
	good := "Bearer t1"
	sink := newHookSink(t, nil)
	sink.answer = func(w http.ResponseWriter, r *http.Request, _ hooked) bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if r.Header.Get("Authorization") != good {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	}
	id, _ := h.hook(token, sink.URL, `,"auth":{"type":"oauth2","token_url":"`+as.URL+`","client_id":"cid","client_secret":"c-secret","scopes":["a","b"],"params":{"audience":"hooks"}}`)
	for i := range 20 {
		h.emit(token, fmt.Sprint("u", i))
	}
	until(t, "all by the first token", func() bool { return sink.accepted() == 20 })
	if as.count() != 1 || as.forms[0] != "audience=hooks&grant_type=client_credentials&scope=a+b" {
		t.Errorf("token requests: got %d %v, want one", as.count(), as.forms)
	}
	sink.mu.Lock()
	good = "Bearer t2"
	sink.mu.Unlock()
	h.emit(token, "revoked")
	until(t, "a new token", func() bool { return sink.accepted() == 21 })
	sink.mu.Lock()
	good = "Bearer t0"
	sink.mu.Unlock()
	as.mu.Lock()
	as.down = true
	as.mu.Unlock()
	h.emit(token, "late")
	path := "/v1/webhooks/" + id
	until(t, "the failure is told", func() bool {
		return strings.Contains(h.must(http.StatusOK, http.MethodGet, path, token, "").body, "token endpoint answered 400 invalid_scope")
	})
	if got := h.logs.String(); strings.Contains(got, "SECRET-TEXT") || strings.Contains(got, "c-secret") {
		t.Error("log: got the token endpoint's words or the secret in it")
	}
	as.mu.Lock()
	as.down = false
	good = fmt.Sprintf("Bearer t%d", as.asked+1)
	as.mu.Unlock()
	// Between the two lines another failing request may have been counted.
	sink.mu.Lock()
	sink.answer = nil
	sink.mu.Unlock()
	until(t, "the event that waited", func() bool { return sink.accepted() == 22 })
}

// The new secret signs at once, the old one beside it until its grace ends.
func TestWebhookRotation(t *testing.T) {
	var mu sync.Mutex
	ahead := time.Duration(0)
	h := open(t, func(s *setup) {
		s.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}
	})
	token := h.client("shop", hookScope)
	sink := newHookSink(t, nil)
	id, first := h.hook(token, sink.URL, "")
	path := "/v1/webhooks/" + id
	second := h.must(http.StatusOK, http.MethodPost, path+"/rotate", token, `{"grace_seconds":60}`).member("secret")
	next := func() hooked {
		t.Helper()
		n := len(sink.requests())
		h.emit(token, fmt.Sprint("u", n))
		until(t, "the next", func() bool { return len(sink.requests()) == n+1 })
		return sink.requests()[n]
	}
	both := next()
	if both.verify(first) != nil || both.verify(second) != nil || first == second {
		t.Errorf("within the grace: got %v, %v, want both good", both.verify(first), both.verify(second))
	}
	if got := strings.Fields(both.header.Get("webhook-signature")); len(got) != 2 {
		t.Errorf("signatures: got %v, want 2", got)
	}
	mu.Lock()
	ahead = 61 * time.Second
	mu.Unlock()
	if got := next(); got.verify(first) == nil || got.verify(second) != nil {
		t.Errorf("after the grace: got %v, %v, want the new one alone", got.verify(first), got.verify(second))
	}
	if got := h.must(http.StatusOK, http.MethodGet, path, token, "").body; strings.Contains(got, "expires_at") || strings.Contains(got, second) {
		t.Errorf("afterwards: got %s, want one secret that is not shown", got)
	}
	for range 4 {
		h.must(http.StatusOK, http.MethodPost, path+"/rotate", token, "")
	}
	if got := h.do(http.MethodPost, path+"/rotate", token, ""); got.status != http.StatusConflict {
		t.Errorf("a sixth that signs: got %d %s, want 409", got.status, got.body)
	}
	last := h.must(http.StatusOK, http.MethodPost, path+"/rotate", token, `{"grace_seconds":0}`).member("secret")
	if got := next(); got.verify(last) != nil || len(strings.Fields(got.header.Get("webhook-signature"))) != 1 {
		t.Errorf("without grace: got %v by %s, want the last alone", got.verify(last), got.header.Get("webhook-signature"))
	}
	for _, wrong := range []string{`{"grace_seconds":-1}`, `{"grace_seconds":2592001}`, `{"grace":1}`, `{"signing":{"type":"x"}}`} {
		if got := h.do(http.MethodPost, path+"/rotate", token, wrong); got.status != http.StatusBadRequest || got.member("member") == "" {
			t.Errorf("%s: got %d %s, want 400 that names the member", wrong, got.status, got.body)
		}
	}
}

// Standard Webhooks, v1a: Ed25519 over id, timestamp and body, verified with
// the public key that is shown; the private key is never.
func TestWebhookAsymmetric(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	sink := newHookSink(t, nil)
	made := h.must(http.StatusCreated, http.MethodPost, "/v1/webhooks", token, `{"url":"`+sink.URL+`","signing":{"type":"asymmetric"}}`)
	if strings.Contains(made.body, "whsk_") || made.member("secret") != "" {
		t.Errorf("got %s, want no private key", made.body)
	}
	_, after, _ := strings.Cut(made.body, `"public_key":"whpk_`)
	encoded, _, _ := strings.Cut(after, `"`)
	public, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(public) != ed25519.PublicKeySize {
		t.Fatalf("public key: got %q %v", encoded, err)
	}
	h.emit(token, "jo")
	until(t, "the event", func() bool { return sink.accepted() == 1 })
	got := sink.requests()[0]
	sign, ok := strings.CutPrefix(got.header.Get("webhook-signature"), "v1a,")
	raw, err := base64.StdEncoding.DecodeString(sign)
	content := got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "." + got.body
	if !ok || err != nil || !ed25519.Verify(public, []byte(content), raw) {
		t.Errorf("signature: got %s, want one of this key", got.header.Get("webhook-signature"))
	}
	// A change to symmetric keeps both for the grace.
	secret := h.must(http.StatusOK, http.MethodPost, "/v1/webhooks/"+made.member("id")+"/rotate", token, `{"signing":{"type":"symmetric"}}`).member("secret")
	h.emit(token, "two")
	until(t, "the second", func() bool { return sink.accepted() == 2 })
	two := sink.requests()[1]
	if err := two.verify(secret); err != nil || !strings.Contains(two.header.Get("webhook-signature"), " v1a,") {
		t.Errorf("both: got %v by %s", err, two.header.Get("webhook-signature"))
	}
}

// A test tells what the receiver answered, past the queue and without a trace.
func TestWebhookTest(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	status := http.StatusNoContent
	sink := newHookSink(t, nil)
	sink.answer = func(w http.ResponseWriter, _ *http.Request, _ hooked) bool { w.WriteHeader(status); return true }
	id, secret := h.hook(token, sink.URL, `,"format":"array","status":"paused"`)
	path := "/v1/webhooks/" + id
	for _, c := range []struct {
		status int
		want   string
	}{{204, `"delivered":true,"status":204`}, {500, `"delivered":false,"status":500,"err":"http_500"`}, {302, `"err":"http_302"`}} {
		status = c.status
		if got := h.must(http.StatusOK, http.MethodPost, path+"/test", token, "").body; !strings.Contains(got, c.want) {
			t.Errorf("%d: got %s, want %s", c.status, got, c.want)
		}
	}
	for _, one := range sink.requests() {
		if err := one.verify(secret); err != nil || !strings.HasPrefix(one.body, `[{"id":"ping_`) {
			t.Errorf("got %s, %v, want a signed ping in the webhook's format", one.body, err)
		}
	}
	sink.Close()
	if got := h.must(http.StatusOK, http.MethodPost, path+"/test", token, "").body; !strings.Contains(got, `"err":"network"`) || strings.Contains(got, "status") {
		t.Errorf("no receiver: got %s", got)
	}
	if got := h.must(http.StatusOK, http.MethodGet, path, token, "").body; !strings.Contains(got, `"failures":0`) || !strings.Contains(got, `"queued":0`) {
		t.Errorf("afterwards: got %s, want nothing counted", got)
	}
}
