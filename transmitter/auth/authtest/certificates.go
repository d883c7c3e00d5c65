package authtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// certified asks for a token with a certificate.
func (p *process) certified(what, id string, cert tls.Certificate, want int) (token string) {
	p.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	w := httptest.NewRecorder()
	p.TokenHandler().ServeHTTP(w, r)
	var body struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &body) // refusals have none
	if w.Code != want {
		p.Errorf("%s: got %d %s, want %d", what, w.Code, w.Body, want)
	}
	return body.AccessToken
}

// used is whether a token is good on a connection with a certificate.
func (p *process) used(what, token string, cert tls.Certificate, want bool) {
	p.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	if _, err := p.Check(r, auth.OpReadStream); (err == nil) != want {
		p.Errorf("%s: got %v, want good %t", what, err, want)
	}
}

func jwksOf(t *testing.T, cert tls.Certificate) []byte {
	t.Helper()
	key, err := jose.NewPublicKey(cert.Leaf.PublicKey, "")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jose.NewKeySet(key))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func clientCertificates(t *testing.T, open Open) {
	dir, keys := t.TempDir(), newSigning(t)
	ca := edgetest.NewAuthority(t, "clients")
	keys.clients = ca.Pool
	p := newProcess(t, open(t, dir), keys)
	mine, self := ca.Issue(t, nil), edgetest.SelfSigned(t, nil)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := []auth.Client{
		{ID: "named", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Certificate: &auth.Certificate{SubjectDN: "CN=shop"}, Created: at},
		{ID: "self", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Certificate: &auth.Certificate{SelfSigned: true}, JWKS: jwksOf(t, self), Created: at.Add(time.Second)},
		{ID: "bound", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, BoundTokens: true, Created: at.Add(2 * time.Second)},
	}
	given := map[string]auth.Credentials{}
	for _, c := range want {
		given[c.ID] = p.client(c)
	}
	p = newProcess(t, open(t, dir), keys)
	got, err := p.Clients(t.Context(), "rp")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("kept: got %v, diff %s", err, diff)
	}
	p.certified("another's certificate", "named", self, http.StatusUnauthorized)
	p.certified("another's key", "self", mine, http.StatusUnauthorized)
	for id, cert := range map[string]tls.Certificate{"named": mine, "self": self} {
		if given[id].Secret != "" || given[id].AccessToken != "" {
			t.Errorf("%s: got a secret", id)
		}
		p.secret(id+" by a secret", auth.Credentials{ClientID: id, Secret: given["bound"].Secret}, http.StatusUnauthorized)
		token := p.certified(id, id, cert, http.StatusOK)
		p.used(id+", its token with it", token, cert, true)
		p.refused(id+", its token without", token)
		p.used(id+", with it again", token, cert, true)
		p.check(p.RemoveClient(t.Context(), id))
		p.used(id+", removed", token, cert, false)
		p.certified(id+", removed", id, cert, http.StatusUnauthorized)
	}
	p.secret("bound, without a certificate", given["bound"], http.StatusBadRequest)
}

// A client goes from a secret to a certificate with overlap: what it has goes on until
// that ends, and is then good no more.
func clientRotatedToCertificates(t *testing.T, open Open) {
	keys := newSigning(t)
	ca := edgetest.NewAuthority(t, "clients")
	keys.clients = ca.Pool
	p := newProcess(t, open(t, t.TempDir()), keys)
	ctx := t.Context()
	first := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
	token := p.token(first)
	end := time.Unix(p.now.Load()+600, 0)
	mine := ca.Issue(t, nil)
	given, err := p.RotateClient(ctx, "c", auth.Rotation{OldUntil: end, Certificate: &auth.Certificate{SubjectDN: "CN=shop"}})
	p.check(err)
	if given.Secret != "" {
		t.Error("got a secret beside the certificate")
	}
	bound := p.certified("by its certificate", "c", mine, http.StatusOK)
	p.used("its token", bound, mine, true)
	p.refused("its token, stolen", bound)
	p.secret("the secret meanwhile", first, http.StatusOK)
	late := p.token(first)
	p.good("a token by the secret", token)
	p.good("a token by the secret, got meanwhile", late)
	p.now.Store(end.Unix())
	p.secret("the secret at its end", first, http.StatusUnauthorized)
	p.refused("a token by the secret at its end", token)
	p.refused("the late one", late)
	p.used("its bound token", bound, mine, true)
	// Keys of a certificate are replaced as others are, and it stays one.
	self, next := edgetest.SelfSigned(t, nil), edgetest.SelfSigned(t, nil)
	_, err = p.RotateClient(ctx, "c", auth.Rotation{Certificate: &auth.Certificate{SelfSigned: true}, JWKS: jwksOf(t, self)})
	p.check(err)
	p.certified("by the name of before", "c", mine, http.StatusUnauthorized)
	p.certified("by its key", "c", self, http.StatusOK)
	_, err = p.RotateClient(ctx, "c", auth.Rotation{JWKS: jwksOf(t, next)})
	p.check(err)
	p.certified("by the key of before", "c", self, http.StatusUnauthorized)
	p.certified("by the next key", "c", next, http.StatusOK)
	static := p.client(auth.Client{ID: "s", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	var invalid *auth.InvalidError
	for member, try := range map[string]struct {
		id  string
		how auth.Rotation
	}{
		"certificate": {"c", auth.Rotation{Certificate: &auth.Certificate{}}},
		"jwks":        {"c", auth.Rotation{Certificate: &auth.Certificate{SelfSigned: true}}},
		"static":      {static.ClientID, auth.Rotation{Certificate: &auth.Certificate{SubjectDN: "CN=shop"}}},
	} {
		if _, err := p.RotateClient(ctx, try.id, try.how); !errors.As(err, &invalid) || invalid.Member != member {
			t.Errorf("%s: got %v, want it refused", member, err)
		}
	}
}
