package profile_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	idp   = "https://idp.example.com"
	usual = `{"alg":"RS256","kid":"test","typ":"secevent+jwt"}`
	good  = `{"iss":"https://idp.example.com","jti":"1","iat":1763999940,"aud":"https://rp.example.com",` +
		`"sub_id":{"format":"opaque","id":"1"},"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"event_timestamp":1763999900}}}`
)

// What may never be loosened stays strict with every switch on: signature, algorithm
// allow-list, issuer and audience, jti, bounds, members that occur twice.
func TestNeverLoosened(t *testing.T) {
	in := openInbox(t)
	v := vector{Issuer: idp, Audience: []string{"https://rp.example.com"}, PushURL: "https://rp.example.com/push"}
	cfg := v.config(t, in)
	cfg.Tolerances = allBut(t, "")
	r, err := receiver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q is not once in the claims", old)
		}
		return sign(t, []byte(usual), []byte(strings.Replace(good, old, new, 1)))
	}
	head := func(header string) string { return sign(t, []byte(header), []byte(good)) }
	alg := func(alg string) string { return head(strings.Replace(usual, "RS256", alg, 1)) }
	part := func(n int, with string) string {
		parts := strings.Split(head(usual), ".")
		parts[n] = with
		return strings.Join(parts, ".")
	}
	if _, err := r.Examine(t.Context(), []byte(head(usual))); err != nil {
		t.Fatalf("good: got %v, want accepted", err)
	}
	other := strings.Replace(good, `"id":"1"`, `"id":"2"`, 1)
	// The other tokens that the issuer signs with the same key for the same audience.
	token := func(more string) string {
		return sign(t, []byte(`{"alg":"RS256","kid":"test","typ":"JWT"}`), []byte(`{"iss":"https://idp.example.com","aud":"https://rp.example.com","iat":1763999940,"exp":1764999940,"jti":"1","sub":"1"`+more+`}`))
	}
	for name, compact := range map[string]string{
		"access token":                token(`,"scope":"openid","client_id":"a"`),
		"ID token":                    token(`,"sid":"1","nonce":"n"`),
		"logout token":                token(`,"sid":"1","events":{"http://schemas.openid.net/event/backchannel-logout":{}}`),
		"logout token, of former OPs": token(`,"events":{"http://schemas.openid.net/event/backchannel-logout":{"sub":"1"}}`),
		"signature of nobody":         part(2, strings.Repeat("A", 342)),
		"no signature":                part(2, ""),
		"other claims":                part(1, base64.RawURLEncoding.EncodeToString([]byte(other))),
		"no kid, signature of nobody": part(0, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`))),
		"kid of no key":               head(strings.Replace(usual, "test", "other", 1)),
		"none":                        alg("none"),
		"none without signature":      alg("none")[:strings.LastIndexByte(alg("none"), '.')+1],
		"HS256":                       alg("HS256"),
		"HS256 without kid":           head(`{"alg":"HS256","typ":"JWT"}`),
		"RS384":                       alg("RS384"),
		"an algorithm not listed":     alg("PS256"),
		"typ of an access token":      head(strings.Replace(usual, "secevent+jwt", "at+jwt", 1)),
		"crit":                        head(`{"alg":"RS256","kid":"test","typ":"secevent+jwt","crit":["exp"]}`),
		"issuer with a slash":         change(`"iss":"https://idp.example.com"`, `"iss":"https://idp.example.com/"`),
		"issuer of another":           change(`"iss":"https://idp.example.com"`, `"iss":"https://evil.example"`),
		"issuer absent":               change(`"iss":"https://idp.example.com",`, ``),
		"audience of another":         change(`"aud":"https://rp.example.com"`, `"aud":["https://other.example"]`),
		"audience with a slash":       change(`"aud":"https://rp.example.com"`, `"aud":"https://rp.example.com/"`),
		"audience below the push URL": change(`"aud":"https://rp.example.com"`, `"aud":"https://rp.example.com/push/1"`),
		"audience absent":             change(`"aud":"https://rp.example.com",`, ``),
		"audience null":               change(`"aud":"https://rp.example.com"`, `"aud":null`),
		"jti absent":                  change(`"jti":"1",`, ``),
		"jti null":                    change(`"jti":"1"`, `"jti":null`),
		"jti empty":                   change(`"jti":"1"`, `"jti":""`),
		"iat absent":                  change(`"iat":1763999940,`, ``),
		"expired":                     change(`"jti":"1"`, `"jti":"1","exp":1763999000`),
		"two subjects":                change(`{"event_timestamp"`, `{"subject":{"format":"opaque","id":"2"},"event_timestamp"`),
		"no subject":                  change(`"sub_id":{"format":"opaque","id":"1"},`, ``),
		"no event":                    change(`{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"event_timestamp":1763999900}}`, `{}`),
		"events a text":               change(`{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"event_timestamp":1763999900}}`, `"{}"`),
		"claim twice":                 change(`"jti":"1"`, `"jti":"1","jti":"1"`),
		"unknown claim twice":         change(`"jti":"1"`, `"jti":"1","x":{"a":1,"a":1}`),
		"member of the event twice":   change(`{"event_timestamp"`, `{"event_timestamp":1,"event_timestamp"`),
		"null twice":                  change(`{"event_timestamp"`, `{"x":null,"x":null,"event_timestamp"`),
		"member of the subject twice": change(`"id":"1"`, `"id":"1","id":"2"`),
		"header twice":                head(`{"alg":"RS256","kid":"test","kid":"test"}`),
		"jti too long":                change(`"jti":"1"`, `"jti":"`+strings.Repeat("j", set.MaxIDBytes+1)+`"`),
		"txn too long a number":       change(`"jti":"1"`, `"jti":"1","txn":1`+strings.Repeat("0", set.MaxIDBytes)),
		"subject too large":           change(`"id":"1"`, `"id":"`+strings.Repeat("x", subject.MaxBytes)+`"`),
		"SET too large":               change(`"jti":"1"`, `"jti":"1","x":"`+strings.Repeat("x", jose.MaxCompactBytes)+`"`),
		"not UTF-8":                   change(`"jti":"1"`, "\"jti\":\"\xff\""),
	} {
		_, err := r.Examine(t.Context(), []byte(compact))
		var refusal *set.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	for _, algorithm := range []jose.Algorithm{"none", "HS256"} {
		cfg.Algorithms = []jose.Algorithm{algorithm}
		if _, err := receiver.New(cfg); !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("%s: got %v, want %v", algorithm, err, jose.ErrAlgorithm)
		}
	}
}

// The law: whatever comes and whatever is tolerated, a verifier answers. What it accepts
// is of the issuer, has an ID, an event and, save for one, a subject; it reads again as
// the same and can be shown.
func FuzzTolerances(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	nested, nestedErr := filepath.Glob("testdata/*/*/*.json")
	if files = append(files, nested...); err != nil || nestedErr != nil || len(files) < 50 {
		f.Fatalf("got %d files, %v, %v, want all", len(files), err, nestedErr)
	}
	for i, file := range files {
		v := load(f, file)
		if v.Header != nil {
			f.Add([]byte(v.Header), []byte(v.Claims), uint32(1)<<(i%20))
			f.Add([]byte(v.Header), []byte(v.Claims), ^uint32(0))
		}
	}
	f.Add([]byte(`{"alg":"none"}`), []byte(`{"events":null}`), uint32(0))
	keys := published(f)
	names := set.ToleranceNames()
	f.Fuzz(func(t *testing.T, header, claims []byte, switches uint32) {
		var on []string
		for i, name := range names {
			if switches>>i&1 == 1 {
				on = append(on, name)
			}
		}
		tolerances, err := set.ParseTolerances(on)
		if err != nil {
			t.Fatal(err)
		}
		var say struct{ Iss string }
		_ = json.Unmarshal(claims, &say) // as it came, or nothing
		issuer := say.Iss
		if issuer == "" {
			issuer = idp
		}
		verifier, err := set.NewVerifier(set.VerifierConfig{
			Issuer: issuer, Audience: []string{"https://rp.example.com"}, PushURL: "https://rp.example.com/push",
			Keys: keys, Now: now, Tolerances: tolerances,
		})
		if err != nil {
			if strings.HasSuffix(issuer, "/") && !tolerances.IssuerSlash {
				return
			}
			t.Fatal(err)
		}
		compact := []byte(sign(t, header, claims))
		token, err := verifier.Verify(t.Context(), compact)
		if err != nil {
			if token != nil {
				t.Fatalf("got %v with an error, want nil", token)
			}
			return
		}
		if token.Issuer != issuer || token.ID == "" || len(token.Events) == 0 || token.Subject.IsZero() && !tolerances.LegacyVerificationURI {
			t.Fatalf("%v: got %v of %s, want a whole token", tolerances, token, claims)
		}
		again, err := verifier.Read(compact)
		if err != nil || fmt.Sprint(again.Events) != fmt.Sprint(token.Events) || !again.Subject.Equal(token.Subject) {
			t.Fatalf("got %v, %v, want what was verified", again, err)
		}
		if _, err := set.Parse(compact); err != nil {
			t.Fatalf("shown: got %v, want what was accepted", err)
		}
	})
}
