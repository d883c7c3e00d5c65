package transmitter_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// dreamer makes requests of the document: mostly good ones, with some part that is not.
type dreamer struct {
	*rand.Rand
	odds int // one part in odds is not as the schema says; 0: all are
}

func (d *dreamer) one(n int) bool { return d.IntN(n) == 0 }

func pickOf[T any](d *dreamer, list []T) T { return list[d.IntN(len(list))] }

// hints are values that are there, or mean something, by the names of what they are for.
func hints() map[string][]any {
	urls := []any{"https://127.0.0.1:1/a", "https://localhost:1/b?c=d", "http://127.0.0.1:1/", "https://10.0.0.1/", "https://169.254.169.254/", "file:///etc/passwd", "://", ""}
	subject := map[string]any{"format": "email", "email": "jane@example.com"}
	return map[string][]any{
		"stream_id": {"{stream}", "{push}", "{hook}", "nobody"},
		"jti":       {"{made}", "{jti}", "queued", "none"},
		"id":        {"{made}", "{event}", "AAAAAAAAAAAAAAAAAAAAAA", "x", "1"},
		"name":      {"{made}", "hr", "x", "operator"},
		"type":      {sessionRevoked, accountPurged, "session.revoked", "basic", "bearer", "oauth2", "none"},
		"types":     {[]any{"*"}, []any{"session.revoked"}, []any{}},
		"format":    {"email", "idme", "ndjson", "event", "opaque", "aliases"},
		"method":    {"urn:ietf:rfc:8935", "urn:ietf:rfc:8936", "urn:x"},
		"subject": {
			subject,
			map[string]any{"format": "opaque", "id": "1"},
			[]any{subject},
			map[string]any{"format": "complex", "user": subject, "tenant": map[string]any{"format": "opaque", "id": "t"}},
			`{"format":"email","email":"jane@example.com"}`,
		},
		"endpoint_url": urls, "url": urls, "token_url": urls,
		"scope": {"ssf.read", "ssf.manage ssf.read", "admin", "nothing.known", ""}, "grant_type": {"client_credentials", "password"},
		"client_id": {"{client}", "nobody"}, "client_secret": {"{secret}", "wrong"},
		"audience": {[]any{"https://{made}.example"}, "https://alice.example", []any{"https://b.example"}, "x"}, "application": {"alice", "nobody", ""},
		"from": {"2026-01-01T00:00:00Z", "0", "1", "9999-12-31T23:59:59Z", "-1"}, "to": {"1", "18446744073709551615", "x"},
		"after": {"0", "x", ""}, "limit": {"1", "500", "0", "x"}, "level": {"1", "0", "99"}, "tile": {"{made}", "0/000", "1/x001/234.p/5", "../x", "0/000.p/1"},
		"fields": {[]any{"type"}, []any{"type", "time"}, []any{"nothing"}}, "kid": {"{made}", "none", "x"}, "passphrase": {"YSBwYXNzcGhyYXNlIG9mIG91cnM=", "x"}, "key": {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AA=="}, "dir": {"/nowhere", "."},
		"status": {"enabled", "paused", "disabled"}, "kind": {"idme", "onelogin", "fingerprint"}, "auth": {"basic", "bearer", "none", "off"},
		"profile": {"", "okta", "x"}, "decision": {"grant", "deny", "revoke"}, "resource": {"/ssf/streams", "/v1/events"},
	}
}

// odd are values that nobody expects.
func odd() []any {
	deep := any(1.0)
	for range 40 {
		deep = []any{deep}
	}
	return []any{
		nil, true, -1.0, 0.5, 1e300, "", "\x00", "\u2028", "%2F..", strings.Repeat("x", 5000),
		[]any{},
		map[string]any{},
		[]any{nil},
		map[string]any{"format": "complex"},
		deep, "9999-12-31T23:59:59-23:59", 9007199254740993.0,
	}
}

// value makes a value of a schema for something of a name.
func (d *dreamer) value(name string, s *openapi3.Schema, depth int) any {
	if d.odds > 0 && d.one(d.odds) {
		return pickOf(d, odd())
	}
	if known := hints()[name]; known != nil && !d.one(4) {
		if v := pickOf(d, known); s == nil || len(s.Properties) == 0 || isObject(v) { // another thing may have that name
			return v
		}
	}
	if s == nil || depth > 6 {
		return pickOf(d, odd())
	}
	if s.Const != nil {
		return s.Const
	}
	if len(s.Enum) > 0 {
		return pickOf(d, s.Enum)
	}
	if len(s.OneOf) > 0 {
		return d.value(name, pickOf(d, s.OneOf).Value, depth+1)
	}
	if s.Type == nil || len(*s.Type) == 0 {
		return pickOf(d, odd())
	}
	switch pickOf(d, *s.Type) {
	case openapi3.TypeObject:
		return d.object(s, depth)
	case openapi3.TypeArray:
		list, items := []any{}, (*openapi3.Schema)(nil)
		if s.Items != nil {
			items = s.Items.Value
		}
		for range d.IntN(4) {
			list = append(list, d.value(name, items, depth+1))
		}
		return list
	case openapi3.TypeBoolean:
		return d.one(2)
	case openapi3.TypeInteger:
		return pickOf(d, []float64{0, 1, 2, 10, 300, 3600, 1 << 31})
	case openapi3.TypeNumber:
		return d.Float64() * 100
	case openapi3.TypeNull:
		return nil
	}
	if s.Format == "date-time" {
		return pickOf(d, []string{"2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2024-02-29T23:59:59.999999999+23:59"})
	}
	return pickOf(d, []string{"a", "x y", "é", "true", "12345678", "session.revoked"})
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

func (d *dreamer) object(s *openapi3.Schema, depth int) any {
	out := map[string]any{}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range s.Properties {
			if !yield(name) {
				return
			}
		}
	}) {
		if wanted := slices.Contains(s.Required, name); wanted && (d.odds == 0 || !d.one(d.odds)) || !wanted && d.one(2) {
			out[name] = d.value(name, s.Properties[name].Value, depth+1)
		}
	}
	if s.AdditionalProperties.Schema != nil {
		for range d.IntN(3) {
			out[pickOf(d, []string{"a", "{jti}", "X-Header", "case"})] = d.value("", s.AdditionalProperties.Schema.Value, depth+1)
		}
	}
	if d.odds > 0 && d.one(d.odds) {
		out["nobody_knows"] = pickOf(d, odd())
	}
	return out
}

// text writes a value as a parameter has it.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

// request makes one for an operation: its target, media type and body.
func (d *dreamer) request(o *operationDoc) (target, media, body string) {
	target = o.path
	query := url.Values{}
	for _, p := range slices.Concat(openapi3.Parameters(o.item.Parameters), o.Parameters) {
		v := d.value(p.Value.Name, p.Value.Schema.Value, 0)
		switch {
		case p.Value.In == openapi3.ParameterInPath:
			value := text(v)
			if p.Value.Name == "stream_id" && strings.HasPrefix(value, "{") { // of what the path is about
				value = "{stream}"
				if strings.Contains(o.path, "/webhooks/") {
					value = "{hook}"
				}
			}
			if p.Value.Name != "tile" && p.Value.Name != "resource" && !strings.HasPrefix(value, "{") {
				value = url.PathEscape(value)
			}
			target = strings.ReplaceAll(target, "{"+p.Value.Name+"}", orOne(value))
		case p.Value.Required && (d.odds == 0 || !d.one(d.odds)) || d.one(3):
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			for _, one := range list {
				query.Add(p.Value.Name, text(one))
			}
		}
	}
	if len(query) > 0 {
		target += "?" + strings.NewReplacer("%7B", "{", "%7D", "}").Replace(query.Encode())
	}
	if o.RequestBody == nil {
		return target, "", ""
	}
	content := o.RequestBody.Value.Content
	media = "application/json"
	if content[media] == nil || d.one(4) {
		media = pickOf(d, slices.Sorted(func(yield func(string) bool) {
			for name := range content {
				if !yield(name) {
					return
				}
			}
		}))
	}
	v := d.value("", content[media].Schema.Value, 0)
	if given := content[media].Examples; len(given) > 0 && d.one(3) {
		for _, example := range given {
			v = refer(example.Value.Value)
		}
	}
	switch media {
	case "application/x-www-form-urlencoded":
		form := url.Values{}
		if o, ok := v.(map[string]any); ok {
			for name, value := range o {
				form.Set(name, text(value))
			}
		}
		return target, media, strings.NewReplacer("%7B", "{", "%7D", "}").Replace(form.Encode())
	case "*/*":
		return target, "application/json", pickOf(d, []string{"", "{made}", "{}", "[]", idmeEnd, oneLoginEnd + "\n" + oneLoginOnly, "\xff", text(v)})
	}
	if strings.Contains(media, "json") && !strings.Contains(media, "nd") && !strings.Contains(media, "jsonl") {
		if strings.HasSuffix(o.path, "/events") && !d.one(4) { // the document leaves an item to itself
			v = d.value("", contract().doc.Components.Schemas["EventItem"].Value, 0)
		}
		raw, _ := json.Marshal(v)
		return target, media, string(raw)
	}
	return target, media, pickOf(d, []string{event("a") + "\n" + event("b"), "{}\n{}", "\n", "x", event("a")})
}

// refer puts what there is in the place of what an example names.
func refer(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	o = maps.Clone(o)
	for name, there := range map[string]string{"stream_id": "{stream}", "client_id": "{client}", "client_secret": "{secret}"} {
		if o[name] != nil {
			o[name] = there
		}
	}
	return o
}

func orOne(s string) string {
	if s == "" || s == "." || s == ".." || strings.HasPrefix(s, "/") && len(s) == 1 {
		return "x"
	}
	return s
}

// renewHook makes a webhook to nowhere in the place of all that there are.
func (x *target) renewHook() {
	var all struct{ Webhooks []struct{ ID string } }
	if err := json.Unmarshal([]byte(x.do("GET", "/v1/webhooks", x.token, "").body), &all); err != nil {
		x.t.Fatal(err)
	}
	for _, hook := range all.Webhooks {
		x.do("DELETE", "/v1/webhooks/"+hook.ID, x.token, "")
	}
	x.hook = x.do("POST", "/v1/webhooks", x.token, `{"url":"https://127.0.0.1:1/hook"}`).member("id")
}

// dream makes the request of a seed and holds what comes of it against the document: no
// failure of ours, nothing of a panic, every refusal in the documented form.
func (x *target) dream(t *testing.T, d *documented, seed uint64) {
	t.Helper()
	x.t = t
	r := &dreamer{rand.New(rand.NewPCG(seed, 8935)), []int{0, 12, 4}[seed/uint64(len(d.operations))%3]}
	o := d.operations[seed%uint64(len(d.operations))]
	target, media, body := r.request(o)
	if strings.Contains(o.path, "/webhooks") {
		x.renewHook() // another request may have deleted it, or there are too many
	}
	if o.OperationID == "createWebhookOf" && !strings.Contains(body, `"application"`) {
		body = strings.Replace(body, `{"`, `{"application":"alice","`, 1)
	}
	if o.OperationID == "hold" {
		body = strings.ReplaceAll(body, "jane", "joan") // or nothing could be erased
	}
	thing := "x"
	if strings.Contains(target+body, "{made}") || o.OperationID == "checkpoint" {
		thing = x.made(o.OperationID)
	}
	put := strings.NewReplacer("{hook}", x.hook, "{secret}", x.secret, "{made}", thing)
	target, body = put.Replace(x.put.Replace(target)), put.Replace(x.put.Replace(body))
	u, err := url.ParseRequestURI(target)
	if err != nil || (o.OperationID == "removeClient" || o.OperationID == "rotateClient") && strings.Contains(target, x.client) {
		return
	}
	req := httptest.NewRequestWithContext(t.Context(), o.method, "/", strings.NewReader(body))
	req.URL, req.RequestURI = u, target
	req.Header.Set("Authorization", "Bearer "+x.token)
	switch {
	case strings.HasPrefix(o.path, "/oauth/"):
		req.Header.Del("Authorization")
	case o.OperationID == "vendorRecords":
		req.Header.Set("Authorization", "Bearer "+x.vendorSecret)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	handler := x.handler
	if slices.Contains(o.Tags, "operators") || slices.Contains(o.Tags, "health") {
		handler = x.admin
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	said, _ := io.ReadAll(w.Result().Body)
	name := fmt.Sprintf("seed %d: %s %s (%s) with %.300q: got %d %.300s", seed, o.method, target, media, body, w.Code, said)
	building := w.Code == http.StatusServiceUnavailable && strings.Contains(string(said), "index_rebuilding") // which was asked for
	vendors := w.Code == http.StatusBadGateway && strings.Contains(string(said), "vendor_failed")             // which it was asked for
	if w.Code >= 500 && w.Code != http.StatusNotImplemented && !building && !vendors {
		t.Errorf("%s\n%s", name, tail(x.logs.String()))
	}
	if logged := x.logs.String(); strings.Contains(logged, "panicked") {
		t.Errorf("%s: %s", name, tail(logged))
	}
	err = d.check(&exchange{
		method: o.method, path: u.EscapedPath(), url: u, header: req.Header, body: []byte(body), status: w.Code, answer: w.Header(), said: said,
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// lenient is the document for requests that nobody says are good: what is taken of
// them is not judged, the answers are.
func lenient() *documented {
	d := contract()
	ordered := slices.Clone(d.operations)
	slices.SortFunc(ordered, func(a, b *operationDoc) int {
		return strings.Compare(a.path+a.method, b.path+b.method)
	})
	return &documented{doc: d.doc, operations: ordered, looked: map[string]int{}, lenient: true}
}

// FuzzOpenAPI looks further than TestOpenAPIRequests.
func FuzzOpenAPI(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(seed * 977)
	}
	x, d := newDreamt(f), lenient()
	f.Fuzz(func(t *testing.T, seed uint64) { x.dream(t, d, seed) })
}

// Requests made of the document itself, good ones and odd ones, for every endpoint: none
// is answered 5xx, none makes a panic, and whatever is answered is documented.
func TestOpenAPIRequests(t *testing.T) {
	t.Parallel()
	rounds := uint64(24)
	if os.Getenv("TOCSIN_TEST_LONG") != "" {
		rounds = 500
	}
	x, d := newDreamt(t), lenient()
	n := uint64(len(d.operations))
	for seed := range rounds * n {
		if seed%n == 0 {
			x.renew()
			x.renewHook()
		}
		if x.dream(t, d, seed); t.Failed() {
			t.FailNow()
		}
	}
	// Each can succeed: of those that have not, more good requests.
	for i, o := range d.operations {
		for more := uint64(0); !d.done(o) && more < 400; more++ {
			if more%8 == 0 {
				x.renew()
			}
			if x.dream(t, d, uint64(i)+3*n*(rounds+more)); t.Failed() {
				t.FailNow()
			}
		}
		if !d.done(o) {
			t.Errorf("%s %s: got no request that was answered 2xx, want some", o.method, o.path)
		}
	}
}

// done reports whether a request for an operation was answered 2xx.
func (d *documented) done(o *operationDoc) bool {
	for key := range d.looked {
		if status, ok := strings.CutPrefix(key, o.method+o.path); ok && len(status) == 3 && status[0] == '2' {
			return true
		}
	}
	return false
}
