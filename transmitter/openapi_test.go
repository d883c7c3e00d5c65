package transmitter_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// The document is a good one of OpenAPI 3.1, its examples follow their schemas, and
// every operation has what a reader needs.
func TestOpenAPIDocument(t *testing.T) {
	d := contract()
	if err := d.doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
	if d.doc.OpenAPI != "3.1.0" {
		t.Errorf("got OpenAPI %s, want 3.1.0", d.doc.OpenAPI)
	}
	ids := map[string]string{}
	for _, o := range d.operations {
		name := o.method + " " + o.path
		if o.OperationID == "" || ids[o.OperationID] != "" {
			t.Errorf("%s: got operationId %q, which is empty or that of %s", name, o.OperationID, ids[o.OperationID])
		}
		ids[o.OperationID] = name
		if len(o.Tags) != 1 || o.Security == nil {
			t.Errorf("%s: got tags %v, security %v, want one tag and who may", name, o.Tags, o.Security)
		}
		if o.Responses.Default() == nil {
			t.Errorf("%s: got no default answer, want that of errors", name)
		}
	}
}

// shapeOf is a path without the names of its variables.
func shapeOf(path string) string {
	path = regexp.MustCompile(`:[a-z_]+|\*|\{[a-z_]+\}`).ReplaceAllString(path, "{}")
	return strings.Replace(path, "oauth-protected-resource{}", "oauth-protected-resource/{}", 1)
}

// No route is without an operation, and no operation without a route; who may call it
// is the same in both.
func TestOpenAPIRoutes(t *testing.T) {
	h := open(t, func(s *setup) { s.idle, s.checkpoints = true, true })
	routes := map[string][]string{}
	for _, r := range slices.Concat(h.Routes(), h.AdminRoutes()) {
		method, path, _ := strings.Cut(r, " ")
		if strings.HasPrefix(path, "/.well-known/oauth-protected-resource/") {
			path = "/.well-known/oauth-protected-resource/*" // one operation, a document per endpoint
		}
		routes[method+" "+shapeOf(path)] = nil
	}
	for op, name := range h.Operations() {
		for _, s := range auth.DefaultRules()[name] {
			key, path, _ := strings.Cut(op, " ")
			key += " " + shapeOf(path)
			routes[key] = append(routes[key], string(s))
		}
	}
	documented := map[string]bool{}
	for _, o := range contract().operations {
		key := o.method + " " + shapeOf(o.path)
		documented[key] = true
		scopes, ok := routes[key]
		if !ok {
			t.Errorf("%s %s: got an operation without a route", o.method, o.path)
			continue
		}
		if strings.HasPrefix(o.path, "/admin/") || o.path == "/metrics" {
			scopes = []string{"admin"}
		}
		var said []string
		for _, requirement := range *o.Security {
			said = append(said, requirement["token"]...)
		}
		slices.Sort(said)
		slices.Sort(scopes)
		if !slices.Equal(said, scopes) {
			t.Errorf("%s %s: got scopes %v in the document, want %v", o.method, o.path, said, scopes)
		}
	}
	for key := range routes {
		if !documented[key] {
			t.Errorf("%s: got a route without an operation", key)
		}
	}
	known := contract().doc.Components.SecuritySchemes["token"].Value.Flows.ClientCredentials.Scopes
	for _, s := range auth.DefaultRules().Scopes() {
		if known[string(s)] == "" {
			t.Errorf("scope %s: got no words about it", s)
		}
	}
}

// The check can fail: what is not in the document is found, and so is an answer in
// another form.
func TestOpenAPICheck(t *testing.T) {
	good := func() *exchange {
		return &exchange{
			method: "GET", path: "/ssf/status", url: mustURL(t, "/ssf/status?stream_id=x"), header: http.Header{}, body: []byte{}, status: 200,
			answer: http.Header{"Content-Type": {"application/json"}}, said: []byte(`{"stream_id":"x","status":"enabled"}`),
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*exchange)
		want   bool
	}{
		{"good", func(*exchange) {}, true},
		{"a member that is not documented", func(x *exchange) { x.said = []byte(`{"stream_id":"x","status":"enabled","secret":"s"}`) }, false},
		{"a member that is missing", func(x *exchange) { x.said = []byte(`{"stream_id":"x"}`) }, false},
		{"another value", func(x *exchange) { x.said = []byte(`{"stream_id":"x","status":"broken"}`) }, false},
		{"another type", func(x *exchange) { x.said = []byte(`[]`) }, false},
		{"no JSON", func(x *exchange) { x.said = []byte(`oops`) }, false},
		{"another media type", func(x *exchange) { x.answer = http.Header{"Content-Type": {"text/html"}} }, false},
		{"taken without a parameter", func(x *exchange) { x.url = mustURL(t, "/ssf/status") }, false},
		{"a refusal", func(x *exchange) { x.status, x.said = 404, []byte(`{"err":"not_found","description":"d"}`) }, true},
		{"a refusal in another form", func(x *exchange) { x.status, x.said = 404, []byte(`{"error":"not_found"}`) }, false},
		{"a refusal without words", func(x *exchange) { x.status, x.said = 400, []byte(`{"err":"invalid_request"}`) }, false},
		{"an empty refusal", func(x *exchange) { x.status, x.said = 400, nil }, false},
		{"a failure in another form", func(x *exchange) { x.status, x.said = 500, []byte(`panic`) }, false},
	} {
		x := good()
		tt.change(x)
		fresh := &documented{doc: contract().doc, operations: contract().operations, looked: map[string]int{}}
		if err := fresh.check(x); (err == nil) != tt.want {
			t.Errorf("%s: got %v, want it fine: %t", tt.name, err, tt.want)
		}
	}
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
