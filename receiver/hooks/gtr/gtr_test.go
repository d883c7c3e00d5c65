package gtr_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gtr"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hookstest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	idp  = "https://idp.example"
	path = "/oauth/global-token-revocation"
)

var _ hooks.Hook = (*gtr.Hook)(nil)

// server takes revocations as Okta documents it for applications: a signed token of
// global-token-revocation+jwt for it, and a subject identifier.
type server struct {
	public  *jose.PublicKey
	bearer  string // taken instead of a signed token, if not empty
	member  string
	success int
	known   []string // canonical identifiers
	did     []string
	jtis    map[string]bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		id, secret, _ := r.BasicAuth()
		if id != "client" || secret != "hunter2" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "okta.universalLogout.manage" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": s.bearer, "token_type": "Bearer", "expires_in": 60})
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != path || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !s.authorized(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body map[string]subject.Identifier
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body) != 1 || body[s.member].IsZero() {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	user := body[s.member].Canonical()
	if !slices.Contains(s.known, user) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.did = append(s.did, user)
	w.WriteHeader(s.success)
}

func (s *server) authorized(r *http.Request) bool {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.bearer != "" {
		return token == s.bearer
	}
	m, err := jose.Parse([]byte(token))
	if err != nil || m.Header.Type != "global-token-revocation+jwt" || jose.Verify(m, s.public) != nil {
		return false
	}
	var c struct {
		Iss, Sub, Aud, Jti string
		Iat, Nbf, Exp      int64
	}
	now := time.Now().Unix()
	if json.Unmarshal(m.Payload, &c) != nil || c.Iss != idp || c.Sub != idp || c.Aud != "http://"+r.Host+path ||
		c.Iat > now || c.Nbf > now || c.Exp <= now || c.Jti == "" || s.jtis[c.Jti] {
		return false
	}
	if s.jtis == nil {
		s.jtis = map[string]bool{}
	}
	s.jtis[c.Jti] = true
	return true
}

func newKey(t *testing.T) (*jose.PublicKey, string) {
	t.Helper()
	private, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := private.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	return private.Public(), string(jwk)
}

func newHook(t *testing.T, cfg gtr.Config) *gtr.Hook {
	t.Helper()
	h, err := gtr.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: idp, ID: "j", Subject: id, EventTime: time.Now()}, "gtr", effect)
}

func TestSuite(t *testing.T) {
	public, jwk := newKey(t)
	jo := subject.Email("secret-jo@example.com")
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			return newHook(t, gtr.Config{URL: base + path, Key: jwk, Issuer: idp, HTTP: client})
		},
		Server: func(*testing.T) http.Handler {
			return &server{public: public, member: "sub_id", success: http.StatusNoContent, known: []string{jo.Canonical()}}
		},
		Action:  action(jo, hooks.End),
		Secrets: []string{"secret-jo"},
	})
}

func TestAct(t *testing.T) {
	public, jwk := newKey(t)
	mail, sub := subject.Email("jo@example.com"), subject.IssSub(idp, "jo")
	for _, tt := range []struct {
		name   string
		cfg    gtr.Config
		server server
		event  subject.Identifier
		want   []string
		ended  int
		na     bool
	}{
		{"the draft", gtr.Config{Key: jwk}, server{member: "sub_id", success: 204, known: []string{mail.Canonical()}}, mail, []string{mail.Canonical()}, hooks.Unknown, false},
		{"Auth0", gtr.Config{Key: jwk, Member: "subject", Formats: []string{"iss_sub"}}, server{member: "subject", success: 200, known: []string{sub.Canonical()}}, subject.Aliases(mail, sub), []string{sub.Canonical()}, hooks.Unknown, false},
		{
			"Okta, by client credentials",
			gtr.Config{ClientID: "client", ClientSecret: "hunter2", Scopes: []string{"okta.universalLogout.manage"}, TokenURL: "/token"},
			server{member: "sub_id", success: 204, bearer: "token", known: []string{sub.Canonical()}},
			sub,
			[]string{sub.Canonical()},
			hooks.Unknown,
			false,
		},
		{"the second alias is known", gtr.Config{Key: jwk}, server{member: "sub_id", success: 204, known: []string{sub.Canonical()}}, subject.Aliases(mail, sub), []string{sub.Canonical()}, hooks.Unknown, false},
		{"nobody is known", gtr.Config{Key: jwk}, server{member: "sub_id", success: 204}, mail, nil, 0, false},
		{"no identifier that is understood", gtr.Config{Key: jwk, Formats: []string{"email"}}, server{}, sub, nil, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.server.public = public
			listener := httptest.NewServer(&tt.server)
			defer listener.Close()
			tt.cfg.URL, tt.cfg.Issuer, tt.cfg.HTTP = listener.URL+path, idp, call.Config{InsecureLoopback: true}
			if tt.cfg.TokenURL != "" {
				tt.cfg.TokenURL = listener.URL + tt.cfg.TokenURL
			}
			got, err := newHook(t, tt.cfg).Act(t.Context(), action(tt.event, hooks.Deny))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || err != nil && !tt.na || got.Ended != tt.ended {
				t.Errorf("got %+v, error %v, want %d ended, not applicable %v", got, err, tt.ended, tt.na)
			}
			if !slices.Equal(tt.server.did, tt.want) {
				t.Errorf("got %q, want %q", tt.server.did, tt.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	_, err := gtr.New(gtr.Config{URL: "x", Member: "sub", Formats: []string{"name"}, Key: "hunter2", TokenURL: "y"})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "member:", "formats:", "key:", "issuer:", "token_url:", "client_secret:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %q, want it without the key", err)
	}
}
