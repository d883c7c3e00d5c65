package profile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

func TestParse(t *testing.T) {
	apple := profile.Profile{
		Form: set.Form{AudienceList: true}, EmptyEvents: true, FormerDelivery: true, SubjectFormat: "email",
	}
	moved := apple
	moved.Form.Subject, moved.EmptyEvents = set.PlaceEvent, false
	for text, want := range map[string]profile.Profile{
		"":                                   {},
		"apple":                              apple,
		"apple,subject=event,events=whole":   moved,
		"okta,complex=format":                {Form: set.Form{Subject: set.PlaceEvent}, SubjectFormat: "email"},
		"timestamps=milliseconds,aud=list":   {Milliseconds: true, Form: set.Form{AudienceList: true}},
		"login.gov,errors=current":           {Form: set.Form{Subject: set.PlaceEvent, FormerNames: true}},
		"errors=former":                      {FormerErrors: true},
		"typ=JWT":                            {Type: profile.TypeJWT},
		"typ=JWT,typ=secevent+jwt":           {},
		"identifiers=former,delivery=former": {Form: set.Form{FormerNames: true}, FormerDelivery: true},
	} {
		got, err := profile.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -want +got\n%s", text, diff)
		}
	}
}

// A text that is wrong is refused, and the error says what there is.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"Okta":                   "okta",
		"okta,apple":             "only the first part",
		"okta,":                  "only the first part",
		"subject=here":           "sub_id, event, both",
		"place=event":            "subject",
		"typ=at+jwt":             "JWT",
		strings.Repeat("a", 257): "longer",
	} {
		_, err := profile.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

// Every name is a profile that departs from the current form.
func TestNames(t *testing.T) {
	for _, name := range profile.Names() {
		if p, err := profile.Parse(name); err != nil || p == (profile.Profile{}) {
			t.Errorf("%s: got %+v, %v, want a profile", name, p, err)
		}
	}
}

func TestApply(t *testing.T) {
	const payload = `{"z":1.50,"event_timestamp":1700000000,"a":{"b":[]}}`
	for _, tt := range []struct {
		name, text, payload string
		control             bool
		want                string
		nameless            bool
	}{
		{"current", "", payload, false, payload, false},
		{"milliseconds", "timestamps=milliseconds", payload, false, `{"a":{"b":[]},"event_timestamp":1700000000000,"z":1.50}`, false},
		{"milliseconds, of an event without a time", "timestamps=milliseconds", `{"a":1}`, false, `{"a":1}`, false},
		{"milliseconds, of what is no object", "timestamps=milliseconds", `[]`, false, `[]`, false},
		{"empty", "events=empty", payload, false, "", false},
		{"empty, of stream management", "events=empty", `{"state":"x"}`, true, `{"state":"x"}`, false},
		{"nameless", "complex=nameless", payload, false, payload, true},
		{"nameless, of stream management", "complex=nameless", payload, true, payload, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := profile.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			b := set.Builder{Event: set.Event{Payload: []byte(tt.payload)}}
			p.Apply(&b, tt.control)
			if string(b.Event.Payload) != tt.want || b.Form.Nameless != tt.nameless {
				t.Errorf("got %s, nameless %v, want %s, %v", b.Event.Payload, b.Form.Nameless, tt.want, tt.nameless)
			}
		})
	}
}
