package subject_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// verdict says which of the two parsers accepts a text.
type verdict int

const (
	neither verdict = iota
	lenient         // Parse alone
	both
)

func TestParse(t *testing.T) {
	email := func(s string) string { return `{"format":"email","email":` + s + `}` }
	phone := func(s string) string { return `{"format":"phone_number","phone_number":"` + s + `"}` }
	uri := func(s string) string { return `{"format":"uri","uri":"` + s + `"}` }
	did := func(s string) string { return `{"format":"did","url":"` + s + `"}` }
	acct := func(s string) string { return `{"format":"account","uri":"` + s + `"}` }
	ips := func(s string) string { return `{"format":"ip-addresses","ip-addresses":` + s + `}` }
	complexOf := func(s string) string { return `{"format":"complex",` + s + `}` }
	for _, c := range []struct {
		name, raw string
		want      verdict
	}{
		{"SUBJ-3-01 no object", `"x"`, neither},
		{"SUBJ-3-01 array", `[]`, neither},
		{"SUBJ-3-01 null", `null`, neither},
		{"SUBJ-3-01 empty text", ``, neither},
		{"SUBJ-3-01 broken", `{"format":"email"`, neither},
		{"SUBJ-3-01 two values", `{"format":"opaque","id":"x"}{}`, neither},
		{"SUBJ-3-01 no format", `{"email":"a@example.com"}`, neither},
		{"SUBJ-3-01 format no string", `{"format":1}`, neither},
		{"SUBJ-3-01 format empty", `{"format":""}`, neither},
		{"SUBJ-3-01 name twice", `{"format":"opaque","id":"x","id":"y"}`, neither},
		{"SUBJ-3-01 name twice by escape", `{"format":"opaque","id":"x","\u0069d":"y"}`, neither},
		{"SUBJ-3-01 not UTF-8", "{\"format\":\"opaque\",\"id\":\"\xff\"}", neither},
		{"SUBJ-3-01 lone surrogate", `{"format":"opaque","id":"\ud800"}`, neither},
		{"SUBJ-3-01 U3 undescribed member", `{"format":"opaque","id":"x","extra":true}`, lenient},
		{"SUBJ-3-01 white space", " {\n\t\"format\" : \"opaque\" , \"id\" : \"x\" } ", both},
		{"SUBJ-3-01 case matters", `{"Format":"opaque","id":"x"}`, neither},
		{"SUBJ-3-02 unknown format", `{"format":"catalog_item","catalog_id":"c"}`, both},
		{"SUBJ-3-02 unknown format, any JSON", `{"format":"x","a":[1,{"b":null}],"c":-1.5e3}`, both},
		{"SUBJ-3-02 number out of range", `{"format":"x","a":1e9999999999}`, neither},
		{"SUBJ-3.2.1-01", acct("acct:example.user@service.example.com"), both},
		{"SUBJ-3.2.1-01 other scheme", acct("mailto:a@example.com"), neither},
		{"SUBJ-3.2.1-01 no host", acct("acct:a@"), neither},
		{"SUBJ-3.2.1-01 no user", acct("acct:@example.com"), neither},
		{"SUBJ-3.2.1-01 missing", `{"format":"account"}`, neither},
		{"SUBJ-3.2.2-01", email(`"user@example.com"`), both},
		{"SUBJ-3.2.2-01 plus and dots", email(`"a.b+c@mail.example.com"`), both},
		{"SUBJ-3.2.2-01 quoted", email(`"\"a b\\\"c\"@example.com"`), both},
		{"SUBJ-3.2.2-01 literal", email(`"a@[192.0.2.1]"`), both},
		{"SUBJ-3.2.2-01 beyond ASCII", email(`"jörg@exämple.com"`), both},
		{"SUBJ-3.2.2-01 empty", email(`""`), neither},
		{"SUBJ-3.2.2-01 no string", email(`5`), neither},
		{"SUBJ-3.2.2-01 missing", `{"format":"email"}`, neither},
		{"SUBJ-3.2.2-01 angle brackets", email(`"<a@example.com>"`), neither},
		{"SUBJ-3.2.2-01 display name", email(`"A <a@example.com>"`), neither},
		{"SUBJ-3.2.2-01 comment", email(`"a@example.com (x)"`), neither},
		{"SUBJ-3.2.2-01 no at", email(`"example.com"`), neither},
		{"SUBJ-3.2.2-01 no domain", email(`"a@"`), neither},
		{"SUBJ-3.2.2-01 two dots", email(`"a..b@example.com"`), neither},
		{"SUBJ-3.2.2-01 open quote", email(`"\"a@example.com"`), neither},
		{"SUBJ-3.2.2-01 broken quote", email(`"\"a\"b\"@example.com"`), neither},
		{"SUBJ-3.2.2-01 open literal", email(`"a@[192.0.2.1"`), neither},
		{"SUBJ-3.2.2-01 too long", email(`"` + strings.Repeat("a", 65) + `@example.com"`), neither},
		{"SUBJ-3.2.3-01", `{"format":"iss_sub","iss":"https://a/","sub":"1"}`, both},
		{"SUBJ-3.2.3-01 no iss", `{"format":"iss_sub","sub":"1"}`, neither},
		{"SUBJ-3.2.3-01 empty sub", `{"format":"iss_sub","iss":"https://a/","sub":""}`, neither},
		{"SUBJ-3.2.4-01", `{"format":"opaque","id":"1"}`, both},
		{"SUBJ-3.2.4-01 empty", `{"format":"opaque","id":""}`, neither},
		{"SUBJ-3.2.5-01", phone("+12065550100"), both},
		{"SUBJ-3.2.5-01 spaces as in SSF 5", phone("+1 206 555 0123"), lenient},
		{"SUBJ-3.2.5-01 no prefix", phone("2065550100"), neither},
		{"SUBJ-3.2.5-01 letters", phone("+1206CALLME"), neither},
		{"SUBJ-3.2.5-01 too long", phone("+1234567890123456"), neither},
		{"SUBJ-3.2.5-01 leading zero", phone("+0123456"), neither},
		{"U26 phone", `{"format":"phone","phone_number":"+12065550100"}`, both},
		{"U26 phone, member phone", `{"format":"phone","phone":"+12065550100"}`, both},
		{"U26 phone, both members", `{"format":"phone","phone":"+1","phone_number":"+12065550100"}`, lenient},
		{"L3 is opt-in: iss-sub is unknown", `{"format":"iss-sub","x":1}`, both},
		{"L2 is opt-in", `{"subject_type":"email","email":"a@example.com"}`, neither},
		{"SUBJ-3.2.6-01", did("did:example:123456"), both},
		{"SUBJ-3.2.6-01 url", did("did:example:123456/did/url/path?versionId=1#k"), both},
		{"SUBJ-3.2.6-01 web with port", did("did:web:example.com%3A3000:user"), both},
		{"SUBJ-3.2.6-01 no id", did("did:example:"), neither},
		{"SUBJ-3.2.6-01 no method", did("did::1"), neither},
		{"SUBJ-3.2.6-01 capital method", did("did:Example:1"), neither},
		{"SUBJ-3.2.6-01 not a DID", did("https://example.com"), neither},
		{"SUBJ-3.2.7-01", uri("https://user.example.com/a?b=c#d"), both},
		{"SUBJ-3.2.7-01 urn", uri("urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f"), both},
		{"SUBJ-3.2.7-01 relative", uri("/Users/1"), neither},
		{"SUBJ-3.2.7-01 space", uri("https://a/ b"), neither},
		{"SUBJ-3.2.7-01 bad escape", uri("https://a/%zz"), neither},
		{"SUBJ-3.2.7-01 two fragments", uri("https://a/#b#c"), neither},
		{"SUBJ-3.2.7-01 scheme", uri("1a:b"), neither},
		{"SUBJ-3.2.8-01", `{"format":"aliases","identifiers":[{"format":"opaque","id":"1"},{"format":"email","email":"a@example.com"}]}`, both},
		{"SUBJ-3.2.8-01 empty", `{"format":"aliases","identifiers":[]}`, neither},
		{"SUBJ-3.2.8-01 missing", `{"format":"aliases"}`, neither},
		{"SUBJ-3.2.8-01 no array", `{"format":"aliases","identifiers":{}}`, neither},
		{"SUBJ-3.2.8-01 nested", `{"format":"aliases","identifiers":[{"format":"aliases","identifiers":[{"format":"opaque","id":"1"}]}]}`, neither},
		{"SUBJ-3.2.8-01 bad member", `{"format":"aliases","identifiers":[{"format":"opaque"}]}`, neither},
		{"SUBJ-3.2.8-01 extra below", `{"format":"aliases","identifiers":[{"format":"opaque","id":"1","x":1}]}`, lenient},
		{"SUBJ-3.2.8-01 too many", `{"format":"aliases","identifiers":[` + strings.Repeat(`{"format":"opaque","id":"1"},`, subject.MaxAliases) + `{"format":"opaque","id":"1"}]}`, neither},
		{"SSF-3.3-01 complex in aliases", `{"format":"aliases","identifiers":[` + complexOf(`"user":{"format":"opaque","id":"1"}`) + `]}`, neither},
		{"SSF-3.3-01", complexOf(`"user":{"format":"opaque","id":"1"}`), both},
		{"SSF-3.3-01 other name", complexOf(`"robot":{"format":"opaque","id":"1"}`), both},
		{"SSF-3.3-01 aliases as member", complexOf(`"user":{"format":"aliases","identifiers":[{"format":"opaque","id":"1"}]}`), both},
		{"SSF-3.3-01 no member", `{"format":"complex"}`, neither},
		{"SSF-3.3-01 nested", complexOf(`"user":` + complexOf(`"user":{"format":"opaque","id":"1"}`)), neither},
		{"SSF-3.3-01 name twice", complexOf(`"user":{"format":"opaque","id":"1"},"user":{"format":"opaque","id":"2"}`), neither},
		{"SSF-3.3-01 standard member no subject", complexOf(`"user":"jane","device":{"format":"opaque","id":"1"}`), neither},
		{"SSF-3.3-01 member without format", complexOf(`"user":{"id":"1"}`), neither},
		{"SSF-4.2.3-02 unknown member no subject", complexOf(`"user":{"format":"opaque","id":"1"},"note":"x"`), lenient},
		{"SSF-4.2.3-02 unknown member alone", complexOf(`"note":"x"`), neither},
		{"SSF-3.5.1-01", `{"format":"jwt_id","iss":"https://a/","jti":"1"}`, both},
		{"SSF-3.5.1-01 no jti", `{"format":"jwt_id","iss":"https://a/"}`, neither},
		{"SSF-3.5.2-01", `{"format":"saml_assertion_id","issuer":"https://a/","assertion_id":"_1"}`, both},
		{"SSF-3.5.2-01 no issuer", `{"format":"saml_assertion_id","assertion_id":"_1"}`, neither},
		{"SSF-3.5.3-01", ips(`["10.29.37.75","2001:0db8:0000:0000:0000:8a2e:0370:7334"]`), both},
		{"SSF-3.5.3-01 empty", ips(`[]`), neither},
		{"SSF-3.5.3-01 string", ips(`"10.0.0.1"`), neither},
		{"SSF-3.5.3-01 no address", ips(`["10.0.0.1/8"]`), neither},
		{"SSF-3.5.3-01 number", ips(`[10]`), neither},
		{"SSF-3.5.3-01 underscore", `{"format":"ip-addresses","ip_addresses":["10.0.0.1"]}`, neither},
		{"SCIM-2.1-01", `{"format":"scim","uri":"/Users/1","externalId":"jdoe","userName":"j"}`, both},
		{"SCIM-2.1-01 no uri", `{"format":"scim","id":"1"}`, neither},
		{"SCIM-2.1-01 empty uri", `{"format":"scim","uri":""}`, neither},
		{"SCIM-2.1-01 id no string", `{"format":"scim","uri":"/Users/1","id":1}`, neither},
		{"too long", `{"format":"opaque","id":"` + strings.Repeat("x", subject.MaxBytes) + `"}`, neither},
		{"too deep", `{"format":"x","a":` + strings.Repeat("[", subject.MaxDepth) + strings.Repeat("]", subject.MaxDepth) + `}`, neither},
		{"braces in strings are no depth", `{"format":"x","a":"` + strings.Repeat("[", 20) + `"}`, both},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkParser(t, "Parse", subject.Parse, c.raw, c.want >= lenient)
			checkParser(t, "ParseStrict", subject.ParseStrict, c.raw, c.want == both)
		})
	}
}

func checkParser(t *testing.T, name string, parse func([]byte) (subject.Identifier, error), raw string, want bool) {
	t.Helper()
	id, err := parse([]byte(raw))
	if (err == nil) != want {
		t.Errorf("%s: got error %v, want accepted %v", name, err, want)
	}
	var wrong *subject.Error
	if err != nil && (!id.IsZero() || !errors.As(err, &wrong) || !errors.Is(err, subject.ErrInvalid)) {
		t.Errorf("%s: got %v and %T, want the zero value and a *subject.Error", name, id, err)
	}
}

func TestErrorNamesTheMember(t *testing.T) {
	for raw, want := range map[string]string{
		`{"format":"complex","user":{"format":"email","email":"x"}}`:         "user.email",
		`{"format":"aliases","identifiers":[{"format":"opaque","id":true}]}`: "identifiers.id",
		`{}`:                                 "format",
		`{"format":"opaque","id":"x","y":1}`: "",
	} {
		_, err := subject.ParseStrict([]byte(raw))
		var got *subject.Error
		if !errors.As(err, &got) || got.Member != want {
			t.Errorf("%s: got %v, want an error at %q", raw, err, want)
		}
	}
}

// The caller may reuse its buffer.
func TestParseCopies(t *testing.T) {
	raw := []byte(`{"format":"x","a":[1,2]}`)
	id, err := subject.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	before := string(id.Raw())
	clear(raw)
	if string(id.Raw()) != before {
		t.Errorf("got %q, want %q", id.Raw(), before)
	}
}

// "phone" is phone_number, and is sent on under its current name (U26).
func TestPhone(t *testing.T) {
	want := subject.Phone("+12065550100")
	got := must(t, `{"format":"phone","phone":"+12065550100","extra":1}`)
	if !got.Equal(want) || string(got.Raw()) != `{"format":"phone_number","phone_number":"+12065550100","extra":1}` {
		t.Errorf("got %s", got.Raw())
	}
	for _, raw := range []string{
		`{"format":"complex","user":{"format":"phone","phone":"+12065550100"},"tenant":{"format":"opaque","id":"t"}}`,
		`{"format":"aliases","identifiers":[{"format":"opaque","id":"t"},{"format":"phone","phone":"+12065550100"}]}`,
	} {
		got := must(t, raw)
		if strings.Contains(string(got.Raw()), `"phone"`) || !must(t, string(got.Raw())).Equal(got) {
			t.Errorf("got %s, want current names in the text", got.Raw())
		}
	}
}

// Older forms are read only on request and only where the current one is absent
// (L2, L3, L4; RISC §3.1).
func TestParseLegacy(t *testing.T) {
	all := subject.Legacy{SubjectType: true, FormatNames: true, ImplicitComplex: true}
	for _, c := range []struct {
		name, raw string
		legacy    subject.Legacy
		want      string // as Parse reads it; "" is refused
	}{
		{"L2", `{"subject_type":"email","email":"a@example.com"}`, subject.Legacy{SubjectType: true}, `{"format":"email","email":"a@example.com"}`},
		{"L2 format wins", `{"subject_type":"email","format":"opaque","id":"1"}`, all, `{"format":"opaque","id":"1"}`},
		{"L2 not asked for", `{"subject_type":"email","email":"a@example.com"}`, subject.Legacy{FormatNames: true}, ""},
		{"L2 and L3", `{"subject_type":"iss-sub","iss":"https://a/","sub":"1"}`, all, `{"format":"iss_sub","iss":"https://a/","sub":"1"}`},
		{"L3 jwt-id", `{"format":"jwt-id","iss":"https://a/","jti":"1"}`, all, `{"format":"jwt_id","iss":"https://a/","jti":"1"}`},
		{"L3 saml", `{"format":"saml-assertion-id","issuer":"https://a/","assertion_id":"1"}`, all, `{"format":"saml_assertion_id","issuer":"https://a/","assertion_id":"1"}`},
		{"L3 phone-number", `{"format":"phone-number","phone":"+12065550100"}`, all, `{"format":"phone_number","phone_number":"+12065550100"}`},
		{"L3 member phone", `{"format":"phone_number","phone":"+12065550100"}`, all, `{"format":"phone_number","phone_number":"+12065550100"}`},
		{"L4", `{"user":{"format":"opaque","id":"1"}}`, subject.Legacy{ImplicitComplex: true}, `{"format":"complex","user":{"format":"opaque","id":"1"}}`},
		{
			"L4 with L2 below", `{"user":{"subject_type":"opaque","id":"1"},"robot":{"subject_type":"opaque","id":"2"}}`, all,
			`{"format":"complex","user":{"format":"opaque","id":"1"},"robot":{"format":"opaque","id":"2"}}`,
		},
		{"old names under subject_type alone", `{"subject_type":"iss-sub","iss":"https://a/","sub":"1"}`, subject.Legacy{SubjectType: true}, `{"format":"iss_sub","iss":"https://a/","sub":"1"}`},
		{"an e-mail address of an ID token", `{"subject_type":"id_token_claims","email":"a@example.com"}`, subject.Legacy{SubjectType: true}, `{"format":"email","email":"a@example.com"}`},
		{"an account of an ID token", `{"subject_type":"id-token-claims","iss":"https://a/","sub":"1"}`, subject.Legacy{SubjectType: true}, `{"format":"iss_sub","iss":"https://a/","sub":"1"}`},
		{
			"several claims of an ID token", `{"subject_type":"id_token_claims","email":"a@example.com","sub":"1","iss":"https://a/"}`,
			subject.Legacy{SubjectType: true},
			`{"format":"aliases","identifiers":[{"format":"iss_sub","iss":"https://a/","sub":"1"},{"format":"email","email":"a@example.com"}]}`,
		},
		{"claims of an ID token below", `{"format":"complex","user":{"subject_type":"id_token_claims","email":"a@example.com"}}`, subject.Legacy{SubjectType: true}, `{"format":"complex","user":{"format":"email","email":"a@example.com"}}`},
		{"claims of an ID token, wrong", `{"subject_type":"id_token_claims","email":1}`, subject.Legacy{SubjectType: true}, ""},
		{"null", `{"format":"complex","user":{"format":"opaque","id":"1","x":null},"session":null}`, subject.Legacy{NullMembers: true}, `{"format":"complex","user":{"format":"opaque","id":"1"}}`},
		{"null not asked for", `{"format":"complex","user":{"format":"opaque","id":"1"},"session":null}`, all, ""},
		{"null format", `{"format":null,"id":"1"}`, subject.Legacy{NullMembers: true}, ""},
		{"nothing but null", `{"format":"complex","user":null}`, subject.Legacy{NullMembers: true}, ""},
		{"L4 not asked for", `{"user":{"format":"opaque","id":"1"}}`, subject.Legacy{SubjectType: true}, ""},
		{"L4 holds no subject", `{"email":"a@example.com"}`, all, ""},
		{"L4 empty", `{}`, all, ""},
		{"L4 not below", `{"user":{"device":{"format":"opaque","id":"1"}}}`, all, ""},
		{"current form", `{"format":"email","email":"a@example.com"}`, all, `{"format":"email","email":"a@example.com"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := subject.ParseLegacy([]byte(c.raw), c.legacy)
			if c.want == "" {
				if err == nil || !got.IsZero() {
					t.Errorf("got %s, want refused", got.Canonical())
				}
				return
			}
			if err != nil || !got.Equal(must(t, c.want)) {
				t.Fatalf("got %s, %v, want %s", got.Canonical(), err, c.want)
			}
			if again := must(t, string(got.Raw())); !again.Equal(got) {
				t.Errorf("Raw reads as %s, want current names", again.Canonical())
			}
		})
	}
}

// The law: what parses encodes to the same meaning, and so does its canonical
// form; a failed parse returns the zero value; strict accepts no more than
// lenient; an identifier contains its parts.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"format":"phone","phone":"+12065550100"}`))
	f.Add([]byte(`{"format":"x","a":[1e2,-0.0,{"\u0062":null,"a":true}],"c":"\ud83d\ude00\n"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := subject.Parse(raw)
		strict, strictErr := subject.ParseStrict(raw)
		if (err != nil) != id.IsZero() || (strictErr != nil) != strict.IsZero() {
			t.Fatalf("got %v with %v, %v with %v, want zero values with errors alone", id, err, strict, strictErr)
		}
		if strictErr == nil && (err != nil || !strict.Equal(id)) {
			t.Fatalf("strict accepts %s, lenient says %v", strict.Canonical(), err)
		}
		if err != nil {
			return
		}
		for _, part := range id.Parts() {
			if part.IsZero() || !id.Contains(part) {
				t.Fatalf("%s has the part %s and does not contain it", id.Canonical(), part.Canonical())
			}
		}
		for _, again := range []string{string(id.Raw()), id.Canonical()} {
			if len(again) > subject.MaxBytes {
				continue
			}
			back, err := subject.Parse([]byte(again))
			if err != nil || !back.Equal(id) {
				t.Fatalf("%s reads as %s, %v, want %s", again, back.Canonical(), err, id.Canonical())
			}
		}
	})
}

// The law of the older forms: what is read is written in the current names and read back
// the same; none allowed is Parse; a failed parse returns nothing.
func FuzzParseLegacy(f *testing.F) {
	for _, raw := range []string{
		`{"subject_type":"iss-sub","iss":"https://i.example","sub":"1"}`, `{"subject_type":"id_token_claims","email":"a@b.example","iss":"i","sub":"s"}`, `{"format":"phone-number","phone":"+12065550100"}`,
		`{"user":{"format":"opaque","id":"1"},"tenant":null}`, `{"subject_type":"aliases","identifiers":[{"subject_type":"email","email":"a@b.example"},null]}`, `{"format":"jwt-id","iss":"i","jti":"j"}`, `{"subject_type":null}`, `{"format":"email","email":null,"subject_type":"x"}`,
	} {
		for forms := range uint8(16) {
			f.Add([]byte(raw), forms)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, forms uint8) {
		l := subject.Legacy{SubjectType: forms&1 > 0, FormatNames: forms&2 > 0, ImplicitComplex: forms&4 > 0, NullMembers: forms&8 > 0}
		id, err := subject.ParseLegacy(raw, l)
		if (err != nil) != id.IsZero() {
			t.Fatalf("got %v with %v", id, err)
		}
		current, currentErr := subject.Parse(raw)
		if l == (subject.Legacy{}) && ((err == nil) != (currentErr == nil) || !id.Equal(current)) {
			t.Fatalf("without older forms: got %v, %v, want %v, %v", id, err, current, currentErr)
		}
		if err != nil || len(id.Raw()) > subject.MaxBytes {
			return
		}
		if back, err := subject.Parse(id.Raw()); err != nil || !back.Equal(id) {
			t.Fatalf("%s of %s: reads as %s, %v", id.Raw(), raw, back.Canonical(), err)
		}
	})
}
