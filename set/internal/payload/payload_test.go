package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// all has a member of every kind.
type all struct {
	Text    string
	Given   *string
	At      time.Time
	Reasons map[string]string
	Methods []string
	Object  map[string]json.RawMessage
	Extra   map[string]json.RawMessage
}

func (a *all) members() []payload.Member {
	return []payload.Member{
		payload.Required("text", &a.Text, "a", "b"),
		payload.Optional("given", &a.Given),
		payload.Optional("at", &a.At),
		payload.Optional("reasons", &a.Reasons),
		payload.Optional("methods", &a.Methods),
		payload.Optional("object", &a.Object),
	}
}

// CAEP-2-01, U25, L13: seconds, with a fraction or as milliseconds; the future
// is no reason to refuse.
func TestTimestamps(t *testing.T) {
	cases := []struct {
		json string
		want time.Time // zero: goes to the unknown members
		send bool      // whether a transmitter may send it
	}{
		{`1615304991`, time.Unix(1615304991, 0), true},
		{`0`, time.Unix(0, 0), true},
		{`-1`, time.Unix(-1, 0), true},
		{`1615304991.25`, time.Unix(1615304991, 250e6), true},
		{`1.615304991e9`, time.Unix(1615304991, 0), true},
		{`99999999999`, time.Unix(99999999999, 0), true}, // the year 5138
		{`100000000000`, time.Unix(100000000000, 0), true},
		{`1615304991123`, time.Unix(1615304991, 123e6), false},
		{`100000000001`, time.Unix(100000000, 1e6), false},
		{`1e400`, time.Time{}, false},
		{`1e300`, time.Time{}, false},
		{`"1615304991"`, time.Time{}, false},
		{`null`, time.Time{}, false},
		{`{}`, time.Time{}, false},
	}
	for _, c := range cases {
		data := []byte(`{"text":"a","at":` + c.json + `}`)
		var a all
		if err := payload.Decode(data, a.members(), &a.Extra); err != nil {
			t.Errorf("%s: got %v, want nil", c.json, err)
		}
		if !a.At.Equal(c.want) || !c.want.IsZero() && a.At.Location() != time.UTC {
			t.Errorf("%s: got %v, want %v in UTC", c.json, a.At, c.want)
		}
		if kept := string(a.Extra["at"]); c.want.IsZero() && kept != c.json {
			t.Errorf("%s: got %q kept, want it as it came", c.json, kept)
		}
		if err := payload.Check(data, new(all).members()); (err == nil) != c.send {
			t.Errorf("%s: got %v, want sendable %v", c.json, err, c.send)
		}
		at, ok := payload.Time(data, "at")
		if ok == c.want.IsZero() || !at.Equal(c.want) {
			t.Errorf("Time of %s: got %v, %v, want %v", c.json, at, ok, c.want)
		}
	}
	if at, ok := payload.Time([]byte(`{"at":1`), "at"); ok || !at.IsZero() {
		t.Errorf("Time of broken JSON: got %v, %v, want none", at, ok)
	}
}

// CAEP-2-03, U25: texts by language tag.
func TestReasons(t *testing.T) {
	cases := []struct {
		json string
		want map[string]string // nil: goes to the unknown members
		send bool
	}{
		{`{"en":"x"}`, map[string]string{"en": "x"}, true},
		{`{"en":"x","es-410":"y","zh-Hant-TW":"z","x-private":"p"}`, map[string]string{"en": "x", "es-410": "y", "zh-Hant-TW": "z", "x-private": "p"}, true},
		{`{"en":""}`, map[string]string{"en": ""}, true},
		{`{}`, map[string]string{}, false},
		{`"x"`, map[string]string{"und": "x"}, false},
		{`{"en us":"x"}`, map[string]string{"en us": "x"}, false},
		{`{"en_US":"x"}`, map[string]string{"en_US": "x"}, false},
		{`{"-":"x"}`, map[string]string{"-": "x"}, false},
		{`{"englishes9":"x"}`, map[string]string{"englishes9": "x"}, false},
		{`{"` + strings.Repeat("ab-", 12) + `":"x"}`, map[string]string{strings.Repeat("ab-", 12): "x"}, false},
		{`{"en":1}`, nil, false},
		{`["x"]`, nil, false},
	}
	for _, c := range cases {
		data := []byte(`{"text":"a","reasons":` + c.json + `}`)
		var a all
		if err := payload.Decode(data, a.members(), &a.Extra); err != nil {
			t.Errorf("%s: got %v, want nil", c.json, err)
		}
		if !reflect.DeepEqual(a.Reasons, c.want) {
			t.Errorf("%s: got %v, want %v", c.json, a.Reasons, c.want)
		}
		if kept := string(a.Extra["reasons"]); c.want == nil && kept != c.json {
			t.Errorf("%s: got %q kept, want it as it came", c.json, kept)
		}
		if err := payload.Check(data, new(all).members()); (err == nil) != c.send {
			t.Errorf("%s: got %v, want sendable %v", c.json, err, c.send)
		}
	}
}

// L13: one string stands for an array of one.
func TestStrings(t *testing.T) {
	cases := []struct {
		json string
		want []string
		send bool
	}{
		{`["pwd","otp"]`, []string{"pwd", "otp"}, true},
		{`[]`, []string{}, true},
		{`"pwd"`, []string{"pwd"}, false},
		{`["pwd",1]`, nil, false},
		{`{"a":"b"}`, nil, false},
		{`[["pwd"]]`, nil, false},
	}
	for _, c := range cases {
		data := []byte(`{"text":"a","methods":` + c.json + `}`)
		var a all
		if err := payload.Decode(data, a.members(), &a.Extra); err != nil || !reflect.DeepEqual(a.Methods, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.json, a.Methods, err, c.want)
		}
		if err := payload.Check(data, new(all).members()); (err == nil) != c.send {
			t.Errorf("%s: got %v, want sendable %v", c.json, err, c.send)
		}
	}
}

// An absent text and an empty one are not the same (SSF-8.1.4.2-02).
func TestGiven(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`{"text":"a"}`, `{"text":"a"}`}, {`{"text":"a","given":""}`, `{"text":"a","given":""}`},
	} {
		var a all
		if err := payload.Decode([]byte(c.json), a.members(), &a.Extra); err != nil {
			t.Fatal(err)
		}
		if got, err := payload.Encode(a.members(), a.Extra); err != nil || string(got) != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
}

func TestEncode(t *testing.T) {
	given := "<&>"
	a := all{
		Text: "b", Given: &given, At: time.Unix(1, 500e6), Reasons: map[string]string{"z": "1", "a": "2"},
		Object: map[string]json.RawMessage{"n": json.RawMessage("12345678901234567890")},
		Extra:  map[string]json.RawMessage{"y": json.RawMessage(`[1]`), "b": json.RawMessage(`null`), "text": json.RawMessage(`"hidden"`), "methods": json.RawMessage(`17`)},
	}
	const want = `{"text":"b","given":"\u003c\u0026\u003e","at":1.5,"reasons":{"a":"2","z":"1"},"object":{"n":12345678901234567890},"b":null,"methods":17,"y":[1]}`
	if got, err := payload.Encode(a.members(), a.Extra); err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	for name, broken := range map[string]all{
		"unknown member": {Text: "a", Extra: map[string]json.RawMessage{"x": json.RawMessage("{")}},
		"object member":  {Text: "a", Object: map[string]json.RawMessage{"x": json.RawMessage("{")}},
	} {
		if got, err := payload.Encode(broken.members(), broken.Extra); err == nil || got != nil {
			t.Errorf("%s: got %s, %v, want an error alone", name, got, err)
		}
		if err := payload.Validate(broken.members(), broken.Extra); !errors.Is(err, payload.ErrType) {
			t.Errorf("%s: got %v, want %v", name, err, payload.ErrType)
		}
	}
}

// Bounds: the text's length, and a depth that no reader should follow.
func TestBounds(t *testing.T) {
	long := []byte(`{"text":"a","x":"` + strings.Repeat("x", payload.MaxBytes) + `"}`)
	deep := []byte(`{"text":"a","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`)
	for name, data := range map[string][]byte{"long": long, "deep": deep} {
		var a all
		if err := payload.Decode(data, a.members(), &a.Extra); !errors.Is(err, payload.ErrType) {
			t.Errorf("%s: got %v, want %v", name, err, payload.ErrType)
		}
	}
}

// SEC-04: an error names the member and never what it holds.
func TestErrorText(t *testing.T) {
	for _, data := range []string{
		`{"text":"secret@example.com"}`, `{"text":"a","secret@example.com":1,"secret@example.com":1}`,
		`{"text":"a","reasons":{"en":{"secret@example.com":}}}`, `{"text":"a","at":"secret@example.com"}`,
	} {
		err := payload.Check([]byte(data), new(all).members())
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without the value", data, err)
		}
	}
}

// The law: what a transmitter may send, a receiver reads whole; what is read and
// written again says the same, and reading that changes nothing more; a payload
// that cannot be read is refused by every check.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"text":"a"}`, `{"text":"b","given":"","at":1.5,"reasons":{"en":"x"},"methods":["a"],"object":{"a":1},"x":null}`,
		`{"text":"a","at":1615304991123,"reasons":"x","methods":"y"}`, `{"text":1}`, `{"text":"a","text":"b"}`, `{"\u0074ext":"a"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b all
		err := payload.Decode(data, a.members(), &a.Extra)
		if strict := payload.Check(data, new(all).members()); err != nil {
			if strict == nil || payload.Acceptable(data, new(all).members()) == nil {
				t.Fatalf("%s: refused by Decode alone", data)
			}
			return
		}
		once, err := payload.Encode(a.members(), a.Extra)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if err := payload.Decode(once, b.members(), &b.Extra); err != nil {
			t.Fatalf("%s, written %s: %v", data, once, err)
		}
		twice, err := payload.Encode(b.members(), b.Extra)
		if far := a.At.Unix() > 1e11 || a.At.Unix() < -1e11; far {
			return // written in seconds, such a time reads as milliseconds
		}
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s: got %s, %v, want %s", data, twice, err, once)
		}
	})
}
