package delivery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// PUSH-2.4-01: the codes are case-sensitive, unknown ones are coped with.
func TestParseFailure(t *testing.T) {
	long := strings.Repeat("é", delivery.MaxDescriptionBytes)
	cases := []struct {
		name, body string
		want       delivery.Failure
		ok         bool
	}{
		{
			"RFC 8935 §2.4 example", `{"err":"authentication_failed","description":"Access token has expired."}`,
			delivery.Failure{Err: delivery.CodeAuthenticationFailed, Description: "Access token has expired."},
			true,
		},
		{"no description", `{"err":"invalid_key"}`, delivery.Failure{Err: delivery.CodeInvalidKey}, true},
		{"unknown code and members", `{"x":[{}],"err":"setData","y":1}`, delivery.Failure{Err: "setData"}, true},
		{"case is kept", `{"err":"Invalid_Key"}`, delivery.Failure{Err: "Invalid_Key"}, true},
		{"duplicate: last wins", `{"err":"a","err":"b"}`, delivery.Failure{Err: "b"}, true},
		{"description not a string", `{"err":"a","description":{"en":"x"}}`, delivery.Failure{Err: "a"}, true},
		{
			"description cut on a rune", `{"err":"a","description":"x` + long + `"}`,
			delivery.Failure{Err: "a", Description: "x" + long[:delivery.MaxDescriptionBytes-2]},
			true,
		},
		{"broken UTF-8 replaced", "{\"err\":\"a\",\"description\":\"\xff\"}", delivery.Failure{Err: "a", Description: "\uFFFD"}, true},
		{"err not a string", `{"err":1}`, delivery.Failure{}, false},
		{"no err", `{"error":"invalid_key"}`, delivery.Failure{}, false},
		{"no object", `["err"]`, delivery.Failure{}, false},
		{"html", `<html>`, delivery.Failure{}, false},
		{"empty", ``, delivery.Failure{}, false},
		{"cut off", `{"err":"a"`, delivery.Failure{}, false},
		{"trailing", `{"err":"a"} x`, delivery.Failure{}, false},
		{"too large", `{"err":"a"}` + strings.Repeat(" ", delivery.MaxFailureBytes), delivery.Failure{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := delivery.ParseFailure([]byte(c.body))
			if got != c.want || ok != c.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestCodeKnown(t *testing.T) {
	for _, c := range []delivery.Code{
		"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience",
		"authentication_failed", "access_denied", "invalid_state",
	} {
		if !c.Known() {
			t.Errorf("%q: got unknown, want known", c)
		}
	}
	if c := delivery.Code("Invalid_Request"); c.Known() {
		t.Errorf("%q: got known, want unknown", c)
	}
}

// PUSH-2.3-01.
func TestFailureJSON(t *testing.T) {
	got, err := json.Marshal(delivery.Failure{Err: delivery.CodeInvalidIssuer, Description: "who?"})
	if want := `{"err":"invalid_issuer","description":"who?"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func FuzzParseFailure(f *testing.F) {
	f.Add([]byte(`{"err":"invalid_key","description":"x"}`))
	f.Add([]byte(`{"err":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := delivery.ParseFailure(body)
		if !ok {
			if got != (delivery.Failure{}) {
				t.Fatalf("refused body: got %+v, want zero", got)
			}
			return
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := delivery.ParseFailure(out); !ok || again != got {
			t.Fatalf("got %+v, %v, want %+v", again, ok, got)
		}
	})
}
