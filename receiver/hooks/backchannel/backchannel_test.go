package backchannel_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/backchannel"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hookstest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	op  = "https://op.example"
	idp = "https://idp.example"
)

var _ hooks.Hook = (*backchannel.Hook)(nil)

// key is the provider's key, as it signs and as it is configured.
type key struct {
	public *jose.PublicKey
	jwk    string
}

func newKey(t *testing.T) key {
	t.Helper()
	private, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := private.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	return key{private.Public(), string(jwk)}
}

// party is a relying party that validates as OIDC Back-Channel Logout 1.0 §2.6 demands.
type party struct {
	*testing.T
	key      key
	clientID string

	mu     sync.Mutex
	status int             // to answer, if not 0
	jtis   map[string]bool // seen
	logins []string        // "sub/sid" of those who were logged out
	calls  int
}

func (p *party) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.status != 0 {
		w.WriteHeader(p.status)
		return
	}
	who, err := p.validate(r)
	if err != nil {
		p.Errorf("%s: got a logout token that is refused: %v", p.clientID, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.logins = append(p.logins, who)
	w.Header().Set("Cache-Control", "no-store")
}

func (p *party) validate(r *http.Request) (who string, err error) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("%s of %s", r.Method, r.Header.Get("Content-Type"))
	}
	m, err := jose.Parse([]byte(r.PostFormValue("logout_token")))
	if err != nil {
		return "", err
	}
	if err := jose.Verify(m, p.key.public); err != nil {
		return "", err
	}
	var raw map[string]json.RawMessage
	var c struct {
		Iss, Aud, Jti, Sub, Sid string
		Iat, Exp                int64
		Events                  map[string]json.RawMessage
	}
	if err := errors.Join(json.Unmarshal(m.Payload, &raw), json.Unmarshal(m.Payload, &c)); err != nil {
		return "", err
	}
	now := time.Now().Unix()
	_, nonce := raw["nonce"]
	switch {
	case m.Header.Type != "logout+jwt":
		return "", fmt.Errorf("typ %q", m.Header.Type)
	case c.Iss != op, c.Aud != p.clientID:
		return "", fmt.Errorf("iss %q, aud %q", c.Iss, c.Aud)
	case c.Iat > now || c.Exp <= now || c.Exp-c.Iat > 120:
		return "", fmt.Errorf("iat %d, exp %d", c.Iat, c.Exp)
	case c.Sub == "" && c.Sid == "":
		return "", errors.New("neither sub nor sid")
	case nonce:
		return "", errors.New("a nonce")
	case c.Jti == "" || p.jtis[c.Jti]:
		return "", errors.New("jti seen before")
	case len(c.Events) != 1 || string(c.Events["http://schemas.openid.net/event/backchannel-logout"]) != "{}":
		return "", fmt.Errorf("events %q", c.Events)
	}
	if p.jtis == nil {
		p.jtis = map[string]bool{}
	}
	p.jtis[c.Jti] = true
	return c.Sub + "/" + c.Sid, nil
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func newHook(t *testing.T, cfg backchannel.Config) *backchannel.Hook {
	t.Helper()
	cfg.Issuer = op
	cfg.HTTP.InsecureLoopback = true
	h, err := backchannel.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: idp, ID: "j", Subject: id, EventTime: time.Now()}, "backchannel", effect)
}

func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSuite(t *testing.T) {
	k := newKey(t)
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			h, err := backchannel.New(backchannel.Config{
				Issuer: op, Key: k.jwk, HTTP: client, Parties: []backchannel.Party{{ClientID: "shop", URL: base + "/logout"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return h
		},
		Server:  func(t *testing.T) http.Handler { return &party{T: t, key: k, clientID: "shop"} },
		Action:  action(subject.IssSub(idp, "secret-jo"), hooks.End),
		Secrets: []string{"secret-jo"},
	})
}

// Whom a token is about: sub, sid, or both, and never neither.
func TestTargets(t *testing.T) {
	k := newKey(t)
	jo, sid := subject.IssSub(idp, "jo"), subject.Opaque("s1")
	for _, tt := range []struct {
		name  string
		cfg   backchannel.Config
		event subject.Identifier
		shop  []string // of a party that takes any token
		bank  []string // of one that needs a session
	}{
		{"user", backchannel.Config{}, jo, []string{"jo/"}, nil},
		{"session", backchannel.Config{}, sid, []string{"/s1"}, []string{"/s1"}},
		{"user and session", backchannel.Config{}, complexOf(t, map[string]subject.Identifier{"user": jo, "session": sid}), []string{"jo/s1"}, []string{"jo/s1"}},
		{
			"a user without a sub, and a session",
			backchannel.Config{},
			complexOf(t, map[string]subject.Identifier{"user": subject.Email("jo@example.com"), "session": sid}),
			[]string{"/s1"},
			[]string{"/s1"},
		},
		{"every session", backchannel.Config{}, complexOf(t, map[string]subject.Identifier{"user": jo, "session": subject.Opaque("ALL")}), []string{"jo/"}, nil},
		{"another template", backchannel.Config{Sub: "mail:{user.email}"}, subject.Email("jo@example.com"), []string{"mail:jo@example.com/"}, nil},
		{"the issuer's subs alone", backchannel.Config{SubjectIssuer: idp}, subject.Aliases(subject.IssSub("https://other.example", "x"), jo), []string{"jo/"}, nil},
		{"nobody's sub", backchannel.Config{SubjectIssuer: "https://other.example"}, jo, nil, nil},
		{"no sub", backchannel.Config{}, subject.Email("jo@example.com"), nil, nil},
		{"a tenant", backchannel.Config{}, complexOf(t, map[string]subject.Identifier{"user": jo, "tenant": sid}), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop, bank := &party{T: t, key: k, clientID: "shop"}, &party{T: t, key: k, clientID: "bank"}
			tt.cfg.Key = k.jwk
			tt.cfg.Parties = []backchannel.Party{
				{ClientID: "shop", URL: serve(t, shop)}, {ClientID: "bank", URL: serve(t, bank), NeedsSession: true},
			}
			_, err := newHook(t, tt.cfg).Act(t.Context(), action(tt.event, hooks.Deny))
			if errors.Is(err, hooks.ErrNotApplicable) != (tt.shop == nil) || err != nil && tt.shop != nil {
				t.Errorf("got error %v, want logged out %q", err, tt.shop)
			}
			if !slices.Equal(shop.logins, tt.shop) || !slices.Equal(bank.logins, tt.bank) {
				t.Errorf("got %q and %q, want %q and %q", shop.logins, bank.logins, tt.shop, tt.bank)
			}
		})
	}
}

// A repetition calls those alone that failed in a passing way; a party that refuses for
// good is said to once the others are done.
func TestPartialSuccess(t *testing.T) {
	k := newKey(t)
	good, away, refuses := &party{T: t, key: k, clientID: "good"}, &party{T: t, key: k, clientID: "away", status: 503}, &party{T: t, key: k, clientID: "refuses", status: 400}
	h := newHook(t, backchannel.Config{Key: k.jwk, Parties: []backchannel.Party{
		{ClientID: "good", URL: serve(t, good)}, {ClientID: "away", URL: serve(t, away)}, {ClientID: "refuses", URL: serve(t, refuses)},
	}})
	a := action(subject.IssSub(idp, "jo"), hooks.End)
	if _, err := h.Act(t.Context(), a); err == nil || receiver.IsPermanent(err) {
		t.Errorf("first: got %v, want an error to try again", err)
	}
	away.status = 0
	if _, err := h.Act(t.Context(), a); !receiver.IsPermanent(err) || !strings.Contains(err.Error(), "refuses") {
		t.Errorf("second: got %v, want a permanent error of the one that refuses", err)
	}
	if good.calls != 1 || away.calls != 2 || refuses.calls != 1 {
		t.Errorf("got %d, %d, %d calls, want 1, 2, 1", good.calls, away.calls, refuses.calls)
	}
	other := action(subject.IssSub(idp, "max"), hooks.End)
	other.Key = "another"
	_, _ = h.Act(t.Context(), other)
	if good.calls != 2 {
		t.Errorf("another action: got %d calls, want 2", good.calls)
	}
}

// Of many that fail a few are named.
func TestManyFail(t *testing.T) {
	k := newKey(t)
	cfg := backchannel.Config{Key: k.jwk}
	away := serve(t, &party{T: t, key: k, status: 503})
	for i := range 50 {
		cfg.Parties = append(cfg.Parties, backchannel.Party{ClientID: fmt.Sprintf("party-%d", i), URL: away})
	}
	_, err := newHook(t, cfg).Act(t.Context(), action(subject.IssSub(idp, "jo"), hooks.End))
	if err == nil || strings.Count(err.Error(), "answered 503") != 5 || !strings.Contains(err.Error(), "and 45 more") {
		t.Errorf("got %v, want five of fifty and how many more", err)
	}
}

func TestConfig(t *testing.T) {
	_, err := backchannel.New(backchannel.Config{
		Key: `{"kty":"EC","d":"hunter2"}`, Sub: "{", Sid: "{who}",
		Parties: []backchannel.Party{{URL: "http://shop.example"}},
	})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"issuer:", "key:", "parties[0]: url:", "client_id:", "sub:", "sid:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %q, want it without the key", err)
	}
}
