package source_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
)

// Whatever a vendor answers, it is records, or an error of one short line that says what
// the status was; nothing of it is believed beyond its bounds.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"status":{"error":false,"code":200},"pagination":{"after_cursor":"c"},"data":[{"id":1,"created_at":"2014-02-18T02:34:15.626Z"}]}`,
		`{"status":{"error":true,"code":400,"type":"bad","message":{"attribute":"a","description":"d\u0000\n"}}}`, `{"pagination":{"next_link":"https://evil.example/?after_cursor=x%zz"},"data":[null,1,"x"]}`,
		`{"events":[{"timestamp":1700000000000},{"timestamp":-1},7],"pagination_key":"k"}`, `{"error":{"code":"TooMany","message":"m"}}`, `{"access_token":"t","expires_in":1e300}`, `{"access_token":"t","expires_in":-5}`, `{"event_id":"e"}`, `[]`, "\xff", `{"data":[{"event_type_id":1,"name":"x"}]}`,
	} {
		f.Add(uint16(200), "", []byte(seed))
		f.Add(uint16(429), "120", []byte(seed))
		f.Add(uint16(500), "Thu, 01 Jan 2099 00:00:00 GMT", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status uint16, retry string, body []byte) {
		if status < 200 || status > 599 || status/100 == 3 {
			return
		}
		client := handled(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Retry-After"] = []string{retry}
			w.WriteHeader(int(status))
			_, _ = w.Write(body)
		}))
		api := &auth.VendorAPI{URL: "https://v.example/", Secret: "secret-of-ours", ClientID: "client"}
		lists := []source.List{source.NewOneLogin(api, client), source.NewFingerprint(api, client)}
		for _, list := range lists {
			page, err := list.Events(t.Context(), source.Query{Since: time.UnixMilli(1), Limit: 10})
			judge(t, err, len(page.Records) > 0 || page.Next != "")
			for _, r := range page.Records {
				if !r.Time.IsZero() && (r.Time.Year() < -1 || len(r.JSON) == 0) {
					t.Fatalf("%q: got %+v", body, r)
				}
			}
		}
		for _, kind := range []string{auth.KindOneLogin, auth.KindFingerprint, auth.KindIDme} {
			record, err := source.LookupOf(kind, api, client).Event(t.Context(), "../x?y")
			judge(t, err, record != nil)
			if err == nil && utf8.Valid(record) && !json.Valid(record) {
				t.Fatalf("%s: got %q", kind, record)
			}
		}
		types, err := source.TypesOf(t.Context(), auth.KindOneLogin, api, client)
		judge(t, err, types != nil)
	})
}

func judge(t *testing.T, err error, got bool) {
	t.Helper()
	if err == nil {
		return
	}
	if got {
		t.Fatalf("got something beside %v", err)
	}
	var e *source.Error
	if errors.As(err, &e) && (e.RetryAfter < 0 || e.RetryAfter > time.Hour) {
		t.Fatalf("got %+v", e)
	}
	if text := err.Error(); len(text) > 1200 || strings.ContainsAny(text, "\n\r\x00\x1b") || strings.Contains(text, "secret-of-ours") {
		t.Fatalf("got %q", text)
	}
}
