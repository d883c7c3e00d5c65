package source_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

const vendorURL = "https://vendor.example"

// The envelopes of errors, as they are documented.
func TestErrorEnvelopes(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		status     int
		body       string
		retryAfter string
		want       source.Error
	}{
		{"OneLogin, a text", auth.KindOneLogin, 400, `{"status":{"error":true,"code":400,"type":"bad request","message":"Authorization Information is incorrect"}}`, "", source.Error{Status: 400, Code: "bad request", Message: "Authorization Information is incorrect"}},
		{"OneLogin, an object", auth.KindOneLogin, 400, `{"status":{"error":true,"code":400,"type":"bad request","message":{"attribute":"id","description":"ID is incorrect"}}}`, "", source.Error{Status: 400, Code: "bad request", Message: "ID is incorrect", Attribute: "id"}},
		{"OneLogin, token", auth.KindOneLogin, 401, `{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}`, "", source.Error{Status: 401, Code: "Unauthorized", Message: "Authentication Failure"}},
		{"OneLogin, not found", auth.KindOneLogin, 404, `{"status":{"error":true,"code":404,"type":"not found","message":"Event for id 1 was not found"}}`, "", source.Error{Status: 404, Code: "not found", Message: "Event for id 1 was not found"}},
		{"OneLogin, an error under 200", auth.KindOneLogin, 200, `{"status":{"error":true,"code":500,"type":"x","message":"y"}}`, "", source.Error{Status: 500, Code: "x", Message: "y", Retry: true}},
		{"Fingerprint, request", auth.KindFingerprint, 400, `{"error":{"code":"request_cannot_be_parsed","message":"invalid limit"}}`, "", source.Error{Status: 400, Code: "request_cannot_be_parsed", Message: "invalid limit"}},
		{"Fingerprint, key", auth.KindFingerprint, 403, `{"error":{"code":"wrong_region","message":"x"}}`, "", source.Error{Status: 403, Code: "wrong_region", Message: "x"}},
		{"Fingerprint, not ready", auth.KindFingerprint, 409, `{"error":{"code":"state_not_ready","message":"resource is not mutable yet, try again"}}`, "", source.Error{Status: 409, Code: "state_not_ready", Message: "resource is not mutable yet, try again", Retry: true}},
		{"Fingerprint, too many", auth.KindFingerprint, 429, `{"error":{"code":"too_many_requests","message":"too many search requests"}}`, "7", source.Error{Status: 429, Code: "too_many_requests", Message: "too many search requests", Retry: true, RetryAfter: 7 * time.Second}},
		{"Fingerprint, gateway", auth.KindFingerprint, 504, `{"error":{"code":"failed","message":"gateway timeout"}}`, "", source.Error{Status: 504, Code: "failed", Message: "gateway timeout", Retry: true}},
		{"ID.me", auth.KindIDme, 403, `{"code":122,"message":"no account"}`, "", source.Error{Status: 403, Code: "122", Message: "no account"}},
		{"ID.me, a code as text", auth.KindIDme, 422, `{"code":"x","message":"y"}`, "", source.Error{Status: 422, Code: "x", Message: "y"}},
		{"no JSON", auth.KindIDme, 502, `<html>`, "3600000", source.Error{Status: 502, Retry: true, RetryAfter: time.Hour}},
		{"another form", auth.KindFingerprint, 500, `{"error":"x"}`, "-1", source.Error{Status: 500, Retry: true}},
		{"a redirect", auth.KindOneLogin, 302, ``, "", source.Error{Status: 302}},
		{"a text that is no line, and long", auth.KindIDme, 400, `{"message":"a\nb` + strings.Repeat("ä", 300) + `"}`, "", source.Error{Status: 400, Message: "a b" + strings.Repeat("ä", 126)}},
	} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		_, err := source.LookupOf(c.kind, &auth.VendorAPI{URL: vendorURL, Secret: "s"}, handled(handler)).Event(t.Context(), "1")
		var got *source.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want an *Error", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if c.want.Message != "" && !strings.HasSuffix(got.Error(), c.want.Message) {
			t.Errorf("%s: got %q, want the message in it", c.name, got)
		}
	}
}

// Retry-After may be a date (RFC 9110 §10.2.3).
func TestRetryAfterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := source.NewIDme(&auth.VendorAPI{URL: vendorURL, Secret: "s"}, handled(handler)).Event(t.Context(), "1")
		var got *source.Error
		if !errors.As(err, &got) || got.RetryAfter != 90*time.Second || !got.Retry {
			t.Errorf("got %+v, want 90 s", got)
		}
	})
}

// One event by its id, at each of the vendors.
func TestLookup(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	idme, onelogin, fingerprint := sourcetest.NewIDme("secret"), sourcetest.NewOneLogin("secret"), sourcetest.NewFingerprint("secret", time.Now)
	idme.Add(sourcetest.Event{ID: 5, JSON: `{"event":"session.signin"}`})
	onelogin.Add(sourcetest.OneLoginEvent(5, 8, at))
	fingerprint.Add(sourcetest.FingerprintEvent(5, at, ""))
	for _, c := range []struct {
		kind, path, id, unknown string
		vendor                  http.Handler
		want                    string
	}{
		{auth.KindIDme, "", "5", "6", idme, `{"event":"session.signin"}`},
		{auth.KindIDme, "", "5", "../5", idme, `{"event":"session.signin"}`},
		{auth.KindOneLogin, "/", "5", "6", onelogin, sourcetest.OneLoginEvent(5, 8, at).JSON},
		{auth.KindFingerprint, "/v4", "1772600767008.5", "1772600767008.6", fingerprint, sourcetest.FingerprintEvent(5, at, "").JSON},
	} {
		api := &auth.VendorAPI{URL: vendorURL + c.path, Secret: "secret"}
		lookup := source.LookupOf(c.kind, api, handled(c.vendor))
		got, err := lookup.Event(t.Context(), c.id)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s %v, want %s", c.kind, got, err, c.want)
		}
		var refused *source.Error
		if _, err := lookup.Event(t.Context(), c.unknown); !errors.As(err, &refused) || refused.Status != http.StatusNotFound || refused.Retry {
			t.Errorf("%s, unknown: got %v, want 404", c.kind, err)
		}
		wrong := source.LookupOf(c.kind, &auth.VendorAPI{URL: api.URL, Secret: "other"}, handled(c.vendor))
		if _, err := wrong.Event(t.Context(), c.id); !errors.As(err, &refused) || refused.Status < 401 || refused.Status > 403 || strings.Contains(err.Error(), "other") {
			t.Errorf("%s, wrong secret: got %v, want it refused, without the secret", c.kind, err)
		}
	}
}

// An answer that is not what is documented is an error, not a record.
func TestStrangeAnswers(t *testing.T) {
	for _, c := range []struct{ kind, body string }{
		{auth.KindIDme, `[]`},
		{auth.KindIDme, `{`},
		{auth.KindIDme, ``},
		{auth.KindOneLogin, `{"status":{},"data":[]}`},
		{auth.KindOneLogin, `{"data":[{},{}]}`},
		{auth.KindOneLogin, `{"data":{}}`},
		{auth.KindFingerprint, `null`},
		{auth.KindFingerprint, `{}{}`},
		{auth.KindFingerprint, strings.Repeat(" ", 8<<20) + `{}`},
	} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.body)) })
		got, err := source.LookupOf(c.kind, &auth.VendorAPI{URL: vendorURL, Secret: "s"}, handled(handler)).Event(t.Context(), "1")
		if err == nil || got != nil {
			t.Errorf("%s %.20q: got %s, want an error", c.kind, c.body, got)
		}
	}
}

// Pages end where the vendor says so; bounds are exclusive; limits are the API's.
func TestPages(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	onelogin := sourcetest.NewOneLogin("secret")
	fingerprint := sourcetest.NewFingerprint("secret", func() time.Time { return start.Add(time.Hour) })
	for i := range int64(250) {
		at := start.Add(time.Duration(i) * time.Second)
		onelogin.Add(sourcetest.OneLoginEvent(i, 8, at))
		fingerprint.Add(sourcetest.FingerprintEvent(i, at, ""))
	}
	for _, c := range []struct {
		name  string
		list  source.List
		limit int
		pages []int
	}{
		{"OneLogin", source.NewOneLogin(&auth.VendorAPI{URL: vendorURL, Secret: "secret"}, handled(onelogin)), 50, []int{50, 50, 50, 50, 49}},
		{"Fingerprint", source.NewFingerprint(&auth.VendorAPI{URL: vendorURL + "/v4", Secret: "secret"}, handled(fingerprint)), 100, []int{100, 100, 49}},
	} {
		if got := c.list.Limit(); got != c.limit {
			t.Errorf("%s: got limit %d, want %d", c.name, got, c.limit)
		}
		q := source.Query{Since: start, Limit: c.limit} // the first event is at start, and not after it
		var last time.Time
		for i, want := range c.pages {
			page, err := c.list.Events(t.Context(), q)
			if err != nil || len(page.Records) != want || (page.Next == "") != (i == len(c.pages)-1) {
				t.Fatalf("%s, page %d: got %d records, next %q, %v, want %d", c.name, i, len(page.Records), page.Next, err, want)
			}
			for _, r := range page.Records {
				if !r.Time.After(last) || !r.Time.After(start) || !json.Valid(r.JSON) {
					t.Fatalf("%s: got a record at %s after %s, want them in order after the start", c.name, r.Time, last)
				}
				last = r.Time
			}
			q.Cursor = page.Next
		}
		var refused *source.Error
		for name, wrong := range map[string]source.Query{
			"a limit too large": {Since: start, Limit: c.limit + 1},
			"an unknown cursor": {Since: start, Limit: 1, Cursor: "x"},
		} {
			if _, err := c.list.Events(t.Context(), wrong); !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || refused.Retry {
				t.Errorf("%s, %s: got %v, want 400", c.name, name, err)
			}
		}
	}
}

// The next link is read where there is no cursor, and never followed.
func TestNextLink(t *testing.T) {
	for link, want := range map[string]string{
		`"https://elsewhere.example/api/1/events?limit=50&after_cursor=a%2Bb"`: "a+b",
		`"https://elsewhere.example/?page=2"`:                                  "",
		`"::"`:                                                                 "",
		`null`:                                                                 "",
	} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "vendor.example" {
				t.Errorf("got a call of %s, want none", r.Host)
			}
			_, _ = w.Write([]byte(`{"status":{"error":false},"pagination":{"next_link":` + link + `},"data":[]}`))
		})
		page, err := source.NewOneLogin(&auth.VendorAPI{URL: vendorURL, Secret: "s"}, handled(handler)).Events(t.Context(), source.Query{Limit: 1})
		if err != nil || page.Next != want {
			t.Errorf("%s: got %q %v, want %q", link, page.Next, err, want)
		}
	}
}

// A client gets tokens, uses one for as long as it is good, and then another.
func TestOneLoginTokens(t *testing.T) {
	vendor := sourcetest.NewOneLogin("first")
	vendor.ClientID, vendor.Secret = "me", "secret"
	vendor.Add(sourcetest.OneLoginEvent(5, 8, time.Now()))
	o := source.NewOneLogin(&auth.VendorAPI{URL: vendorURL, ClientID: "me", Secret: "secret"}, handled(vendor))
	count := func() (n int) {
		for _, u := range vendor.Calls() {
			if u.Path == "/auth/oauth2/v2/token" {
				n++
			}
		}
		return n
	}
	for i, want := range []int{1, 1, 2, 2} {
		if i == 2 {
			vendor.Renew("second")
		}
		if _, err := o.Event(t.Context(), "5"); err != nil || count() != want {
			t.Errorf("call %d: got %v and %d tokens, want %d", i, err, count(), want)
		}
	}
	wrong := source.NewOneLogin(&auth.VendorAPI{URL: vendorURL, ClientID: "me", Secret: "x"}, handled(vendor))
	var refused *source.Error
	if _, err := wrong.Event(t.Context(), "5"); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("wrong secret: got %v, want 401", err)
	}
}

// OneLogin tells its types with the source's credential; the others have no such
// call, and an answer that is none is told.
func TestTypes(t *testing.T) {
	onelogin := sourcetest.NewOneLogin("old")
	onelogin.ClientID, onelogin.Secret = "me", "s"
	onelogin.Types = []string{`{"id":7,"name":"OUT","description":"%user% left"}`, `{"id":4242,"name":"NEW"}`}
	api := &auth.VendorAPI{URL: vendorURL, ClientID: "me", Secret: "s"}
	got, err := source.TypesOf(t.Context(), auth.KindOneLogin, api, handled(onelogin))
	want := []mapping.Type{
		{ID: "onelogin:7", Name: "OUT", Description: "%user% left", Events: []string{}},
		{ID: "onelogin:4242", Name: "NEW", Events: []string{}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, %s", err, diff)
	}
	for _, c := range onelogin.Calls() {
		if c.Path != "/auth/oauth2/v2/token" && c.Path != "/api/1/events/types" {
			t.Errorf("got a call of %s, want the types call alone", c.Path)
		}
	}
	onelogin.Fail(sourcetest.Fault{Status: 429, RetryAfter: "7", Body: `{"status":{"error":true,"code":429,"type":"x","message":"slow down"}}`})
	var refused *source.Error
	if _, err := source.TypesOf(t.Context(), auth.KindOneLogin, &auth.VendorAPI{URL: vendorURL, Secret: "old"}, handled(onelogin)); !errors.As(err, &refused) || refused.RetryAfter != 7*time.Second {
		t.Errorf("too many: got %v, want to wait 7 s", err)
	}
	onelogin.Types = []string{`{"name":"without an id"}`}
	if _, err := source.TypesOf(t.Context(), auth.KindOneLogin, api, handled(onelogin)); err == nil {
		t.Error("another form: got no error")
	}
	for _, kind := range []string{auth.KindIDme, auth.KindFingerprint} {
		if _, err := source.TypesOf(t.Context(), kind, api, handled(onelogin)); !errors.Is(err, source.ErrNoTypes) {
			t.Errorf("%s: got %v, want ErrNoTypes", kind, err)
		}
	}
}
