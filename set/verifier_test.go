package set_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func verify(t testing.TB, tolerances set.Tolerances, claims string) *set.Token {
	t.Helper()
	tok, err := newVerifier(t, tolerances).Verify(t.Context(), []byte(sign(t, header, claims)))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func edit(t testing.TB, old, new string) string {
	t.Helper()
	return change{name: t.Name(), old: old, new: new}.body(t)
}

// What the SET says arrives in the token, unknown members and the order of
// events included, byte for byte (SSF-4.2.3-02, SET-2.2-05).
func TestVerifyToken(t *testing.T) {
	const unknownEvent = `{ "a" : 1.0, "b":"\u00fc" }`
	raw := edit(t, `"events":`+eventsJSON,
		`"toe":1763999000.25,"x": {"y":1e2},"events":{"https://example.com/b":`+unknownEvent+`,"`+revokedType+`":`+payloadJSON+`}`)
	compact := sign(t, header, raw)
	tok, err := newVerifier(t, set.Tolerances{}).Verify(t.Context(), []byte(compact))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Compact() != compact || string(tok.Claims()) != raw {
		t.Errorf("got %s and %s, want both as they came", tok.Compact(), tok.Claims())
	}
	for name, pair := range map[string][2]string{
		"iss": {tok.Issuer, issuer}, "jti": {tok.ID, "24c63fb56e5a2d77"}, "txn": {tok.TransactionID, "8675309"},
		"aud":     {strings.Join(tok.Audience, " "), audience},
		"iat":     {tok.IssuedAt.Format(time.RFC3339Nano), "2025-11-24T15:59:00Z"},
		"toe":     {tok.TimeOfEvent.Format(time.RFC3339Nano), "2025-11-24T15:43:20.25Z"},
		"sub_id":  {string(tok.Subject.Raw()), subjectJSON},
		"kid":     {tok.Header.KeyID, "test"},
		"type":    {tok.Type(), "https://example.com/b"},
		"first":   {string(tok.Events[0].Payload), unknownEvent},
		"second":  {string(tok.Events[1].Payload), payloadJSON},
		"by type": {string(first(tok.Event(revokedType)).Payload), payloadJSON},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %s, want %s", name, pair[0], pair[1])
		}
	}
	if _, ok := tok.Event("https://example.com/c"); ok {
		t.Error("got an event that is not there, want none")
	}
}

func first[A, B any](a A, _ B) A { return a }

// SUBJ-4.1-01, SSF-3.1.1-01, L1, RISC-3.1-01: sub_id alone names the subject,
// whatever else could; only where it is absent, and that is tolerated, the inner
// one does.
func TestVerifySubject(t *testing.T) {
	inner := `{` + innerEmail + `}`
	email := subject.Email("jdoe@example.com")
	account := subject.IssSub(issuer, "145234573")
	noSubID := func(events string) string {
		return edit(t, `"sub_id":`+subjectJSON+`,"events":`+eventsJSON, `"events":`+events)
	}
	cases := []struct {
		name, claims string
		want         subject.Identifier
	}{
		{"sub besides", edit(t, txnClaim, `"sub":"someone else"`), account},
		{"inner subject besides", edit(t, payloadJSON, `{"subject":`+subjectJSON+`}`), account},
		{"inner subject alone", noSubID(`{"` + revokedType + `":` + inner + `}`), email},
		{"sub and an inner subject", strings.Replace(noSubID(`{"`+revokedType+`":`+inner+`}`), txnClaim, `"sub":"someone else"`, 1), email},
		{"format before subject_type", edit(t, subjectJSON, `{"subject_type":"opaque","format":"email","email":"jdoe@example.com"}`), email},
		{"old names inside", noSubID(`{"` + revokedType + `":{"subject":{"subject_type":"iss-sub","iss":"` + issuer + `","sub":"145234573"}}}`), account},
		{"phone of RISC", edit(t, subjectJSON, `{"format":"phone","phone":"+12065550100"}`), subject.Phone("+12065550100")}, // U26
	}
	for _, c := range cases {
		if tok := verify(t, everything(), c.claims); !tok.Subject.Equal(c.want) {
			t.Errorf("%s: got %s, want %s", c.name, tok.Subject.Canonical(), c.want.Canonical())
		}
	}
}

// L12: a number is kept as its decimal text.
func TestVerifyNumericTxn(t *testing.T) {
	for _, number := range []string{"8675309", "12345678901234567890123", "1.50"} {
		tok := verify(t, set.Tolerances{TxnNumber: true}, edit(t, txnClaim, `"txn":`+number))
		if tok.TransactionID != number {
			t.Errorf("got %s, want %s", tok.TransactionID, number)
		}
	}
}

// U33: the skew is what was configured.
func TestVerifySkew(t *testing.T) {
	for _, c := range []struct {
		skew, ahead time.Duration
		want        verdict
	}{
		{0, set.DefaultSkew, accepted},
		{0, set.DefaultSkew + time.Second, inFuture},
		{time.Minute, time.Minute, accepted},
		{time.Minute, time.Minute + time.Second, inFuture},
		{-1, 0, accepted},
		{-1, time.Second, inFuture},
	} {
		v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: published(t), Now: now, Skew: c.skew})
		if err != nil {
			t.Fatal(err)
		}
		b := sessionRevoked()
		b.IssuedAt = now().Add(c.ahead)
		if got := judge(t, v, sign(t, header, mustClaims(t, b))); got != c.want {
			t.Errorf("skew %v, iat %v ahead: got %q, want %q", c.skew, c.ahead, got, c.want)
		}
	}
}

// SET-5.3-01, SSF-4.1.7-01: a verifier has no opinion on order. SETs come newest
// first, with the same iat, and again; each is taken as it is.
func TestVerifyKeepsNoOrder(t *testing.T) {
	v := newVerifier(t, set.Tolerances{})
	for i, age := range []time.Duration{0, time.Hour, time.Minute, time.Minute, 10 * 365 * 24 * time.Hour, 0} {
		b := sessionRevoked()
		b.ID, b.IssuedAt = strings.Repeat("x", 1+i%3), now().Add(-age)
		if got := judge(t, v, sign(t, header, mustClaims(t, b))); got != accepted {
			t.Errorf("SET %d, %v old: got %q, want it accepted", i, age, got)
		}
	}
}

func TestNewVerifierNamesAllThatIsWrong(t *testing.T) {
	v, err := set.NewVerifier(set.VerifierConfig{Audience: []string{""}, Algorithms: []jose.Algorithm{"none", "HS256"}})
	if v != nil || err == nil {
		t.Fatalf("got %v, %v, want an error alone", v, err)
	}
	for _, want := range []string{"Issuer", "Audience", "Keys", `"none"`, `"HS256"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	allowed := []string{audience}
	v, err = set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: allowed, Keys: published(t), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	allowed[0] = "changed" // the verifier keeps what it was given
	if got := judge(t, v, sign(t, header, claims)); got != accepted {
		t.Errorf("after the caller's change: got %q, want accepted", got)
	}
}

// A verifier serves many SETs, one after the other and at once; none of them
// shows in another, and none depends on the caller's bytes.
func TestVerifyManyAtOnce(t *testing.T) {
	v := newVerifier(t, everything())
	var compact []string
	for i := range 8 {
		b := sessionRevoked()
		b.ID = strings.Repeat(string(rune('a'+i)), 1+i*20)
		b.Subject = subject.Opaque(b.ID)
		b.Event.Payload = json.RawMessage(`{"x":"` + b.ID + `"}`)
		compact = append(compact, sign(t, header, mustClaims(t, b)))
	}
	compact = append(compact, sign(t, header, `{"iss":["`), sign(t, header, edit(t, txnClaim, `"sub":"x"`)))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for round := range 10 {
				for i, c := range compact {
					scrap := []byte(c)
					tok, err := v.Verify(t.Context(), scrap)
					copy(scrap, bytes.Repeat([]byte("x"), len(scrap)))
					if i >= 8 {
						continue
					}
					id := strings.Repeat(string(rune('a'+i)), 1+i*20)
					if err != nil || tok.ID != id || !tok.Subject.Equal(subject.Opaque(id)) ||
						string(tok.Events[0].Payload) != `{"x":"`+id+`"}` || tok.Compact() != c {
						t.Errorf("round %d, SET %d: got %v, %v, want what was sent", round, i, tok, err)
						return
					}
				}
			}
		})
	}
	group.Wait()
}

// RFC 8935 §2.3: the errors that a caller branches on.
func TestError(t *testing.T) {
	cause := errors.New("cause")
	err := error(&set.Error{Code: delivery.CodeInvalidKey, Description: "d", Err: cause})
	for _, c := range []struct {
		target error
		want   bool
	}{
		{cause, true},
		{&set.Error{Code: delivery.CodeInvalidKey}, true},
		{&set.Error{Code: delivery.CodeInvalidKey, Description: "d"}, true},
		{&set.Error{Code: delivery.CodeInvalidKey, Description: "e"}, false},
		{&set.Error{Code: delivery.CodeInvalidIssuer}, false},
		{errors.New("x"), false},
	} {
		if got := errors.Is(err, c.target); got != c.want {
			t.Errorf("is %v: got %v, want %v", c.target, got, c.want)
		}
	}
	if got, want := err.Error(), "set: invalid_key: d: cause"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := (&set.Error{Code: delivery.CodeInvalidKey, Description: "d"}).Error(), "set: invalid_key: d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The constant lists every verdict that the vectors know; each has a vector.
func TestVectorsReachEveryCode(t *testing.T) {
	seen := map[delivery.Code]bool{}
	for _, c := range changes() {
		seen[c.want.Err] = true
	}
	for _, code := range []delivery.Code{"", request, key, failed, delivery.CodeInvalidIssuer, delivery.CodeInvalidAudience} {
		if !seen[code] {
			t.Errorf("%q: got no vector, want one", code)
		}
	}
	if slices.Contains([]bool{seen[delivery.CodeAccessDenied], seen[delivery.CodeInvalidState]}, true) {
		t.Error("got a verdict that the verifier cannot give")
	}
}

// null_members: a member of the event that is null is not in its payload; the claims
// stay as they came.
func TestVerifyNullMembers(t *testing.T) {
	const event = `{"state":null,"n\u00e4me":"null","deep":{"x":null},"\u0073tate2":null}`
	raw := edit(t, payloadJSON, event)
	for want, tolerances := range map[string]set.Tolerances{
		event: {}, `{"näme":"null","deep":{"x":null}}`: {NullMembers: true},
	} {
		tok := verify(t, tolerances, raw)
		if got := string(tok.Events[0].Payload); got != want || string(tok.Claims()) != raw {
			t.Errorf("%v: got %s of %s, want %s of the claims as they came", tolerances, got, tok.Claims(), want)
		}
	}
	tok := verify(t, set.Tolerances{NullMembers: true}, edit(t, subjectJSON, `{"format":"complex","user":`+subjectJSON+`,"device":null}`))
	if got := string(tok.Subject.Raw()); strings.Contains(got, "device") {
		t.Errorf("got %s, want no device, which a critical member could be", got)
	}
}

// legacy_verification_uri: Google's verification names nobody; nothing else may.
func TestVerifyLegacyVerification(t *testing.T) {
	const uri = "https://schemas.openid.net/secevent/risc/event-type/verification"
	without := func(events string) string {
		return edit(t, `"sub_id":`+subjectJSON+`,"events":`+eventsJSON, `"events":`+events)
	}
	v := newVerifier(t, set.Tolerances{LegacyVerificationURI: true})
	for events, want := range map[string]verdict{
		`{"` + uri + `":{"state":"x"}}`:                                                     accepted,
		`{"` + uri + `":{"state":"x"},"` + revokedType + `":{}}`:                            noSubject,
		`{"https://schemas.openid.net/secevent/ssf/event-type/verification":{"state":"x"}}`: noSubject,
	} {
		compact := sign(t, header, without(events))
		if got := judge(t, v, compact); got != want {
			t.Errorf("%s: got %q, want %q", events, got, want)
		}
		if got := judge(t, newVerifier(t, set.Tolerances{}), compact); got != noSubject {
			t.Errorf("%s, strict: got %q, want %q", events, got, noSubject)
		}
		if want != accepted {
			continue
		}
		tok, err := v.Read([]byte(compact))
		if err != nil || !tok.Subject.IsZero() || tok.Type() != "https://schemas.openid.net/secevent/ssf/event-type/verification" {
			t.Errorf("read again: got %v, %v, want a verification without subject", tok, err)
		}
	}
}

// issuer_slash, aud_is_url_of_push, no_kid: what a configuration must say.
func TestNewVerifierTolerances(t *testing.T) {
	find := keySource(published(t).Key)
	for _, c := range []struct {
		name string
		cfg  set.VerifierConfig
		want string // in the error; "" is none
	}{
		{"slash", set.VerifierConfig{Issuer: issuer + "/", Audience: []string{audience}, Keys: find}, "issuer_slash"},
		{"slash tolerated", set.VerifierConfig{Issuer: issuer + "/", Audience: []string{audience}, Keys: find, Tolerances: set.Tolerances{IssuerSlash: true}}, ""},
		{"no push URL", set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: find, Tolerances: set.Tolerances{AudIsURLOfPush: true}}, "PushURL"},
		{"push URL alone", set.VerifierConfig{Issuer: issuer, PushURL: pushURL, Keys: find, Tolerances: set.Tolerances{AudIsURLOfPush: true}}, ""},
		{"push URL not tolerated", set.VerifierConfig{Issuer: issuer, PushURL: pushURL, Keys: find}, "Audience"},
		{"no sole key", set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: find, Tolerances: set.Tolerances{NoKid: true}}, "no_kid"},
		{"sole key", set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: published(t), Tolerances: set.Tolerances{NoKid: true}}, ""},
	} {
		_, err := set.NewVerifier(c.cfg)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.want)
		}
	}
	v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer + "/", Audience: []string{audience}, Keys: find, Tolerances: set.Tolerances{IssuerSlash: true}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if got := judge(t, v, sign(t, header, claims)); got != badIssuer {
		t.Errorf("without the slash: got %q, want %q", got, badIssuer)
	}
}

// keySource is a key source that cannot choose.
type keySource func(ctx context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error)

func (f keySource) Key(ctx context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return f(ctx, issuer, kid, alg)
}

// no_kid: a signature that the known key did not make asks for a newer one, once.
func TestVerifyNoKidRotation(t *testing.T) {
	other, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := published(t).Key(t.Context(), issuer, "test", jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		newer *jose.PublicKey
		want  verdict
	}{{ours, accepted}, {other.Public(), badSignature}, {nil, verdict{key, "the issuer has no key of this kid"}}} {
		source := &rotating{keys: []*jose.PublicKey{other.Public(), c.newer}}
		v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: source, Now: now, Tolerances: set.Tolerances{NoKid: true}})
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(t, v, sign(t, `{"alg":"RS256","typ":"secevent+jwt"}`, claims)); got != c.want || source.asked != 2 {
			t.Errorf("got %q after %d questions, want %q after 2", got, source.asked, c.want)
		}
	}
}

// rotating has another key for each question.
type rotating struct {
	keys  []*jose.PublicKey
	asked int
}

func (*rotating) Key(context.Context, string, string, jose.Algorithm) (*jose.PublicKey, error) {
	return nil, jose.ErrUnknownKey
}

func (r *rotating) SoleKey(_ context.Context, _ string, _ jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error) {
	if want := r.asked > 0; (refused != nil) != want {
		return nil, errors.New("asked with the wrong key")
	}
	r.asked++
	return r.keys[r.asked-1], nil
}
