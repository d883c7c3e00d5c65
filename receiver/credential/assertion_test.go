package credential_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/credential"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// asserted is a token endpoint that takes assertions by one key, each jti once.
type asserted struct {
	*httptest.Server
	t *testing.T

	mu   sync.Mutex
	key  *jose.PublicKey
	used map[string]bool
}

func (s *asserted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := jose.Parse([]byte(r.PostFormValue("client_assertion")))
	if err != nil || r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") ||
		r.PostFormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		s.t.Errorf("got %v (%v), want an assertion alone", r.PostForm, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var c struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(m.Payload, &c); err != nil {
		s.t.Error(err)
	}
	ahead := time.Until(time.Unix(c.Expires, 0))
	good := jose.Verify(m, s.key) == nil && c.Issuer == "shop" && c.Subject == "shop" && c.Audience == s.URL+"/token" &&
		len(c.ID) > 20 && !s.used[c.ID] && ahead > 30*time.Second && ahead <= time.Minute
	s.used[c.ID] = true
	w.Header().Set("Content-Type", "application/json")
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	}
	_, _ = w.Write([]byte(`{"access_token":"by-key.` + r.PostFormValue("scope") + "." + r.PostFormValue("audience") + `","token_type":"Bearer"}`))
}

// A client with a key sends an assertion for the token endpoint, another one each time; a
// key that is replaced is used from the next token on (RFC 7523 §3).
func TestClientKey(t *testing.T) {
	s := &asserted{t: t, used: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "key.json")
	replace := func(alg jose.Algorithm, known bool) {
		t.Helper()
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := key.MarshalPrivateJWK()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if known {
			s.mu.Lock()
			s.key = key.Public()
			s.mu.Unlock()
		}
	}
	source := build(t, credential.Config{
		ClientID: "shop", ClientKeyFile: path, TokenURL: s.URL + "/token", Scopes: []string{"ssf.read"},
		Parameters: map[string]string{"audience": "api"}, HTTP: guard.NewClient(guard.Policy{InsecureLoopback: true}),
	})
	if text := fails(t, source); !strings.Contains(text, path) {
		t.Errorf("without a file: got %s, want it named", text)
	}
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256} {
		replace(alg, true)
		for range 2 {
			want(t, source, "by-key.ssf.read.api")
			source.Refused("by-key.ssf.read.api")
		}
	}
	replace(jose.ES256, false)
	if text := fails(t, source); !strings.Contains(text, "invalid_client") {
		t.Errorf("by a key that is not known: got %s, want invalid_client", text)
	}
	if err := os.WriteFile(path, []byte(`{"kty":"EC","d":"s3cret"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := fails(t, source); !strings.Contains(text, "private JWK") {
		t.Errorf("got %s, want what the file should be", text)
	}
	for _, more := range []credential.Config{{ClientSecret: "s3cret"}, {ClientSecretFile: "secret"}} {
		more.ClientID, more.ClientKeyFile, more.TokenURL = "shop", path, s.URL+"/token"
		if _, err := credential.New(more); err == nil || !strings.Contains(err.Error(), "ClientKeyFile") {
			t.Errorf("with a secret, too: got %v, want an error that names the field", err)
		}
	}
}
