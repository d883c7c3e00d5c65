package wellknown_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// PRM-2-01, PRM-3-01: the members; empty ones are left out, unknown ones ignored.
func TestProtectedResource(t *testing.T) {
	p := wellknown.ProtectedResource{
		Resource:               issuer + "/ssf/streams",
		AuthorizationServers:   []string{issuer},
		ScopesSupported:        []string{"ssf.read", "ssf.manage"},
		BearerMethodsSupported: []string{"header"},
	}
	got, err := json.Marshal(p)
	want := `{"resource":"https://tr.example/t1/ssf/streams","authorization_servers":["https://tr.example/t1"],` +
		`"scopes_supported":["ssf.read","ssf.manage"],"bearer_methods_supported":["header"]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	back, err := wellknown.ParseProtectedResource([]byte(want[:len(want)-1] + `,"dpop_bound_access_tokens_required":false}`))
	if diff := cmp.Diff(p, back); diff != "" || err != nil {
		t.Errorf("read back: %v, -want +got:\n%s", err, diff)
	}
	if got, err := json.Marshal(wellknown.ProtectedResource{Resource: "r", ScopesSupported: []string{}}); err != nil || string(got) != `{"resource":"r"}` {
		t.Errorf("got %s, %v, want the resource alone", got, err)
	}
}

// PRM-3.3-01, U30: the document speaks for the resource asked about, queries aside.
func TestProtectedResourceValidate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		document wellknown.ProtectedResource
		resource string
		want     bool
	}{
		{"same", wellknown.ProtectedResource{Resource: "https://h/s"}, "https://h/s", true},
		{"query in the request", wellknown.ProtectedResource{Resource: "https://h/s"}, "https://h/s?stream_id=1", true},
		{"another path", wellknown.ProtectedResource{Resource: "https://h/"}, "https://h/s", false},
		{"another host", wellknown.ProtectedResource{Resource: "https://evil.example/s"}, "https://h/s", false},
		{"none", wellknown.ProtectedResource{}, "https://h/s", false},
		{"http authorization server", wellknown.ProtectedResource{Resource: "https://h/s", AuthorizationServers: []string{"http://h"}}, "https://h/s", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.document.Validate(tt.resource)
			if got := err == nil; got != tt.want || !tt.want && !errors.Is(err, wellknown.ErrDocument) {
				t.Errorf("got %v, want accepted %v", err, tt.want)
			}
		})
	}
}

// INTEROP-2.7.1-01: metadata of an authorization server, whose issuer is exact
// (RFC 8414 §3.3).
func TestAuthorizationServer(t *testing.T) {
	a := wellknown.AuthorizationServer{
		Issuer: issuer, TokenEndpoint: issuer + "/oauth/token", GrantTypesSupported: []string{"client_credentials"},
	}
	got, err := json.Marshal(a)
	want := `{"issuer":"https://tr.example/t1","token_endpoint":"https://tr.example/t1/oauth/token","grant_types_supported":["client_credentials"]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if err := a.Validate(issuer); err != nil {
		t.Errorf("got %v, want accepted", err)
	}
	if err := a.Validate(issuer + "/"); !errors.Is(err, wellknown.ErrDocument) {
		t.Errorf("other issuer: got %v, want ErrDocument", err)
	}
	a.TokenEndpoint = "http://tr.example/token"
	if err := a.Validate(issuer); !errors.Is(err, wellknown.ErrDocument) {
		t.Errorf("http token endpoint: got %v, want ErrDocument", err)
	}
}

// PRM-5.1-01: the parameter of WWW-Authenticate.
func TestResourceMetadata(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"alone", []string{`Bearer resource_metadata="https://h/m"`}, "https://h/m"},
		{"among others", []string{`Bearer realm="a, b", error="invalid_token", Resource_Metadata="https://h/m", scope="x"`}, "https://h/m"},
		{"second field", []string{`Basic realm="x"`, `Bearer resource_metadata="https://h/m"`}, "https://h/m"},
		{"token form", []string{`Bearer resource_metadata=https://h/m, scope=x`}, "https://h/m"},
		{"inside a string", []string{`Bearer realm="x resource_metadata=https://evil.example/"`}, ""},
		{"behind an escaped quote", []string{`Bearer realm="x\" resource_metadata=https://evil.example/"`}, ""},
		{"end of another name", []string{`Bearer my_resource_metadata="https://h/m"`}, ""},
		{"empty", []string{`Bearer resource_metadata=""`}, ""},
		{"absent", []string{`Bearer`}, ""},
		{"none", nil, ""},
	} {
		got, ok := wellknown.ResourceMetadata(http.Header{"Www-Authenticate": tt.fields})
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, ok, tt.want)
		}
	}
}

// RFC 8414 §5: where an authorization server has no metadata of RFC 8414, that of OpenID
// Connect is read, and must be of the same issuer.
func TestOpenIDMetadata(t *testing.T) {
	for name, tt := range map[string]struct {
		url, issuer string
		want        bool
	}{
		"appended":   {"https://tr.example/t1/.well-known/openid-configuration", issuer, true},
		"inserted":   {"https://tr.example/.well-known/openid-configuration/t1", issuer, true},
		"another's":  {"https://tr.example/t1/.well-known/openid-configuration", "https://evil.example", false},
		"elsewhere":  {"https://tr.example/openid-configuration", issuer, false},
		"as OAuth's": {"https://tr.example/.well-known/oauth-authorization-server/t1", issuer, true},
	} {
		p := newPeer()
		p.set(tt.url, page(t, wellknown.AuthorizationServer{Issuer: tt.issuer, JWKSURI: issuer + "/jwks"}))
		got, err := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).AuthorizationServer(t.Context(), issuer)
		if (err == nil) != tt.want || tt.want && got.JWKSURI != issuer+"/jwks" {
			t.Errorf("%s: got %+v, %v, want it %v", name, got, err, tt.want)
		}
	}
}
