package transmitter_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
)

// A rotation by another node is seen by who comes from there at once, before this node
// looks by itself: the new key is published, and an access token signed with it is good.
func TestRotatedByAnotherNode(t *testing.T) {
	db, err := redisdb.Open(t.Context(), redisdb.Config{Client: redistest.Start(t).Client(t), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	ring := func() *keys.Ring {
		r, err := keys.Open(t.Context(), keys.Config{Store: rediskeys.New(db), Algorithm: jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	other := ring()
	h := open(t, func(s *setup) { s.idle, s.Keys = true, ring() })
	given := h.credentials("rp", "ssf.read")
	elsewhere, err := auth.New(auth.Config{Store: h.apps, Issuer: h.issuer, Signer: other.TokenSigner, Keys: other.KeySet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, elsewhere.TokenHandler(), given)
	h.must(http.StatusOK, http.MethodGet, "/ssf/streams", token, "")
	kid, err := other.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := h.must(http.StatusOK, http.MethodGet, "/jwks.json", "", "").body; !strings.Contains(got, kid) {
		t.Errorf("got keys %s, want the new one %s", got, kid)
	}
}

// tokenOf gets an access token of a token endpoint.
func tokenOf(t *testing.T, endpoint http.Handler, by auth.Credentials) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {by.ClientID}, "client_secret": {by.Secret}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	endpoint.ServeHTTP(w, r)
	return answer{status: w.Code, body: w.Body.String()}.member("access_token")
}
