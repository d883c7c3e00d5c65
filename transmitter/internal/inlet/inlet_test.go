package inlet_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/inlet"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// vendors is a source of each kind, by its name.
type vendors struct{}

func (vendors) AdmitVendor(_ context.Context, name string, _ http.Header) (auth.VendorSource, error) {
	if name == "nobody" {
		return auth.VendorSource{}, auth.ErrNotFound
	}
	return auth.VendorSource{Source: auth.Source{Name: name}, Kind: name}, nil
}

// SignedByVendor is of no source here: none is signed.
func (vendors) SignedByVendor(context.Context, string, http.Header, []byte) (bool, error) {
	return false, auth.ErrNotFound
}

// post sends a body to a kind's source and returns the pieces that were taken.
func post(kind, body string) (pieces []json.RawMessage, status int, err error) {
	h := inlet.Handler{
		Sources: vendors{}, Refusing: func() bool { return false },
		Take: func(_ context.Context, _ *auth.VendorSource, records []json.RawMessage) (ingest.Counts, error) {
			pieces = records
			return ingest.Counts{Kept: len(records)}, nil
		},
	}
	w := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), w)
	c.SetParamNames("name")
	c.SetParamValues(kind)
	err = h.Post(c)
	return pieces, w.Code, err
}

// What each vendor sends comes apart as it is documented, byte for byte.
func TestPieces(t *testing.T) {
	const a, b = `{"a": 1}`, `{"b":[{}, "\n"]}`
	for _, c := range []struct {
		name, kind, body string
		want             []string
		refused          string
	}{
		{"ID.me, one", auth.KindIDme, " " + a + "\n", []string{a}, ""},
		{"ID.me, an array", auth.KindIDme, "[" + a + " , " + b + "]", []string{a, b}, ""},
		{"ID.me has no lines", auth.KindIDme, a + "\n" + b, []string{a + "\n" + b}, ""}, // no record: refused when it is judged
		{"OneLogin, an array", auth.KindOneLogin, "[" + a + "," + b + "]", []string{a, b}, ""},
		{"OneLogin, lines", auth.KindOneLogin, a + "\r\n\n" + b + "\n", []string{a, b}, ""},
		{"OneLogin, one over several lines", auth.KindOneLogin, "{\n\"a\": 1\n}", []string{"{\n\"a\": 1\n}"}, ""},
		{"Fingerprint", auth.KindFingerprint, a, []string{a}, ""},
		{"Fingerprint, an array", auth.KindFingerprint, "[" + a + "]", nil, "the body is not one event, a JSON object"},
		{"an array that ends early", auth.KindIDme, "[" + a, nil, "the body is not JSON"},
		{"an array with more behind", auth.KindIDme, "[" + a + "]1", nil, "something follows the array"},
		{"empty", auth.KindIDme, "", nil, "the body is empty"},
	} {
		got, _, err := post(c.kind, c.body)
		var wrong *request.Error
		if errors.As(err, &wrong) != (c.refused != "") || c.refused != "" && wrong.Description != c.refused {
			t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if string(got[i]) != c.want[i] {
				t.Errorf("%s, piece %d: got %s, want %s", c.name, i, got[i], c.want[i])
			}
		}
	}
	if _, _, err := post("nobody", a); err == nil {
		t.Error("unknown source: got no error")
	}
}

// FuzzPost: a body is refused, or comes apart into bounded pieces; an array into
// as many as it has elements.
func FuzzPost(f *testing.F) {
	for _, body := range []string{"", "{}", "[{},1]", "{}\n{}", "[", "[]", "{\n}", "[1]{", "\xff", "[[[[", `{"a":1,"a":2}`, `["` + "\xff" + `"]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, kind := range []string{auth.KindIDme, auth.KindOneLogin, auth.KindFingerprint} {
			pieces, status, err := post(kind, body)
			var wrong *request.Error
			if err != nil && !errors.As(err, &wrong) || err == nil && status != http.StatusAccepted {
				t.Fatalf("%s %q: got %d %v, want 202 or a refusal", kind, body, status, err)
			}
			if len(pieces) > ingest.MaxItems || err != nil && pieces != nil {
				t.Fatalf("%s %q: got %d pieces with %v", kind, body, len(pieces), err)
			}
			var array []json.RawMessage
			if kind != auth.KindFingerprint && err == nil && json.Unmarshal([]byte(body), &array) == nil && array != nil && len(array) != len(pieces) {
				t.Fatalf("%s %q: got %d pieces, want %d", kind, body, len(pieces), len(array))
			}
		}
	})
}
