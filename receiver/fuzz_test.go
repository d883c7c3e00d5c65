package receiver_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Whatever is posted to the push endpoint is answered as RFC 8935 has it, and taken only
// if the issuer signed it for us: claims of the fuzzer's are signed as they are, and also
// put into a token that is not.
func FuzzPush(f *testing.F) {
	good, err := builder("1").Claims()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", delivery.MediaType, set.HeaderType, string(good), true)
	f.Add("POST", delivery.MediaType+"; charset=utf-8", "JWT", string(good), true)
	f.Add("POST", "application/json", "", "{}", false)
	f.Add("GET", delivery.MediaType, set.HeaderType, string(good), true)
	f.Add("POST", delivery.MediaType, set.HeaderType, strings.Replace(string(good), issuer, "https://other.example", 1), true)
	f.Add("POST", delivery.MediaType, set.HeaderType, `{"iss":"`+issuer+`","aud":7,"events":[]}`, true)
	f.Add("POST", delivery.MediaType, "", "a.b.c", false)
	r := build(f, config(f, f.TempDir()))
	f.Fuzz(func(t *testing.T, method, media, typ, body string, signed bool) {
		posted := body
		if signed = signed && typ != ""; signed {
			posted = signClaims(t, body, transmitterKey(), typ)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", strings.NewReader(posted))
		req.Method = method
		req.Header["Content-Type"] = []string{media}
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		switch w.Code {
		case http.StatusAccepted:
			var c struct {
				Iss, Jti string
				Events   map[string]json.RawMessage
			}
			if !signed || method != http.MethodPost || w.Body.Len() > 0 || json.Unmarshal([]byte(body), &c) != nil || c.Iss != issuer || c.Jti == "" || len(c.Events) == 0 {
				t.Fatalf("%s %q: got it taken", method, body)
			}
		case http.StatusBadRequest:
			failure, ok := delivery.ParseFailure(w.Body.Bytes())
			if !ok || !failure.Err.Known() {
				t.Fatalf("%q: got %s", body, w.Body)
			}
		case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge:
			if w.Body.Len() > 0 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		default:
			t.Fatalf("%s %q %q: got %d %s", method, media, body, w.Code, w.Body)
		}
	})
}

// What is read without being verified is a delivery with an event, a subject and a scope
// of it, or refused for its form; what verifies reads as the same.
func FuzzRead(f *testing.F) {
	compact := sign(f, builder("1"))
	f.Add([]byte(compact))
	f.Add([]byte(compact[:len(compact)-1]))
	f.Add([]byte("a.b.c"))
	r := build(f, config(f, f.TempDir()))
	f.Fuzz(func(t *testing.T, compact []byte) {
		d, err := r.Read(compact)
		if err != nil {
			var refusal *set.Error
			if !errors.As(err, &refusal) || !refusal.Code.Known() || d.ID != "" {
				t.Fatalf("%q: got %v, %v", compact, d, err)
			}
			return
		}
		if d.Type == "" || d.Subject.IsZero() || d.EventTime.IsZero() {
			t.Fatalf("%q: got %+v", compact, d)
		}
		for _, member := range receiver.ScopeOf(d.Subject) {
			if len(member.Identifiers) == 0 {
				t.Fatalf("%q: got scope %v", compact, member)
			}
		}
	})
}
