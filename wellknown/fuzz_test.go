package wellknown_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// The metadata of authorization servers and of resources is read back as it is written;
// what cannot be read is nothing; what is valid for an issuer names it.
func FuzzParseMetadata(f *testing.F) {
	for _, seed := range []string{
		`{"issuer":"https://as.example","token_endpoint":"https://as.example/t","scopes_supported":["a"],"jwks_uri":"http://as.example"}`,
		`{"resource":"https://r.example/a?b=c","authorization_servers":["https://as.example","x"],"bearer_methods_supported":["header"]}`, `{"issuer":7}`, `{"resource":null,"resource":"x"}`, `[]`, "",
	} {
		f.Add([]byte(seed), "https://as.example")
		f.Add([]byte(seed), "https://r.example/a")
	}
	f.Fuzz(func(t *testing.T, body []byte, of string) {
		server, err := wellknown.ParseAuthorizationServer(body)
		backServer, backErr := wellknown.ParseAuthorizationServer(written(t, server))
		law(t, err, wellknown.AuthorizationServer{}, server, backServer, backErr)
		if server.Validate(of) == nil && server.Issuer != of {
			t.Fatalf("%q is valid for %q", server.Issuer, of)
		}
		resource, err := wellknown.ParseProtectedResource(body)
		backResource, backErr := wellknown.ParseProtectedResource(written(t, resource))
		law(t, err, wellknown.ProtectedResource{}, resource, backResource, backErr)
		named, _, _ := strings.Cut(resource.Resource, "?")
		if wanted, _, _ := strings.Cut(of, "?"); resource.Validate(of) == nil && named != wanted {
			t.Fatalf("%q is valid for %q", resource.Resource, of)
		}
	})
}

func written(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func law(t *testing.T, err error, zero, got, back any, backErr error) {
	t.Helper()
	want := got
	if err != nil {
		want = zero
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("got something beside %v:\n%s", err, diff)
	}
	if diff := cmp.Diff(got, back, cmpopts.EquateEmpty()); diff != "" || backErr != nil {
		t.Fatalf("read back: %v\n%s", backErr, diff)
	}
}

// A challenge names metadata where the parameter stands by itself, and nowhere else.
func FuzzResourceMetadata(f *testing.F) {
	for _, seed := range []string{
		`Bearer resource_metadata="https://r.example/m", error="x"`, `Bearer RESOURCE_METADATA=https://r.example`, `Bearer x="resource_metadata=y"`, `Bearer realm="a\"resource_metadata=z"`, `resource_metadata="`, `"\`, "\tresource_metadata=,",
	} {
		f.Add(seed, "Basic")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		value, ok := wellknown.ResourceMetadata(http.Header{"Www-Authenticate": {one, two}})
		if ok != (value != "") {
			t.Fatalf("got %q, %t", value, ok)
		}
		if ok && !strings.Contains(one+"\n"+two, value) {
			t.Fatalf("%q, %q: got %q", one, two, value)
		}
	})
}
