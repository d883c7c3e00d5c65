package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// PUSH-2.2-01, PUSH-2-03, PUSH-2-04: 202 once it is kept, and the same for a repeat.
func TestPushAccepted(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir)
	r := build(t, cfg)
	compact := sign(t, builder("a"))
	wantAccepted(t, push(r, compact))
	wantAccepted(t, push(r, compact))
	again := builder("a") // signed anew, as after a rotation: the same jti
	again.IssuedAt = again.IssuedAt.Add(-time.Hour)
	wantAccepted(t, push(r, sign(t, again)))
	if n := counts(t, cfg.Inbox).Waiting; n != 1 {
		t.Errorf("got %d messages kept, want 1", n)
	}
	got, err := cfg.Inbox.Take(t.Context(), issuer, 1)
	if err != nil {
		t.Fatal(err)
	}
	if string(got[0].SET) != compact { // PUSH-5.5-01
		t.Error("got another SET kept, want the compact form as it came")
	}
}

// What is accepted although it is unusual.
func TestPushTolerates(t *testing.T) {
	r := build(t, config(t, t.TempDir()))
	complexSubject, err := subject.Complex(map[string]subject.Identifier{"user": subject.Email("a@example.com"), "x": subject.Opaque("1")})
	if err != nil {
		t.Fatal(err)
	}
	withComplex := builder("complex")
	withComplex.Subject = complexSubject
	old := builder("old")
	old.IssuedAt = time.Unix(1, 0)
	for name, compact := range map[string]string{
		"EVT-01: unknown event type":               sign(t, event(builder("unknown"), "https://example.com/event", `{"a":{"b":[1]}}`)),
		"SCIM passes through":                      sign(t, event(builder("scim"), "urn:ietf:params:scim:event:prov:delete", `{}`)),
		"U27: value outside the list":              sign(t, event(builder("enum"), caep.CredentialChangeType, `{"credential_type":"OKTA_VERIFY","change_type":"reset"}`)),
		"U25: milliseconds":                        sign(t, event(builder("ms"), caep.SessionRevokedType, `{"event_timestamp":1615304991643}`)),
		"U25: reason as a string":                  sign(t, event(builder("reason"), caep.SessionRevokedType, `{"reason_admin":"x"}`)),
		"SSF-4.2.3-02: unknown members":            sign(t, event(builder("extra"), caep.SessionRevokedType, `{"kc_user_label":1}`)),
		"EVT-02: wrong type of an optional member": sign(t, event(builder("optional"), caep.SessionRevokedType, `{"initiating_entity":7}`)),
		"INTEROP-2.5-01: complex subject":          sign(t, withComplex),
		"SSF-4.1.7-01: old":                        sign(t, old),
		"SSF-4.1.1-01: typ with its prefix":        signWith(t, builder("typ"), transmitterKey(), "Application/SecEvent+JWT"),
	} {
		if w := push(r, compact); w.Code != http.StatusAccepted {
			t.Errorf("%s: got %d %s, want 202", name, w.Code, w.Body)
		}
	}
}

// PUSH-2.3-01, PUSH-2.3-02, PUSH-2.4-01 with the mapping of U21, SEC-05.
func TestPushRefused(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := build(t, cfg)
	good := sign(t, builder("good"))
	key := transmitterKey()
	claims := func(s string) string { return signClaims(t, s, key, "secevent+jwt") }
	otherIssuer, otherAudience, otherStream := builder("i"), builder("a"), event(builder("s"), verification, `{}`)
	otherIssuer.Issuer = issuer + "/"
	otherAudience.Audience = []string{"https://other.example"}
	otherStream.Subject = subject.Opaque("stream-2")
	future := builder("future")
	future.IssuedAt = time.Now().Add(time.Hour)
	const begin = `{"iss":"` + issuer + `","jti":"j","iat":1,"aud":"` + audience + `",`
	const sub, events = `"sub_id":{"format":"opaque","id":"1"}`, `"events":{"https://example.com/e":{}}`
	for _, tt := range []struct {
		name, body string
		want       delivery.Code
	}{
		{"PUSH-2-01: not a JWT", "hello", delivery.CodeInvalidRequest},
		{"empty", "", delivery.CodeInvalidRequest},
		{"SET-2.4-01: unsecured", "eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0.e30.", delivery.CodeInvalidKey},
		{"SSF-4.1.1-01: typ", signWith(t, builder("t"), key, "JWT"), delivery.CodeInvalidRequest},
		{"SET-2-01: no events", claims(begin + sub + `,"events":{}}`), delivery.CodeInvalidRequest},
		{"SET-2.2-01: no jti", claims(`{"iss":"` + issuer + `","iat":1,"aud":"` + audience + `",` + sub + "," + events + "}"), delivery.CodeInvalidRequest},
		{"SET-2.2-03: names twice", claims(begin + `"jti":"k",` + sub + "," + events + "}"), delivery.CodeInvalidRequest},
		{"SSF-4.1.2-01: sub", claims(begin + `"sub":"1",` + sub + "," + events + "}"), delivery.CodeInvalidRequest},
		{"SSF-4.1.7-01: exp", claims(begin + `"exp":99999999999,` + sub + "," + events + "}"), delivery.CodeInvalidRequest},
		{"SSF-3.1-01: no sub_id", claims(begin + events + "}"), delivery.CodeInvalidRequest},
		{"U33: iat in the future", sign(t, future), delivery.CodeInvalidRequest},
		{"JWT-3.2-01: algorithm not allowed", signWith(t, builder("es"), generate(jose.ES256), "secevent+jwt"), delivery.CodeInvalidKey},
		{"U21: unknown key", signWith(t, builder("k"), generate(jose.RS256), "secevent+jwt"), delivery.CodeInvalidKey},
		{"PUSH-2-01: signature", good[:len(good)-8] + "AAAAAAAA", delivery.CodeAuthenticationFailed},
		{"SSF-4.1.6-02: issuer", sign(t, otherIssuer), delivery.CodeInvalidIssuer},
		{"SSF-4.1.8-03: audience", sign(t, otherAudience), delivery.CodeInvalidAudience},
		{"EVT-02: required member absent", sign(t, event(builder("r"), caep.CredentialChangeType, `{"change_type":"revoke"}`)), delivery.CodeInvalidRequest},
		{"EVT-02: required member of wrong type", sign(t, event(builder("r2"), caep.TokenClaimsChangeType, `{"claims":[]}`)), delivery.CodeInvalidRequest},
		{"SSF-8.1.4.1-02: another stream", sign(t, otherStream), delivery.CodeAccessDenied},
		{"SSF-8.1.4.1-01: not a stream", sign(t, event(builder("n"), verification, `{}`)), delivery.CodeInvalidRequest},
		{"SSF-8.1.4.1-03: unexpected state", sign(t, aboutStream(event(builder("v"), verification, `{"state":"x"}`))), delivery.CodeInvalidState},
		{"state of wrong type", sign(t, aboutStream(event(builder("v2"), verification, `{"state":7}`))), delivery.CodeInvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := push(r, tt.body)
			if w.Code != http.StatusBadRequest {
				t.Fatalf("got %d, want 400", w.Code)
			}
			var failure delivery.Failure
			if err := json.Unmarshal(w.Body.Bytes(), &failure); err != nil || failure.Err != tt.want || failure.Description == "" {
				t.Errorf("got %s, want %s with a description", w.Body, tt.want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("got Content-Type %q, want application/json", got)
			}
			if got := w.Header().Get("Content-Language"); got != "en" {
				t.Errorf("got Content-Language %q, want en", got)
			}
		})
	}
	if n := counts(t, cfg.Inbox).Waiting; n != 0 {
		t.Errorf("got %d refused SETs kept, want 0", n)
	}
}

// PUSH-2.3-03: what is no push has its own status.
func TestPushRequest(t *testing.T) {
	r := build(t, config(t, t.TempDir()))
	compact := sign(t, builder("a"))
	for _, tt := range []struct {
		name   string
		body   string
		change func(*http.Request)
		want   int
	}{
		{"U35: GET", compact, func(r *http.Request) { r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		{"U35: HEAD", compact, func(r *http.Request) { r.Method = http.MethodHead }, http.StatusMethodNotAllowed},
		{"JSON", compact, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, http.StatusUnsupportedMediaType},
		{"no media type", compact, func(r *http.Request) { r.Header.Del("Content-Type") }, http.StatusUnsupportedMediaType},
		{"too large", strings.Repeat("a", delivery.MaxPushBodyBytes+1), func(*http.Request) {}, http.StatusRequestEntityTooLarge},
		{"too large, unannounced", strings.Repeat("a", delivery.MaxPushBodyBytes+1), func(r *http.Request) { r.ContentLength = -1 }, http.StatusRequestEntityTooLarge},
		{"OIDF-08: no Accept header", compact, func(r *http.Request) { r.Header.Del("Accept") }, http.StatusAccepted},
		{"media type with parameter", compact, func(r *http.Request) { r.Header.Set("Content-Type", "Application/SecEvent+JWT; charset=utf-8") }, http.StatusAccepted},
	} {
		w := push(r, tt.body, tt.change)
		if w.Code != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.want)
		}
		if allow := w.Header().Get("Allow"); (w.Code == http.StatusMethodNotAllowed) != (allow == "POST") {
			t.Errorf("%s: got Allow %q with %d", tt.name, allow, w.Code)
		}
	}
}

// SSF-6.1.1-02, U21: the Authorization header that was agreed, to the byte.
func TestPushAuthorization(t *testing.T) {
	for _, tt := range []struct {
		name      string
		values    []string
		challenge bool
		want      int
	}{
		{"right", []string{"Bearer s3cret"}, false, http.StatusAccepted},
		{"wrong", []string{"Bearer s3cre7"}, false, http.StatusBadRequest},
		{"other case", []string{"bearer s3cret"}, false, http.StatusBadRequest},
		{"none", nil, false, http.StatusBadRequest},
		{"twice", []string{"Bearer s3cret", "Bearer s3cret"}, false, http.StatusBadRequest},
		{"wrong, challenged", []string{"Bearer x"}, true, http.StatusUnauthorized},
	} {
		cfg := config(t, t.TempDir())
		cfg.Authorization, cfg.Challenge = "Bearer s3cret", tt.challenge
		w := push(build(t, cfg), sign(t, builder("a")), func(r *http.Request) { r.Header["Authorization"] = tt.values })
		if w.Code != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.want)
		}
		if w.Code == http.StatusBadRequest && !strings.Contains(w.Body.String(), `"err":"authentication_failed"`) {
			t.Errorf("%s: got %s, want authentication_failed", tt.name, w.Body)
		}
		if kept := counts(t, cfg.Inbox).Waiting == 1; kept != (tt.want == http.StatusAccepted) {
			t.Errorf("%s: got kept %v, want %v", tt.name, kept, !kept)
		}
	}
}

// failingInbox fails or says what it is told.
type failingInbox struct {
	inbox.Inbox
	append func(context.Context) ([]inbox.Appended, error)
}

func (f failingInbox) Append(ctx context.Context, _ ...inbox.Message) ([]inbox.Appended, error) {
	return f.append(ctx)
}

// PUSH-2-04, PUSH-2.3-03: what cannot be kept or judged now is not acknowledged.
func TestPushUnavailable(t *testing.T) {
	cfg := config(t, t.TempDir())
	broken, full, keyless := cfg, cfg, cfg
	broken.Inbox = failingInbox{cfg.Inbox, func(context.Context) ([]inbox.Appended, error) { return nil, errors.New("disk full") }}
	full.Inbox = failingInbox{cfg.Inbox, func(context.Context) ([]inbox.Appended, error) { return []inbox.Appended{{Err: inbox.ErrFull}}, nil }}
	keyless.Keys = keysFunc(func(string, jose.Algorithm) (*jose.PublicKey, error) { return nil, errors.New("no route to host") })
	for name, cfg := range map[string]receiver.Config{"store failure": broken, "inbox full": full, "keys cannot be fetched": keyless} {
		w := push(build(t, cfg), sign(t, builder("a")))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Body.Len() != 0 {
			t.Errorf("%s: got %d %q with Retry-After %q, want 503 with one", name, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
}

// More requests than configured are turned away at once.
func TestPushConcurrency(t *testing.T) {
	cfg := config(t, t.TempDir())
	entered, leave := make(chan struct{}), make(chan struct{})
	cfg.Inbox = failingInbox{cfg.Inbox, func(context.Context) ([]inbox.Appended, error) {
		close(entered)
		<-leave
		return make([]inbox.Appended, 1), nil
	}}
	cfg.MaxConcurrent = 1
	r := build(t, cfg)
	first, second := sign(t, builder("a")), sign(t, builder("b"))
	done := make(chan int)
	go func() { done <- push(r, first).Code }()
	<-entered
	if w := push(r, second); w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d for one too many, want 503", w.Code)
	}
	close(leave)
	if got := <-done; got != http.StatusAccepted {
		t.Errorf("got %d for the first, want 202", got)
	}
}

// A body that never ends to come is not waited for.
func TestPushSlowBody(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.ReadTimeout = 50 * time.Millisecond
	server := httptest.NewServer(build(t, cfg).Handler())
	defer server.Close()
	reader := make(slowBody)
	defer close(reader)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", delivery.MediaType)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %d, want 408", resp.StatusCode)
	}
}

// slowBody blocks until it is closed.
type slowBody chan struct{}

func (s slowBody) Read([]byte) (int, error) {
	<-s
	return 0, errors.New("given up")
}
