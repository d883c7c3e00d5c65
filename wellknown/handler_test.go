package wellknown_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// SSF-7.2.1-02: issuers on one host are served apart. SSF-7.2.3-01, SSF-7.2.1-01: 200,
// application/json, no credentials needed. U35: other methods.
func TestHandlers(t *testing.T) {
	mux := http.NewServeMux()
	for _, iss := range []string{"https://h", "https://h/t1", "https://h/t2/"} {
		mux.Handle(wellknown.Path(iss), wellknown.Handler(wellknown.Configuration{Issuer: iss}))
		mux.Handle(wellknown.AuthorizationServerPath(iss), wellknown.AuthorizationServerHandler(wellknown.AuthorizationServer{Issuer: iss}))
	}
	mux.Handle(wellknown.ProtectedResourcePath("https://h/ssf"), wellknown.ProtectedResourceHandler(wellknown.ProtectedResource{Resource: "https://h/ssf"}))
	mux.Handle("/jwks.json", wellknown.JWKSHandler(func() *jose.KeySet { return jose.NewKeySet() }))
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/.well-known/ssf-configuration", `{"issuer":"https://h"}`},
		{"GET", "/.well-known/ssf-configuration/t1", `{"issuer":"https://h/t1"}`},
		{"GET", "/.well-known/ssf-configuration/t2", `{"issuer":"https://h/t2/"}`},
		{"GET", "/.well-known/ssf-configuration/t3", ""},
		{"GET", "/.well-known/oauth-authorization-server/t1", `{"issuer":"https://h/t1"}`},
		{"GET", "/.well-known/oauth-protected-resource/ssf", `{"resource":"https://h/ssf"}`},
		{"GET", "/jwks.json", `{"keys":[]}`},
		{"POST", "/.well-known/ssf-configuration", ""},
		{"HEAD", "/jwks.json", ""},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(tt.method, "https://h"+tt.path, nil))
		switch {
		case tt.method != "GET":
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" {
				t.Errorf("%s %s: got %d %v, want 405 with Allow: GET", tt.method, tt.path, w.Code, w.Header())
			}
		case tt.want == "":
			if w.Code != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", tt.path, w.Code)
			}
		case w.Code != http.StatusOK || w.Body.String() != tt.want ||
			w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Header().Get("Cache-Control"), "max-age="):
			t.Errorf("%s: got %d %s %v, want %s", tt.path, w.Code, w.Body, w.Header(), tt.want)
		}
	}
}

// INTEROP-2.3.3-01: the key set is what it is at the moment of the request.
func TestJWKSHandlerFollowsRotation(t *testing.T) {
	first, second := key(t), key(t)
	keys := jose.NewKeySet(first.Public())
	handler := wellknown.JWKSHandler(func() *jose.KeySet { return keys })
	for _, step := range []struct {
		keys *jose.KeySet
		want []string
	}{
		{jose.NewKeySet(first.Public()), []string{first.ID()}},
		{jose.NewKeySet(first.Public(), second.Public()), []string{first.ID(), second.ID()}},
	} {
		keys = step.keys
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/jwks.json", nil))
		got, err := jose.ParseKeySet(w.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, kid := range step.want {
			if _, err := got.Find(kid, jose.ES256); err != nil {
				t.Errorf("got %v for %s, want the key", err, kid)
			}
		}
		if strings.Contains(w.Body.String(), `"d"`) {
			t.Error("got a private member, want public keys alone")
		}
	}
}

func key(t *testing.T) *jose.PrivateKey {
	t.Helper()
	k, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
