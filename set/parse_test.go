package set_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func unsigned(claims string) []byte {
	enc := base64.RawURLEncoding.EncodeToString
	return []byte(enc([]byte(`{"typ":"secevent+jwt","alg":"none"}`)) + "." + enc([]byte(claims)) + ".")
}

// The examples of RFC 8417 §2.1 and SSF §4.1.8: all can be shown; only the last is
// a SET of the Shared Signals Framework.
func TestExamples(t *testing.T) {
	cases := []struct {
		file, issuer, audience, eventType string
		want                              verdict // of a strict verifier
		tolerant                          verdict
	}{
		{"rfc8417-2.1.1-scim", "https://scim.example.com", "https://scim.example.com/Feeds/5d7604516b1d08641d7676ee7", "urn:ietf:params:scim:event:create", noSubject, noSubject},
		{"rfc8417-2.1.2-logout", "https://server.example.com", "s6BhdRkqt3", "http://schemas.openid.net/event/backchannel-logout", hasSub, noSubject},
		{"rfc8417-2.1.3-consent", "https://my.med.example.org", "https://rp.example.com", "https://openid.net/heart/specs/consent.html", noSubject, noSubject},
		{"rfc8417-2.1.4-risc", "https://idp.example.com/", "636C69656E745F6964", risc.AccountDisabledType, noSubject, accepted},
		{"ssf-4.1.8-aud-array", "https://transmitter.example.com", "receiver.example.com/mobile", "https://schemas.openid.net/secevent/ssf/event-type/verification", accepted, accepted},
	}
	for _, c := range cases {
		raw := string(read(t, c.file+".json"))
		tok, err := set.Parse(unsigned(raw))
		if err != nil {
			t.Errorf("%s: got %v, want nil", c.file, err)
			continue
		}
		if tok.Issuer != c.issuer || tok.Type() != c.eventType || string(tok.Claims()) != raw {
			t.Errorf("%s: got %s %s, want %s %s", c.file, tok.Issuer, tok.Type(), c.issuer, c.eventType)
		}
		for _, with := range []struct {
			tolerances set.Tolerances
			want       verdict
		}{{set.Tolerances{}, c.want}, {everything(), c.tolerant}} {
			anyone := published(t)
			tolerances := with.tolerances
			tolerances.IssuerSlash = true // the examples' issuers are what they are
			v, err := set.NewVerifier(set.VerifierConfig{
				Issuer: c.issuer, Audience: []string{c.audience}, Now: now, Tolerances: tolerances, PushURL: pushURL,
				Keys: keys(func(_, kid string, alg jose.Algorithm) (*jose.PublicKey, error) { return anyone(issuer, kid, alg) }),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := judge(t, v, sign(t, header, raw)); got != with.want {
				t.Errorf("%s: got %q, want %q", c.file, got, with.want)
			}
		}
	}
}

// Every example of CAEP, RISC and SSF is a SET that a strict verifier takes.
func TestProfileExamples(t *testing.T) {
	files, err := filepath.Glob("*/testdata/*-[a-z]*.json")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var say struct {
			Iss    string
			Aud    string
			Events map[string]json.RawMessage
		}
		if json.Unmarshal(raw, &say) != nil || len(say.Events) != 1 {
			continue // no SET: an identifier or a poll body
		}
		count++
		anyone := published(t)
		v, err := set.NewVerifier(set.VerifierConfig{
			Issuer: say.Iss, Audience: []string{say.Aud}, Now: func() time.Time { return time.Unix(15203800012, 0) }, // the latest of them
			Tolerances: set.Tolerances{IssuerSlash: true}, // some of the issuers end in one
			Keys:       keys(func(_, kid string, alg jose.Algorithm) (*jose.PublicKey, error) { return anyone(issuer, kid, alg) }),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(t, v, sign(t, header, string(raw))); got != accepted {
			t.Errorf("%s: got %q, want it accepted", file, got)
		}
	}
	if count < 24 {
		t.Errorf("got %d examples, want at least 24", count)
	}
}

// Parse shows what no verifier would take, and returns nil with an error.
func TestParse(t *testing.T) {
	for _, body := range []string{
		claims, edit(t, audClaim, `"x":1`), edit(t, `"sub_id":`+subjectJSON, `"x":1`), edit(t, txnClaim, `"txn":1`),
		edit(t, txnClaim, `"sub":"x","exp":1`), edit(t, iatClaim, `"iat":253402300799`),
		edit(t, subjectJSON, `{"subject_type":"iss-sub","iss":"a","sub":"b"}`),
	} {
		if tok, err := set.Parse(unsigned(body)); err != nil || string(tok.Claims()) != body || tok.Header.Algorithm != "none" {
			t.Errorf("%s: got %v, %v, want it shown", body, tok, err)
		}
	}
	for _, c := range changes() {
		tok, err := set.Parse([]byte(c.compact(t)))
		if (err == nil) != (tok != nil) {
			t.Errorf("%s: got %v, %v, want either", c.name, tok, err)
		}
		var refusal *set.Error
		if err != nil && (!errors.As(err, &refusal) || refusal.Code != delivery.CodeInvalidRequest) {
			t.Errorf("%s: got %v, want %s", c.name, err, delivery.CodeInvalidRequest)
		}
		if c.want == accepted && err != nil {
			t.Errorf("%s: got %v, want it shown", c.name, err)
		}
	}
}

// EVT-02: a payload of a known type that cannot be read is an invalid request;
// another event is none.
func TestEventAs(t *testing.T) {
	good := verify(t, set.Tolerances{}, claims)
	e, err := set.EventAs[caep.SessionRevoked](good)
	if err != nil || e.InitiatingEntity != caep.InitiatedByPolicy || e.EventTimestamp.Unix() != 1763999900 {
		t.Errorf("got %+v, %v, want the payload's values", e, err)
	}
	if e, err := set.EventAs[caep.CredentialChange](good); !errors.Is(err, set.ErrNoEvent) || e.CredentialType != "" {
		t.Errorf("another type: got %+v, %v, want %v", e, err, set.ErrNoEvent)
	}
	bad := verify(t, set.Tolerances{}, edit(t, eventsJSON, `{"`+caep.CredentialChangeType+`":{"change_type":"create","credential_type":1}}`))
	want := &set.Error{Code: delivery.CodeInvalidRequest}
	if e, err := set.EventAs[caep.CredentialChange](bad); !errors.Is(err, want) || !errors.Is(err, caep.ErrType) || e.ChangeType != "" {
		t.Errorf("wrong type of a member: got %+v, %v, want %v", e, err, want)
	}
	if got := (&set.Token{}).Type(); got != "" {
		t.Errorf("type of nothing: got %s, want none", got)
	}
}

// The law: what parses says the same after it was built again; a failed parse
// returns nothing.
func FuzzParse(f *testing.F) {
	for _, c := range changes() {
		if body := c.body(f); len(body) < 4<<10 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, claims []byte) {
		tok, err := set.Parse(unsigned(string(claims)))
		if err != nil {
			if tok != nil {
				t.Fatalf("failed parse: got %v, want nil", tok)
			}
			return
		}
		if string(tok.Claims()) != string(claims) {
			t.Fatalf("claims: got %q, want %q", tok.Claims(), claims)
		}
		if len(tok.Audience) == 0 || tok.Subject.IsZero() {
			return // shown, but no SET that a builder would make
		}
		for _, event := range tok.Events {
			rebuild(t, tok, event)
		}
	})
}

func rebuild(t *testing.T, tok *set.Token, event set.Event) {
	b := set.Builder{
		Issuer: tok.Issuer, ID: tok.ID, Audience: tok.Audience, IssuedAt: tok.IssuedAt, TimeOfEvent: tok.TimeOfEvent,
		TransactionID: tok.TransactionID, Subject: tok.Subject, Event: event,
	}
	claims, err := b.Claims()
	if err != nil {
		t.Fatalf("%s: built again: %v", tok.Claims(), err)
	}
	compact := unsigned(string(claims))
	if len(compact) > 64<<10 {
		return
	}
	again, err := set.Parse(compact)
	if err != nil {
		t.Fatalf("%s: built again as %s: %v", tok.Claims(), claims, err)
	}
	same := again.Issuer == tok.Issuer && again.ID == tok.ID && again.TransactionID == tok.TransactionID &&
		again.IssuedAt.Unix() == tok.IssuedAt.Unix() && again.TimeOfEvent.Unix() == tok.TimeOfEvent.Unix() &&
		again.Subject.Equal(tok.Subject) && len(again.Audience) == len(tok.Audience) &&
		len(again.Events) == 1 && again.Events[0].Type == event.Type && string(again.Events[0].Payload) == string(event.Payload)
	for i := range tok.Audience {
		same = same && again.Audience[i] == tok.Audience[i]
	}
	if !same {
		t.Fatalf("got %s, want the meaning of %s", again.Claims(), tok.Claims())
	}
}

// The law: what verifies was signed by the issuer, parses to the same token and
// obeys the rules of SSF §4 as another reader of JSON sees them; all else is
// refused with a code and without a token.
func FuzzVerify(f *testing.F) {
	for _, c := range changes() {
		if body := c.body(f); len(body) < 4<<10 && c.header == "" {
			f.Add([]byte(header), []byte(body))
		}
	}
	for _, c := range typed() {
		f.Add([]byte(c.header), []byte(claims))
	}
	strict := newVerifier(f, set.Tolerances{})
	f.Fuzz(func(t *testing.T, head, body []byte) {
		compact := sign(t, string(head), string(body))
		if judge(t, strict, compact) != accepted {
			return
		}
		tok, err := set.Parse([]byte(compact))
		if err != nil {
			t.Fatalf("verifies but does not parse: %v", err)
		}
		var seen map[string]json.RawMessage
		if err := json.Unmarshal(body, &seen); err != nil {
			t.Fatalf("verifies but is no JSON: %v", err)
		}
		for _, name := range []string{"iss", "jti", "iat", "aud", "sub_id", "events"} {
			if seen[name] == nil {
				t.Fatalf("%s: accepted without %s", body, name)
			}
		}
		if seen["sub"] != nil || seen["exp"] != nil {
			t.Fatalf("%s: accepted with sub or exp", body)
		}
		var iss string
		if err := json.Unmarshal(seen["iss"], &iss); err != nil || iss != issuer {
			t.Fatalf("%s: accepted from %s", body, iss)
		}
		if id, err := subject.Parse(seen["sub_id"]); err != nil || !id.Equal(tok.Subject) {
			t.Fatalf("%s: got subject %s, %v", body, tok.Subject.Canonical(), err)
		}
		var events map[string]json.RawMessage
		if err := json.Unmarshal(seen["events"], &events); err != nil || len(events) != len(tok.Events) {
			t.Fatalf("%s: got %d events, %v", body, len(tok.Events), err)
		}
	})
}
