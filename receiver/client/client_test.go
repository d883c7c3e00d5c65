package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Every operation: the request sent, and what a success is read as.
func TestOperations(t *testing.T) {
	text := "ours"
	state := "s"
	push := &streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://receiver.example/1", AuthorizationHeader: "Bearer x"}
	whole := client.Request{EventsRequested: []string{"e1"}, Delivery: push, Description: &text}
	const wholeJSON = `"events_requested":["e1"],"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://receiver.example/1","authorization_header":"Bearer x"},"description":"ours"}`
	mail := subject.Email("a@example.com")
	for _, tt := range []struct {
		name   string
		status int
		answer string
		call   func(context.Context, *client.Client) (any, error)
		want   seen
		result any // compared if not nil
	}{
		{
			"SSF-8.1.1.1-05: create sends what a receiver supplies", 201, stream("1"),
			func(ctx context.Context, c *client.Client) (any, error) {
				s, err := c.Create(ctx, whole)
				return s.StreamID, err
			},
			seen{method: "POST", url: "/streams?v=1", body: `{` + wholeJSON},
			"1",
		},
		{
			"create by poll", 201, stream("1"),
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Create(ctx, client.Request{Delivery: &streams.Delivery{Method: delivery.MethodPoll}})
			},
			seen{method: "POST", url: "/streams?v=1", body: `{"delivery":{"method":"urn:ietf:rfc:8936"}}`},
			nil,
		},
		{
			"SSF-8.1.1.2-01: read", 200, stream("a b/ü"),
			func(ctx context.Context, c *client.Client) (any, error) {
				s, err := c.Stream(ctx, "a b/ü")
				return s.Delivery.EndpointURL, err
			},
			seen{method: "GET", url: "/streams?stream_id=a+b%2F%C3%BC&v=1"},
			"https://receiver.example/a b/ü",
		},
		{
			"SSF-8.1.1.2-02: list", 200, "[" + stream("1") + "," + stream("2") + "]",
			func(ctx context.Context, c *client.Client) (any, error) { l, err := c.Streams(ctx); return len(l), err },
			seen{method: "GET", url: "/streams?v=1"},
			2,
		},
		{
			"empty list", 200, "[]",
			func(ctx context.Context, c *client.Client) (any, error) { l, err := c.Streams(ctx); return len(l), err },
			seen{method: "GET", url: "/streams?v=1"},
			0,
		},
		{
			"update, SSF-8.1.1.3-02: absent members are not sent", 200, stream("1"),
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Update(ctx, "1", client.Request{Description: &text})
			},
			seen{method: "PATCH", url: "/streams?v=1", body: `{"stream_id":"1","description":"ours"}`},
			nil,
		},
		{
			"SSF-8.1.1.4-01: replace", 200, stream("1"),
			func(ctx context.Context, c *client.Client) (any, error) { return c.Replace(ctx, "1", whole) },
			seen{method: "PUT", url: "/streams?v=1", body: `{"stream_id":"1",` + wholeJSON},
			nil,
		},
		{
			"delete", 204, "",
			func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Delete(ctx, "1") },
			seen{method: "DELETE", url: "/streams?stream_id=1&v=1"},
			nil,
		},
		{
			"status", 200, `{"stream_id":"1","status":"paused","reason":"r"}`,
			func(ctx context.Context, c *client.Client) (any, error) { return c.Status(ctx, "1") },
			seen{method: "GET", url: "/status?stream_id=1"},
			client.Status{StreamID: "1", Status: "paused", Reason: "r"},
		},
		{
			"set status", 200, `{"stream_id":"1","status":"disabled"}`,
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.SetStatus(ctx, "1", streams.Disabled, "r")
			},
			seen{method: "POST", url: "/status", body: `{"stream_id":"1","status":"disabled","reason":"r"}`},
			client.Status{StreamID: "1", Status: "disabled"},
		},
		{
			"add subject", 200, "",
			func(ctx context.Context, c *client.Client) (any, error) {
				return nil, c.AddSubject(ctx, "1", mail, false)
			},
			seen{method: "POST", url: "/add", body: `{"stream_id":"1","subject":{"format":"email","email":"a@example.com"}}`},
			nil,
		},
		{
			"U19: add unverified, answered 204", 204, "",
			func(ctx context.Context, c *client.Client) (any, error) {
				return nil, c.AddSubject(ctx, "1", mail, true)
			},
			seen{method: "POST", url: "/add", body: `{"stream_id":"1","subject":{"format":"email","email":"a@example.com"},"verified":false}`},
			nil,
		},
		{
			"remove subject", 204, "",
			func(ctx context.Context, c *client.Client) (any, error) { return nil, c.RemoveSubject(ctx, "1", mail) },
			seen{method: "POST", url: "/remove", body: `{"stream_id":"1","subject":{"format":"email","email":"a@example.com"}}`},
			nil,
		},
		{
			"verify", 204, "",
			func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Verify(ctx, "1", &state) },
			seen{method: "POST", url: "/verify", body: `{"stream_id":"1","state":"s"}`},
			nil,
		},
		{
			"verify without state", 204, "",
			func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Verify(ctx, "1", nil) },
			seen{method: "POST", url: "/verify", body: `{"stream_id":"1"}`},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &transmitter{answer: func(int, seen) *http.Response { return answer(tt.status, tt.answer) }}
			got, err := tt.call(t.Context(), newClient(t, f))
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if tt.result != nil && !reflect.DeepEqual(got, tt.result) {
				t.Errorf("got %+v, want %+v", got, tt.result)
			}
			if len(f.requests) != 1 {
				t.Fatalf("got %d requests, want 1", len(f.requests))
			}
			want := tt.want
			want.url, want.authorization = issuer+want.url, "Bearer t0ken"
			if want.body != "" {
				want.contentType = "application/json" // SSF-8.1.1-09
			}
			if f.requests[0] != want {
				t.Errorf("got request\n%+v, want\n%+v", f.requests[0], want)
			}
		})
	}
}

// SSF-7.1-06: what the metadata does not offer is not asked for.
func TestNotOffered(t *testing.T) {
	f := &transmitter{}
	c := newClient(t, f, func(cfg *client.Config) { cfg.Metadata = &wellknown.Configuration{Issuer: issuer} })
	ctx := t.Context()
	mail := subject.Email("a@example.com")
	for member, call := range map[string]func() error{
		"configuration_endpoint":  func() error { _, err := c.Create(ctx, client.Request{}); return err },
		"status_endpoint":         func() error { _, err := c.Status(ctx, "1"); return err },
		"add_subject_endpoint":    func() error { return c.AddSubject(ctx, "1", mail, false) },
		"remove_subject_endpoint": func() error { return c.RemoveSubject(ctx, "1", mail) },
		"verification_endpoint":   func() error { return c.Verify(ctx, "1", nil) },
	} {
		err := call()
		missing, ok := errors.AsType[*client.NotOfferedError](err)
		if !ok || missing.Member != member || !errors.Is(err, client.ErrNotOffered) {
			t.Errorf("got error %v, want one that names %s", err, member)
		}
	}
	if len(f.requests) != 0 {
		t.Errorf("got requests %v, want none", f.requests)
	}
}

// Arguments that must never leave: a bare DELETE would mean all streams to some.
func TestNotSent(t *testing.T) {
	f := &transmitter{}
	c := newClient(t, f)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"delete without id":  func() error { return c.Delete(ctx, "") },
		"read without id":    func() error { _, err := c.Stream(ctx, ""); return err },
		"update without id":  func() error { _, err := c.Update(ctx, "", client.Request{}); return err },
		"status without id":  func() error { _, err := c.Status(ctx, ""); return err },
		"unknown status":     func() error { _, err := c.SetStatus(ctx, "1", "Enabled", ""); return err },
		"subject without id": func() error { return c.AddSubject(ctx, "", subject.Opaque("1"), false) },
		"no subject":         func() error { return c.RemoveSubject(ctx, "1", subject.Identifier{}) },
		"verify without id":  func() error { return c.Verify(ctx, "", nil) },
		"token fails": func() error {
			c := newClient(t, f, func(cfg *client.Config) {
				cfg.Token = func(context.Context) (string, error) { return "", errors.New("no token") }
			})
			return c.Delete(ctx, "1")
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	if len(f.requests) != 0 {
		t.Errorf("got requests %v, want none", f.requests)
	}
}

// SSF-8.1.1.1-06, SSF-8.1.1.1-07: a stream of another issuer or audience is not used,
// and one just created is deleted again.
func TestMismatch(t *testing.T) {
	ours := stream("1")
	for member, body := range map[string]string{
		"iss":       strings.Replace(ours, issuer, issuer+"/", 1),
		"aud":       strings.Replace(ours, audience, "https://other.example", 1),
		"stream_id": strings.Replace(ours, `"stream_id":"1",`, "", 1),
	} {
		f := &transmitter{answer: func(_ int, r seen) *http.Response {
			switch {
			case r.method == http.MethodDelete:
				return answer(204, "")
			case r.method == http.MethodPost:
				return answer(201, body)
			case r.method == http.MethodGet && !strings.Contains(r.url, "stream_id"):
				return answer(200, "["+body+"]")
			}
			return answer(200, body)
		}}
		c := newClient(t, f)
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"create":  func() error { _, err := c.Create(ctx, client.Request{}); return err },
			"read":    func() error { _, err := c.Stream(ctx, "1"); return err },
			"update":  func() error { _, err := c.Update(ctx, "1", client.Request{}); return err },
			"replace": func() error { _, err := c.Replace(ctx, "1", client.Request{}); return err },
			"list":    func() error { _, err := c.Streams(ctx); return err },
		} {
			err := call()
			mismatch, ok := errors.AsType[*client.MismatchError](err)
			if !ok || mismatch.Member != member || !errors.Is(err, client.ErrMismatch) {
				t.Errorf("%s, %s: got error %v, want a mismatch of it", member, name, err)
			}
		}
		deletes := 0
		for _, r := range f.requests {
			if r.method == http.MethodDelete && strings.Contains(r.url, "stream_id=1") {
				deletes++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[member == "stream_id"]; deletes != want {
			t.Errorf("%s: got %d deletes, want %d", member, deletes, want)
		}
	}
}

// SSF-8.1.1.1-08, OIDF-08: on 409 the stream that exists is adopted and updated.
func TestEnsure(t *testing.T) {
	wanted := client.Request{
		EventsRequested: []string{"e1"},
		Delivery:        &streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://receiver.example/2"},
	}
	for _, tt := range []struct {
		name, list string
		want       string // id adopted; "" for an error
	}{
		{"the only one", "[" + stream("1") + "]", "1"},
		{"the one of our endpoint", "[" + stream("1") + "," + stream("2") + "]", "2"},
		{"none can be told", "[" + stream("1") + "," + stream("3") + "]", ""},
		{"none at all", "[]", ""},
	} {
		f := &transmitter{answer: func(_ int, r seen) *http.Response {
			switch r.method {
			case http.MethodPost:
				return answer(409, "")
			case http.MethodPatch:
				var body struct {
					ID string `json:"stream_id"`
				}
				if err := json.Unmarshal([]byte(r.body), &body); err != nil {
					t.Error(err)
				}
				return answer(200, stream(body.ID))
			}
			return answer(200, tt.list)
		}}
		got, adopted, err := newClient(t, f).Ensure(t.Context(), wanted)
		if got.StreamID != tt.want || adopted != (tt.want != "") || (tt.want == "") != errors.Is(err, client.ErrConflict) {
			t.Errorf("%s: got %q, adopted %v, error %v, want %q", tt.name, got.StreamID, adopted, err, tt.want)
		}
	}
	f := &transmitter{answer: func(int, seen) *http.Response { return answer(201, stream("7")) }}
	if got, adopted, err := newClient(t, f).Ensure(t.Context(), wanted); got.StreamID != "7" || adopted || err != nil {
		t.Errorf("got %q, adopted %v, error %v, want 7 created", got.StreamID, adopted, err)
	}
}

// U34, SSF-8.1.1.3-05: 202 means the same request again, with back-off, up to a limit.
func TestPending(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pending int // answers of 202
		retry   string
		limit   time.Duration
		want    error
		least   time.Duration
	}{
		{"decided later", 3, "", 0, nil, 7 * time.Second},
		{"Retry-After", 1, "20", 0, nil, 20 * time.Second},
		{"not decided", 1000, "", 0, client.ErrPending, 30 * time.Second},
		{"asked once", 1, "", -1, client.ErrPending, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				f := &transmitter{answer: func(n int, _ seen) *http.Response {
					if n <= tt.pending {
						return answer(202, "", "Retry-After", tt.retry)
					}
					return answer(200, stream("1"))
				}}
				c := newClient(t, f, func(cfg *client.Config) { cfg.Pending = tt.limit })
				_, err := c.Update(t.Context(), "1", client.Request{EventsRequested: []string{"e"}})
				if !errors.Is(err, tt.want) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				if took := time.Since(began); took < tt.least || took > client.DefaultPending {
					t.Errorf("got %v, want %v to %v", took, tt.least, client.DefaultPending)
				}
				for _, r := range f.requests {
					if r != f.requests[0] {
						t.Errorf("got request %+v, want it identical to %+v", r, f.requests[0])
					}
				}
			})
		})
	}
}

// Answers that are no success keep what a caller needs, bounded.
func TestErrors(t *testing.T) {
	f := &transmitter{answer: func(_ int, r seen) *http.Response {
		switch {
		case strings.Contains(r.url, "stream_id=gone"):
			return answer(404, "")
		case strings.HasSuffix(r.url, "/verify"):
			return answer(429, `{"err":"too_soon"}`, "Retry-After", "30")
		case strings.HasSuffix(r.url, "/add"):
			return answer(302, "", "Location", "https://evil.example/")
		}
		return answer(403, strings.Repeat("ü", client.MaxExcerpt), "WWW-Authenticate", `Bearer error="insufficient_scope"`)
	}}
	c := newClient(t, f)
	if _, err := c.Stream(t.Context(), "gone"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got error %v, want %v", err, client.ErrNotFound)
	}
	got, ok := errors.AsType[*client.Error](c.Verify(t.Context(), "1", nil))
	if !ok || got.Status != 429 || got.RetryAfter != 30*time.Second || !strings.Contains(got.Error(), "too_soon") {
		t.Errorf("got %+v, want 429 in 30 s", got)
	}
	_, err := c.Streams(t.Context())
	got, ok = errors.AsType[*client.Error](err)
	if !ok || got.Status != 403 || len(got.WWWAuthenticate) != 1 || len(got.Body) > client.MaxExcerpt || got.Body == "" {
		t.Errorf("got %+v, want 403 with WWW-Authenticate and a bounded body", got)
	}
	n := len(f.requests)
	if err := c.AddSubject(t.Context(), "1", subject.Opaque("1"), false); err == nil || len(f.requests) != n+1 {
		t.Errorf("got error %v after %d requests, want a redirect refused", err, len(f.requests)-n)
	}
}

// What cannot be read of a success is an error, and is bounded.
func TestBadAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":    "hello",
		"names twice": `{"stream_id":"1","stream_id":"2"}`,
		"wrong type":  `{"stream_id":1}`,
		"too large":   stream("1") + strings.Repeat(" ", streams.MaxBodyBytes),
	} {
		f := &transmitter{answer: func(int, seen) *http.Response { return answer(200, body) }}
		if _, err := newClient(t, f).Stream(t.Context(), "1"); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	f := &transmitter{answer: func(int, seen) *http.Response { return answer(200, `{"stream_id":"2","status":"enabled"}`) }}
	if _, err := newClient(t, f).Status(t.Context(), "1"); !errors.Is(err, client.ErrMismatch) {
		t.Errorf("got error %v for the status of another stream, want a mismatch", err)
	}
}

// Against a server: metadata is discovered (SSF-7.2-01) and fetched again after a 404 (U36).
func TestDiscovery(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	endpoint := "/old"
	mux.HandleFunc("GET /.well-known/ssf-configuration/t", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(wellknown.Configuration{Issuer: server.URL + "/t", ConfigurationEndpoint: server.URL + endpoint})
	})
	mux.HandleFunc("GET /new", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") })
	c, err := client.New(client.Config{
		Issuer: server.URL + "/t", HTTP: server.Client(),
		Discovery: wellknown.NewClient(wellknown.Config{HTTP: server.Client(), MinRefresh: time.Nanosecond}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Streams(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("got error %v, want %v", err, client.ErrNotFound)
	}
	endpoint = "/new"
	if _, err := c.Streams(t.Context()); err != nil {
		t.Errorf("got error %v after the endpoint moved, want none", err)
	}
}

// New names every wrong field.
func TestConfig(t *testing.T) {
	for name, cfg := range map[string]client.Config{
		"no issuer":             {},
		"foreign metadata":      {Issuer: issuer, Metadata: &wellknown.Configuration{Issuer: issuer + "/"}},
		"empty audience in one": {Issuer: issuer, Audience: []string{""}},
	} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// legacy_delivery_uri: methods under the URIs of RISC drafts are written and read, as
// today's; otherwise a stream that has one is not used.
func TestLegacyDeliveryURI(t *testing.T) {
	for former, current := range map[string]string{
		"https://schemas.openid.net/secevent/risc/delivery-method/push": "urn:ietf:rfc:8935",
		"https://schemas.openid.net/secevent/risc/delivery-method/poll": "urn:ietf:rfc:8936",
	} {
		body := strings.Replace(stream("1"), "urn:ietf:rfc:8935", former, 1)
		f := &transmitter{answer: func(_ int, r seen) *http.Response {
			if r.method == http.MethodGet && !strings.Contains(r.url, "stream_id") {
				return answer(200, "["+body+"]")
			}
			if r.method == http.MethodDelete {
				return answer(204, "")
			}
			return answer(200, body)
		}}
		request := client.Request{Delivery: &streams.Delivery{Method: current, EndpointURL: "https://receiver.example/1"}}
		for tolerated, written := range map[bool]string{true: former, false: current} {
			c := newClient(t, f, func(cfg *client.Config) {
				cfg.LegacyDeliveryURI = tolerated
				cfg.Metadata.DeliveryMethodsSupported = []string{former}
			})
			for name, call := range map[string]func() (streams.Configuration, error){
				"create":  func() (streams.Configuration, error) { return c.Create(t.Context(), request) },
				"read":    func() (streams.Configuration, error) { return c.Stream(t.Context(), "1") },
				"update":  func() (streams.Configuration, error) { return c.Update(t.Context(), "1", request) },
				"replace": func() (streams.Configuration, error) { return c.Replace(t.Context(), "1", request) },
				"list": func() (streams.Configuration, error) {
					list, err := c.Streams(t.Context())
					return append(list, streams.Configuration{})[0], err
				},
			} {
				f.requests = nil
				got, err := call()
				switch {
				case tolerated && (err != nil || got.Delivery.Method != current):
					t.Errorf("%s of %s: got %s, %v, want %s", name, former, got.Delivery.Method, err, current)
				case !tolerated && !errors.Is(err, client.ErrMismatch):
					t.Errorf("%s of %s, strict: got %v, want %v", name, former, err, client.ErrMismatch)
				}
				if sent := f.requests[0].body; sent != "" && !strings.Contains(sent, `"method":"`+written+`"`) {
					t.Errorf("%s: sent %s, want the method %s", name, sent, written)
				}
			}
		}
	}
}
