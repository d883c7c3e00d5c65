package set_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// SSF-4.1.4-01, JWT-3.1-01: a key in the header, or of another owner, is worth
// nothing, not even under the kid that we know.
func TestVerifyForged(t *testing.T) {
	forger, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := forger.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(raw, &jwk); err != nil {
		t.Fatal(err)
	}
	jwk["kid"] = "test"
	forger, err = jose.ParsePrivateKey(encode(t, jwk))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(forger, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	if got := judge(t, newVerifier(t, everything()), compact); got != badSignature {
		t.Errorf("key of another under our kid: got %q, want %q", got, badSignature)
	}
	public := encode(t, forger.Public())
	head := `{"alg":"RS256","kid":"test","typ":"secevent+jwt","jwk":` + string(public) + `}`
	parts := strings.Split(compact, ".")
	parts[0] = base64.RawURLEncoding.EncodeToString([]byte(head))
	if got := judge(t, newVerifier(t, everything()), strings.Join(parts, ".")); got != badSignature {
		t.Errorf("key in the header: got %q, want %q", got, badSignature)
	}
}

// JWT-3.2-01: other algorithms are there by configuration alone, each with its key.
func TestVerifyAlgorithms(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA} {
		own, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(own, set.HeaderType)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		source := keys(func(_, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
			return jose.NewKeySet(own.Public()).Find(kid, alg)
		})
		for _, c := range []struct {
			allowed []jose.Algorithm
			want    verdict
		}{{nil, badAlgorithm}, {[]jose.Algorithm{jose.RS256}, badAlgorithm}, {[]jose.Algorithm{jose.RS256, alg}, accepted}} {
			v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: source, Now: now, Algorithms: c.allowed})
			if err != nil {
				t.Fatal(err)
			}
			if got := judge(t, v, compact); got != c.want {
				t.Errorf("%s with %v allowed: got %q, want %q", alg, c.allowed, got, c.want)
			}
		}
	}
}

// U21: what the key source says of a key is a verdict, what it says of itself is
// not (SEC-03: the SET is offered again).
func TestVerifyKeySource(t *testing.T) {
	unreachable := errors.New("no route to host")
	cases := []struct {
		name string
		err  error
		want error
	}{
		{"unknown", jose.ErrUnknownKey, &set.Error{Code: delivery.CodeInvalidKey, Description: "the issuer has no key of this kid"}},
		{"another algorithm", jose.ErrAlgorithm, &set.Error{Code: delivery.CodeInvalidKey, Description: "the key is for another algorithm"}},
		{"too small", jose.ErrWeakKey, &set.Error{Code: delivery.CodeInvalidKey, Description: "the key is too small"}}, // INTEROP-2.6-01
		{"no key and no error", nil, &set.Error{Code: delivery.CodeInvalidKey}},
		{"unreachable", unreachable, unreachable},
		{"cancelled", context.Canceled, context.Canceled},
	}
	compact := []byte(sign(t, header, claims))
	for _, c := range cases {
		asked := 0
		source := keys(func(iss, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
			asked++
			if iss != issuer || kid != "test" || alg != jose.RS256 { // JWT-3.8-01
				t.Errorf("asked for %s %s %s, want the issuer's key test for RS256", iss, kid, alg)
			}
			return nil, c.err
		})
		v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: source, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := v.Verify(t.Context(), compact)
		if tok != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, tok, err, c.want)
		}
		var got, want *set.Error
		if errors.As(err, &got) != errors.As(c.want, &want) {
			t.Errorf("%s: got verdict %v, want %v", c.name, got, want)
		}
		if asked != 1 {
			t.Errorf("%s: got %d questions, want 1", c.name, asked)
		}
	}
}

// JWT-3.1-01: a key source that hands out a key of another algorithm changes
// nothing; the header's algorithm must be the key's.
func TestVerifyKeyOfAnotherAlgorithm(t *testing.T) {
	other, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	source := keys(func(string, string, jose.Algorithm) (*jose.PublicKey, error) { return other.Public(), nil })
	v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: source, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := verdict{key, "the key does not serve this SET"}
	if got := judge(t, v, sign(t, header, claims)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// PUSH-5.4-01: what is cheap to refuse costs no key.
func TestVerifyCheapFirst(t *testing.T) {
	source := keys(func(string, string, jose.Algorithm) (*jose.PublicKey, error) {
		t.Error("got a question for a key, want none")
		return nil, jose.ErrUnknownKey
	})
	v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: source, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes() {
		if c.want.Err != key && c.want.Err != failed && c.want != accepted {
			judge(t, v, c.compact(t))
		}
	}
}
