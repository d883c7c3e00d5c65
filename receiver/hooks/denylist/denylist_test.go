package denylist_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/denylist"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const idp = "https://idp.example"

var (
	_ hooks.Hook      = (*denylist.List)(nil)
	_ hooks.Previewer = (*denylist.List)(nil)
)

// api is a resource server: it verifies tokens, then asks the list.
type api struct {
	*testing.T
	list    *denylist.List
	signer  *jose.Signer
	handler http.Handler
}

func newAPI(t *testing.T) *api {
	t.Helper()
	list, err := denylist.New(denylist.Config{Fail: sessions.FailClosed, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	payload := func(r *http.Request) ([]byte, bool) {
		m, err := jose.Parse([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		if err != nil || jose.Verify(m, key.Public()) != nil {
			return nil, false
		}
		return m.Payload, true
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := payload(r); !ok {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	return &api{t, list, signer, list.Middleware(func(r *http.Request) (sessions.Claims, bool) {
		raw, ok := payload(r)
		if !ok {
			return sessions.Claims{}, false
		}
		c, err := denylist.ParseClaims(raw)
		return c, err == nil
	})(page)}
}

func (a *api) token(claims map[string]any) string {
	a.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		a.Fatal(err)
	}
	token, err := a.signer.Sign(payload)
	if err != nil {
		a.Fatal(err)
	}
	return token
}

func (a *api) status(token string) int {
	a.Helper()
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+token)
	a.handler.ServeHTTP(w, r)
	return w.Code
}

// say is what the receiver does with an event, by the way of the mux.
func (a *api) say(effect hooks.Effect, id subject.Identifier, at time.Time) {
	a.Helper()
	mux := receiver.NewMux()
	mux.Handle(hooks.Route(caep.SessionRevokedType, effect, a.list))
	sum := sha256.Sum256([]byte(id.Canonical() + at.String()))
	if err := mux.Dispatch(a.Context(), receiver.Delivery{
		Issuer: idp, ID: base64.RawURLEncoding.EncodeToString(sum[:]), Subject: id, EventTime: at,
		Token: &set.Token{Events: []set.Event{{Type: caep.SessionRevokedType, Payload: []byte(`{}`)}}},
	}); err != nil {
		a.Fatal(err)
	}
}

// Which tokens an event ends: by user, session, token and e-mail, up to its time.
func TestList(t *testing.T) {
	now := time.Now()
	iat := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		event  subject.Identifier
		claims map[string]any
		want   int
	}{
		{"user, older", subject.IssSub(idp, "jo"), map[string]any{"iss": idp, "sub": "jo", "iat": iat(-time.Minute)}, http.StatusUnauthorized},
		{"user, newer", subject.IssSub(idp, "jo"), map[string]any{"iss": idp, "sub": "jo", "iat": iat(2 * time.Second)}, http.StatusOK},
		{"user, renewed without a login", subject.IssSub(idp, "jo"), map[string]any{"iss": idp, "sub": "jo", "iat": iat(2 * time.Second), "auth_time": iat(-time.Hour / 2)}, http.StatusUnauthorized},
		{"another issuer's user", subject.IssSub(idp, "jo"), map[string]any{"iss": "https://other.example", "sub": "jo", "iat": iat(-time.Minute)}, http.StatusOK},
		{"jti", subject.JWTID(idp, "t1"), map[string]any{"iss": idp, "sub": "jo", "jti": "t1", "iat": iat(-time.Minute)}, http.StatusUnauthorized},
		{"another jti", subject.JWTID(idp, "t1"), map[string]any{"iss": idp, "sub": "jo", "jti": "t2", "iat": iat(-time.Minute)}, http.StatusOK},
		{"sid", subject.Opaque("s1"), map[string]any{"iss": idp, "sub": "jo", "sid": "s1", "iat": iat(-time.Minute)}, http.StatusUnauthorized},
		{"e-mail", subject.Email("jo@example.com"), map[string]any{"iss": idp, "sub": "jo", "email": "jo@example.com", "iat": iat(-time.Minute)}, http.StatusUnauthorized},
		{"an e-mail that was not verified", subject.Email("jo@example.com"), map[string]any{"iss": idp, "sub": "jo", "email": "jo@example.com", "email_verified": false, "iat": iat(-time.Minute)}, http.StatusOK},
		{"a token that is not verified is not the list's business", subject.IssSub(idp, "jo"), nil, http.StatusTeapot},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t)
			token := "none"
			if tt.claims != nil {
				token = a.token(tt.claims)
				if got := a.status(token); got != http.StatusOK {
					t.Fatalf("before: got %d, want 200", got)
				}
			}
			a.say(hooks.End, tt.event, now)
			if got := a.status(token); got != tt.want {
				t.Errorf("after: got %d, want %d", got, tt.want)
			}
		})
	}
}

// Deny refuses newer tokens, too, until Allow.
func TestDeny(t *testing.T) {
	a, now := newAPI(t), time.Now()
	token := a.token(map[string]any{"iss": idp, "sub": "jo", "iat": now.Add(2 * time.Second).Unix()})
	a.say(hooks.Deny, subject.IssSub(idp, "jo"), now)
	if got := a.status(token); got != http.StatusForbidden {
		t.Errorf("denied: got %d, want 403", got)
	}
	a.say(hooks.Allow, subject.IssSub(idp, "jo"), now.Add(time.Second))
	if got := a.status(token); got != http.StatusOK {
		t.Errorf("allowed: got %d, want 200", got)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]denylist.Config{"no fail mode": {}, "lifetime": {Fail: sessions.FailOpen, Lifetime: -1}} {
		if _, err := denylist.New(cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	for _, payload := range []string{"", "[]", `{"iss":1}`, `{"sub":"a","sub":"b"}`} {
		if c, err := denylist.ParseClaims([]byte(payload)); err == nil {
			t.Errorf("%s: got %+v, want an error", payload, c)
		}
	}
}
