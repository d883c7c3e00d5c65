package set_test

import (
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Older and narrower forms of one SET, as the receivers of interop want them.
func TestForm(t *testing.T) {
	user := subject.IssSub("https://idp", "1")
	whole, err := subject.Complex(map[string]subject.Identifier{"user": user, "session": subject.Opaque("s")})
	if err != nil {
		t.Fatal(err)
	}
	own, err := subject.Parse([]byte(`{"format":"x_y","a":{"format":"iss_sub","b":[1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		form    set.Form
		subject subject.Identifier
		payload string
		want    string // behind iat
	}{
		{"current", set.Form{}, user, `{"a":1}`, `"aud":"r","sub_id":{"format":"iss_sub","iss":"https://idp","sub":"1"},"events":{"urn:e":{"a":1}}}`},
		{"list of one", set.Form{AudienceList: true}, user, `{}`, `"aud":["r"],"sub_id":{"format":"iss_sub","iss":"https://idp","sub":"1"},"events":{"urn:e":{}}}`},
		{"in the event", set.Form{Subject: set.PlaceEvent}, user, `{"a":1}`, `"aud":"r","events":{"urn:e":{"subject":{"format":"iss_sub","iss":"https://idp","sub":"1"},"a":1}}}`},
		{"in an empty event", set.Form{Subject: set.PlaceEvent}, user, ` { } `, `"aud":"r","events":{"urn:e":{"subject":{"format":"iss_sub","iss":"https://idp","sub":"1"}}}}`},
		{"in no event at all", set.Form{Subject: set.PlaceEvent}, user, ``, `"aud":"r","events":{"urn:e":{"subject":{"format":"iss_sub","iss":"https://idp","sub":"1"}}}}`},
		{"both", set.Form{Subject: set.PlaceBoth}, subject.Email("a@b.example"), `{"a":1}`, `"aud":"r","sub_id":{"format":"email","email":"a@b.example"},"events":{"urn:e":{"subject":{"format":"email","email":"a@b.example"},"a":1}}}`},
		{"nameless, simple", set.Form{Subject: set.PlaceEvent, Nameless: true}, user, `{}`, `"aud":"r","events":{"urn:e":{"subject":{"user":{"format":"iss_sub","iss":"https://idp","sub":"1"}}}}}`},
		{"nameless, complex", set.Form{Nameless: true}, whole, `{}`, `"aud":"r","sub_id":{"session":{"format":"opaque","id":"s"},"user":{"format":"iss_sub","iss":"https://idp","sub":"1"}},"events":{"urn:e":{}}}`},
		{"former names", set.Form{FormerNames: true}, user, `{}`, `"aud":"r","sub_id":{"subject_type":"iss-sub","iss":"https://idp","sub":"1"},"events":{"urn:e":{}}}`},
		{"former names, nameless", set.Form{FormerNames: true, Nameless: true}, whole, `{}`, `"aud":"r","sub_id":{"session":{"subject_type":"opaque","id":"s"},"user":{"subject_type":"iss-sub","iss":"https://idp","sub":"1"}},"events":{"urn:e":{}}}`},
		{"former names, aliases", set.Form{FormerNames: true}, subject.Aliases(user, subject.Phone("+1555")), `{}`, `"aud":"r","sub_id":{"subject_type":"aliases","identifiers":[{"subject_type":"iss-sub","iss":"https://idp","sub":"1"},{"subject_type":"phone-number","phone_number":"+1555"}]},"events":{"urn:e":{}}}`},
		{"former names, a format of one's own", set.Form{FormerNames: true}, own, `{}`, `"aud":"r","sub_id":{"subject_type":"x_y","a":{"format":"iss_sub","b":[1]}},"events":{"urn:e":{}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := set.Builder{
				Issuer: "i", ID: "j", Audience: []string{"r"}, IssuedAt: time.Unix(1, 0), Subject: tt.subject,
				Event: set.Event{Type: "urn:e"}, Form: tt.form,
			}
			if tt.payload != "" {
				b.Event.Payload = []byte(tt.payload)
			}
			claims, err := b.Claims()
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"iss":"i","jti":"j","iat":1,` + tt.want; string(claims) != want {
				t.Errorf("got  %s\nwant %s", claims, want)
			}
		})
	}
}

// A SET never names two subjects in one place.
func TestFormOfAPayloadWithASubject(t *testing.T) {
	b := set.Builder{
		Issuer: "i", ID: "j", Audience: []string{"r"}, IssuedAt: time.Unix(1, 0), Subject: subject.Opaque("1"),
		Event: set.Event{Type: "urn:e", Payload: []byte(`{"subject":{}}`)}, Form: set.Form{Subject: set.PlaceEvent},
	}
	if claims, err := b.Claims(); err == nil {
		t.Errorf("got %s, want an error", claims)
	}
	b.Form = set.Form{}
	if _, err := b.Claims(); err != nil {
		t.Errorf("in the current form: got %v, want none", err)
	}
}
