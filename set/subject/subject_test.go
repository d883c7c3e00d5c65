package subject_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

var update = flag.Bool("update", false, "rewrite golden files")

// must reads an identifier that the test knows to be good.
func must(t *testing.T, raw string) subject.Identifier {
	t.Helper()
	id, err := subject.Parse([]byte(raw))
	if err != nil {
		t.Fatalf("Parse(%s): %v", raw, err)
	}
	return id
}

// complexOf builds a complex subject that the test knows to be good.
func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatalf("Complex: %v", err)
	}
	return id
}

// The specifications' own examples are read by both parsers and keep their
// canonical forms, which stores use as keys (SUBJ-3-01, SSF-3.3-01, SSF-3.4-01).
func TestSpecificationExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d files, error %v; want the examples", len(files), err)
	}
	var got bytes.Buffer
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		id, err := subject.Parse(raw)
		if err != nil {
			t.Errorf("%s: Parse: %v", file, err)
			continue
		}
		// The example of SSF §5 writes a phone number with spaces: read, never sent.
		_, err = subject.ParseStrict(raw)
		if want := strings.Contains(file, "ssf-5-phone_number"); (err != nil) != want {
			t.Errorf("%s: ParseStrict: got %v, want an error: %v", file, err, want)
		}
		if !bytes.Equal(id.Raw(), raw) {
			t.Errorf("%s: Raw: got %s, want the bytes read", file, id.Raw())
		}
		fmt.Fprintf(&got, "%s\t%s\n", filepath.Base(file), id.Canonical())
	}
	const golden = "testdata/canonical.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("canonical forms changed; stores hold them as keys\ngot:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestConstructors(t *testing.T) {
	alias := subject.Aliases(subject.Email("a@example.com"), subject.Phone("+12065550100"), subject.Email("a@example.com"))
	for _, c := range []struct {
		id   subject.Identifier
		want string
	}{
		{subject.Email("a@example.com"), `{"format":"email","email":"a@example.com"}`},
		{subject.IssSub("https://a/", "1"), `{"sub":"1","iss":"https://a/","format":"iss_sub"}`},
		{subject.Opaque("x"), `{"format":"opaque","id":"x"}`},
		{subject.Phone("+1 (206) 555-0100"), `{"format":"phone_number","phone_number":"+12065550100"}`},
		{subject.Account("acct:a@example.com"), `{"format":"account","uri":"acct:a@example.com"}`},
		{subject.URI("urn:x:y"), `{"format":"uri","uri":"urn:x:y"}`},
		{subject.DID("did:example:1"), `{"format":"did","url":"did:example:1"}`},
		{subject.JWTID("https://a/", "j"), `{"format":"jwt_id","iss":"https://a/","jti":"j"}`},
		{subject.SAMLAssertionID("https://a/", "_1"), `{"format":"saml_assertion_id","issuer":"https://a/","assertion_id":"_1"}`},
		{subject.IPAddresses(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")), `{"format":"ip-addresses","ip-addresses":["10.0.0.1","::1"]}`},
		{alias, `{"format":"aliases","identifiers":[{"format":"email","email":"a@example.com"},{"format":"phone_number","phone_number":"+12065550100"}]}`},
		{
			complexOf(t, map[string]subject.Identifier{"user": subject.Opaque("u"), "tenant": subject.Opaque("t"), "group": {}}),
			`{"format":"complex","user":{"format":"opaque","id":"u"},"tenant":{"id":"t","format":"opaque"}}`,
		},
	} {
		want := must(t, c.want)
		if !c.id.Equal(want) || c.id.Canonical() != want.Canonical() {
			t.Errorf("got %s, want %s", c.id.Canonical(), want.Canonical())
		}
		if err := c.id.Validate(); err != nil {
			t.Errorf("%s: Validate: got %v, want nil", c.want, err)
		}
		if again := must(t, string(c.id.Raw())); !again.Equal(c.id) {
			t.Errorf("%s: Raw reads as %s", c.want, again.Canonical())
		}
	}
}

func TestValidate(t *testing.T) {
	for name, id := range map[string]subject.Identifier{
		"zero":              {},
		"empty e-mail":      subject.Email(""),
		"angle brackets":    subject.Email("A <a@example.com>"),
		"empty sub":         subject.IssSub("https://a/", ""),
		"no digits":         subject.Phone("call me"),
		"not UTF-8":         subject.Opaque("\xff"),
		"not UTF-8 below":   subject.Aliases(subject.Opaque("\xff")),
		"no aliases":        subject.Aliases(),
		"nested aliases":    subject.Aliases(subject.Aliases(subject.Opaque("x"))),
		"no addresses":      subject.IPAddresses(),
		"a zero address":    subject.IPAddresses(netip.Addr{}),
		"spaces in a phone": must(t, `{"format":"phone_number","phone_number":"+1 206 555 0123"}`),
		"too long":          subject.Opaque(strings.Repeat("x", subject.MaxBytes)),
	} {
		if err := id.Validate(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	// Extras have no meaning, so what remains may be sent.
	if err := must(t, `{"format":"opaque","id":"x","extra":1}`).Validate(); err != nil {
		t.Errorf("extra member: got %v, want nil", err)
	}
}

// Validate says what ParseStrict does of the same identifier, whatever its texts.
func TestValidateIsParseStrict(t *testing.T) {
	texts := []string{
		"", "x", "a@example.com", "A <a@example.com>", "+12065550100", "+1 206", "acct:a@b.example", "urn:x:y", "did:example:1",
		"\"", "\\", "\u2028", "ä", "\x00", "null", strings.Repeat("x", subject.MaxBytes-20), strings.Repeat("\x01", subject.MaxBytes/6),
	}
	valid := 0
	check := func(id subject.Identifier) {
		_, err := subject.ParseStrict([]byte(id.Canonical()))
		if got := id.Validate(); (got == nil) != (err == nil) {
			t.Errorf("%.80s: got %v, want %v", id.Canonical(), got, err)
		}
		if err == nil {
			valid++
		}
	}
	for _, a := range texts {
		simple := []subject.Identifier{
			subject.Account(a), subject.Email(a), subject.Opaque(a), subject.Phone(a), subject.DID(a), subject.URI(a),
			subject.IssSub("https://a/", a), subject.IssSub(a, "s"), subject.JWTID(a, a), subject.SAMLAssertionID(a, "_1"),
			subject.Aliases(subject.Opaque(a)),
		}
		for _, id := range simple {
			check(id)
			for _, name := range []string{"user", "format", "", a} {
				c, err := subject.Complex(map[string]subject.Identifier{name: id, "tenant": subject.Opaque("t")})
				if err == nil {
					check(c)
				} else if name == "user" && id.Validate() == nil && len(id.Canonical()) < subject.MaxBytes/2 {
					t.Errorf("%.80s in a complex subject: got %v, want none", id.Canonical(), err)
				}
			}
		}
	}
	if valid < 100 {
		t.Errorf("got %d valid ones, want more", valid)
	}
}

func TestComplexRefuses(t *testing.T) {
	inner := complexOf(t, map[string]subject.Identifier{"user": subject.Opaque("u")})
	many := map[string]subject.Identifier{}
	for k := range subject.MaxMembers + 1 {
		many[fmt.Sprint("m", k)] = subject.Opaque("x")
	}
	for name, members := range map[string]map[string]subject.Identifier{
		"nothing":             nil,
		"zero members":        {"user": {}},
		"nested":              {"user": inner},
		"a member format":     {"format": subject.Opaque("x")},
		"invalid member":      {"user": subject.Email("nobody")},
		"too many":            many,
		"name that is no UTF": {"\xff": subject.Opaque("x")},
	} {
		if id, err := subject.Complex(members); err == nil || !id.IsZero() {
			t.Errorf("%s: got %v and error %v, want the zero value and an error", name, id, err)
		}
	}
}

func TestAccessors(t *testing.T) {
	id := must(t, `{"format":"complex","user":{"format":"iss_sub","iss":"https://a/","sub":"1"},"device":{"format":"opaque","id":"d"},"robot":{"format":"opaque","id":"r"}}`)
	if got, want := id.MemberNames(), []string{"device", "robot", "user"}; !slices.Equal(got, want) {
		t.Errorf("MemberNames: got %v, want %v", got, want)
	}
	user, ok := id.Member("user")
	if !ok || !user.Equal(subject.IssSub("https://a/", "1")) {
		t.Errorf("Member(user): got %v, %v", user, ok)
	}
	if _, ok := id.Member("tenant"); ok {
		t.Error("Member(tenant): got true, want false")
	}
	if got, ok := user.Value("sub"); !ok || got != "1" {
		t.Errorf("Value(sub): got %q, %v, want 1", got, ok)
	}
	if _, ok := user.Value("format"); ok {
		t.Error("Value(format): got true, want false")
	}
	if !id.IsComplex() || user.IsComplex() || user.Format() != subject.FormatIssSub {
		t.Errorf("got format %s, complex %v", user.Format(), id.IsComplex())
	}
	extra := must(t, `{"format":"opaque","id":"x","note":"y"}`)
	if _, ok := extra.Value("note"); ok {
		t.Error("Value of an undescribed member: got true, want false")
	}
	other := must(t, `{"format":"catalog_item","catalog_id":"c1","shelf":{"row":2}}`)
	if got, ok := other.Value("catalog_id"); !ok || got != "c1" {
		t.Errorf("Value of an unknown format: got %q, %v, want c1", got, ok)
	}
	if _, ok := other.Value("shelf"); ok {
		t.Error("Value of an object: got true, want false")
	}
	if got := len(subject.Aliases(subject.Opaque("1"), subject.Opaque("2")).Identifiers()); got != 2 {
		t.Errorf("Identifiers: got %d, want 2", got)
	}
}

func TestZeroValue(t *testing.T) {
	var zero subject.Identifier
	if !zero.IsZero() || zero.Format() != "" || zero.Canonical() != "" || zero.OrderKey() != "" || zero.Raw() != nil ||
		zero.MemberNames() != nil || zero.Identifiers() != nil || zero.Project("user") != "" || !zero.Equal(subject.Identifier{}) {
		t.Error("the zero value is not empty throughout")
	}
	if zero.Equal(subject.Opaque("x")) || subject.Opaque("x").Equal(zero) {
		t.Error("the zero value equals an identifier")
	}
}

// Order is kept per user where there is one (SSF-8.1.2.1-05, contracts.md §4).
func TestOrderKey(t *testing.T) {
	user := subject.Email("a@example.com")
	withUser := complexOf(t, map[string]subject.Identifier{"user": user, "device": subject.Opaque("d")})
	without := complexOf(t, map[string]subject.Identifier{"device": subject.Opaque("d")})
	if got := withUser.OrderKey(); got != user.OrderKey() {
		t.Errorf("complex with user: got %s, want the user's own key", got)
	}
	if got := without.OrderKey(); got != without.Canonical() {
		t.Errorf("complex without user: got %s, want the whole subject", got)
	}
}

func TestJSON(t *testing.T) {
	type body struct {
		Subject subject.Identifier `json:"subject,omitzero"`
		Other   subject.Identifier `json:"other"`
	}
	out, err := json.Marshal(body{})
	if err != nil || string(out) != `{"other":null}` {
		t.Errorf("zero: got %s, %v", out, err)
	}
	in := body{Subject: subject.Email("a@example.com"), Other: must(t, `{"format":"opaque","id":"x","extra":[1]}`)}
	if out, err = json.Marshal(in); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), `"extra":[1]`) {
		t.Errorf("got %s, want the undescribed member kept", out)
	}
	var back body
	if err := json.Unmarshal(out, &back); err != nil || !back.Subject.Equal(in.Subject) || !back.Other.Equal(in.Other) {
		t.Errorf("got %v, %v, want %v", back, err, in)
	}
	if err := json.Unmarshal([]byte(`{"subject":null,"other":{"format":"email"}}`), &back); err == nil || !back.Other.IsZero() || !back.Subject.IsZero() {
		t.Errorf("got %v, %v, want an error and zero values", back, err)
	}
}

// Subject identifiers never reach logs or messages (SEC-04).
func TestNothingLeaks(t *testing.T) {
	const secret = "jane.roe"
	var log bytes.Buffer
	for _, id := range []subject.Identifier{
		subject.Email(secret + "@example.com"),
		complexOf(t, map[string]subject.Identifier{"user": subject.Opaque(secret)}),
		must(t, `{"format":"`+secret+`","id":"x"}`),
	} {
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "subject", id)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "subject", id)
		fmt.Fprintf(&log, "%v %+v %#v %s", id, id, id, struct{ S subject.Identifier }{id})
	}
	_, err := subject.Parse([]byte(`{"format":"email","email":"` + secret + `"}`))
	fmt.Fprint(&log, err)
	if strings.Contains(log.String(), secret) {
		t.Errorf("got %s, want no identifier in it", log.String())
	}
	if a, b := subject.Opaque("a").String(), subject.Opaque("b").String(); a == b || !strings.HasPrefix(a, "opaque:") {
		t.Errorf("got %s and %s, want different digests with their format", a, b)
	}
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(`{"format":"iss_sub","iss":"https://idp.example.com/123456789/","sub":"99beb27c-c1c2-4955-882a-e0dc4996fcbc"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := subject.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
