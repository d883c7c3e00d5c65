package jose_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// member returns the JWK with these members set; a nil value removes one.
func member(t *testing.T, key json.Marshaler, set map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for name, value := range set {
		m[name] = value
		if value == nil {
			delete(m, name)
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func weakRSA(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"RSA","kid":"weak","e":"AQAB","n":%q}`, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
}

func TestKeySetFind(t *testing.T) {
	rs, es := generate(t, jose.RS256).Public(), generate(t, jose.ES256).Public()
	private, err := generate(t, jose.EdDSA).MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	var leaked struct{ Kid string }
	if err := json.Unmarshal(private, &leaked); err != nil {
		t.Fatal(err)
	}
	document := `{"x":1,"keys":[` + strings.Join([]string{
		member(t, rs, map[string]any{"kid": "rs"}),
		member(t, rs, map[string]any{"kid": "unbound", "alg": nil, "use": nil}),
		member(t, rs, map[string]any{"kid": nil}),
		member(t, rs, map[string]any{"kid": "enc", "use": "enc"}),
		member(t, rs, map[string]any{"kid": "ops", "use": nil, "key_ops": []string{"encrypt"}}),
		member(t, rs, map[string]any{"kid": "rs512", "alg": "RS512"}),
		member(t, rs, map[string]any{"kid": "rsoaep", "alg": "RSA-OAEP"}),
		member(t, rs, map[string]any{"kid": "shared"}), member(t, es, map[string]any{"kid": "shared"}),
		member(t, es, map[string]any{"kid": "offcurve", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}),
		member(t, es, map[string]any{"kid": strings.Repeat("k", jose.MaxKeyIDBytes+1)}),
		`{"kty":"oct","kid":"oct","k":"AAAA"}`, `{"kty":"PQC","kid":"pqc"}`, `{"kid":"none"}`,
		`{"kty":"OKP","crv":"Ed25519","kid":"short","x":"AAAA"}`,
		`{"kty":"OKP","crv":"X25519","kid":"x25519","x":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + `"}`,
		weakRSA(t), string(private), `17`,
	}, ",") + `]}`
	set, err := jose.ParseKeySet([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		kid  string
		alg  jose.Algorithm
		want error
	}{
		{"rs", jose.RS256, nil},
		{"rs", jose.PS256, jose.ErrAlgorithm}, // JWT-3.1-01
		{"rs", jose.ES256, jose.ErrAlgorithm},
		{"unbound", jose.RS256, nil},
		{"unbound", jose.PS256, nil},
		{"unbound", jose.EdDSA, jose.ErrAlgorithm},
		{"shared", jose.RS256, nil},
		{"shared", jose.ES256, nil},
		{leaked.Kid, jose.EdDSA, nil},
		{"weak", jose.RS256, jose.ErrWeakKey}, // INTEROP-2.6-01
		{"RS", jose.RS256, jose.ErrUnknownKey},
		{"rs ", jose.RS256, jose.ErrUnknownKey}, // JWT-3.10-01: exact
		{"", jose.RS256, jose.ErrUnknownKey},
		{"enc", jose.RS256, jose.ErrUnknownKey},
		{"ops", jose.RS256, jose.ErrUnknownKey},
		{"rs512", jose.RS256, jose.ErrUnknownKey},
		{"rsoaep", jose.RS256, jose.ErrUnknownKey},
		{"offcurve", jose.ES256, jose.ErrUnknownKey},
		{"short", jose.EdDSA, jose.ErrUnknownKey},
		{"x25519", jose.EdDSA, jose.ErrUnknownKey},
		{"oct", jose.RS256, jose.ErrUnknownKey},
		{"pqc", jose.RS256, jose.ErrUnknownKey},
		{strings.Repeat("k", jose.MaxKeyIDBytes+1), jose.ES256, jose.ErrUnknownKey},
	}
	for _, c := range cases {
		key, err := set.Find(c.kid, c.alg)
		if !errors.Is(err, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.kid, c.alg, err, c.want)
		} else if err == nil && (key.ID() != c.kid || key.Algorithm() != c.alg) {
			t.Errorf("%s %s: got %s %s", c.kid, c.alg, key.ID(), key.Algorithm())
		}
	}
	if got, want := len(set.Keys()), 5; got != want {
		t.Errorf("usable keys: got %d, want %d", got, want)
	}
	if out, err := json.Marshal(set); err != nil || strings.Contains(string(out), `"d"`) {
		t.Errorf("got %s, %v, want no private member", out, err)
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	cases := []struct {
		name, document string
		want           error
	}{
		{"empty", ``, jose.ErrMalformed},
		{"no keys", `{}`, jose.ErrMalformed},
		{"keys null", `{"keys":null}`, jose.ErrMalformed},
		{"keys an object", `{"keys":{}}`, jose.ErrMalformed},
		{"one key alone", `{"kty":"RSA"}`, jose.ErrMalformed},
		{"keys twice", `{"keys":[],"keys":[]}`, jose.ErrMalformed},
		{"trailing", `{"keys":[]}{}`, jose.ErrMalformed},
		{"too large", `{"keys":[]}` + strings.Repeat(" ", jose.MaxKeySetBytes), jose.ErrTooLarge},
		{"too many", `{"keys":[0` + strings.Repeat(",0", jose.MaxKeys) + `]}`, jose.ErrTooLarge},
	}
	for _, c := range cases {
		if set, err := jose.ParseKeySet([]byte(c.document)); !errors.Is(err, c.want) || set != nil {
			t.Errorf("%s: got %v, %v, want %v", c.name, set, err, c.want)
		}
	}
}

func TestKeySetJSON(t *testing.T) {
	for name, set := range map[string]*jose.KeySet{"new": jose.NewKeySet(), "zero": {}} {
		if out, err := json.Marshal(set); err != nil || string(out) != `{"keys":[]}` {
			t.Errorf("%s: got %s, %v, want {\"keys\":[]}", name, out, err)
		}
		if _, err := set.Find("x", jose.RS256); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("%s: got %v, want %v", name, err, jose.ErrUnknownKey)
		}
	}
	key := generate(t, jose.ES256).Public()
	var document struct{ Keys []map[string]string }
	out, err := json.Marshal(jose.NewKeySet(key))
	if err == nil {
		err = json.Unmarshal(out, &document)
	}
	if err != nil || len(document.Keys) != 1 {
		t.Fatalf("got %s, %v, want one key", out, err)
	}
	for name, want := range map[string]string{"kid": key.ID(), "alg": "ES256", "use": "sig", "kty": "EC"} {
		if got := document.Keys[0][name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// The only key for an algorithm, also one without kid; several that fit are none.
func TestSole(t *testing.T) {
	rs, es := generate(t, jose.RS256).Public(), generate(t, jose.ES256).Public()
	document := func(keys ...string) *jose.KeySet {
		t.Helper()
		s, err := jose.ParseKeySet([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	named, nameless := member(t, rs, map[string]any{"kid": "rs"}), member(t, rs, map[string]any{"kid": nil})
	unbound := member(t, rs, map[string]any{"kid": "u", "alg": nil})
	other := member(t, es, map[string]any{"kid": "es"})
	for _, c := range []struct {
		name string
		set  *jose.KeySet
		alg  jose.Algorithm
		want error
	}{
		{"one", document(named, other), jose.RS256, nil},
		{"one without kid", document(other, nameless), jose.RS256, nil},
		{"one of no algorithm", document(unbound), jose.PS256, nil},
		{"one of another algorithm", document(named), jose.PS256, jose.ErrUnknownKey},
		{"none", document(), jose.RS256, jose.ErrUnknownKey},
		{"two", document(named, nameless), jose.RS256, jose.ErrUnknownKey},
		{"one and one that might be", document(named, unbound), jose.RS256, jose.ErrUnknownKey},
	} {
		key, err := c.set.Sole(c.alg)
		if !errors.Is(err, c.want) || c.want == nil && key.Algorithm() != c.alg {
			t.Errorf("%s: got %v, %v, want %v", c.name, key, err, c.want)
		}
	}
	if _, err := document(nameless).Find("", jose.RS256); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("found without kid: got %v, want %v", err, jose.ErrUnknownKey)
	}
}

// A key is told by itself, whatever it is called and which algorithm it is for.
func TestKeySetHas(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		one, other := generate(t, alg), generate(t, alg)
		for _, doc := range []string{member(t, one.Public(), nil), member(t, one.Public(), map[string]any{"kid": nil, "alg": nil}), member(t, one.Public(), map[string]any{"kid": "x"})} {
			set, err := jose.ParseKeySet([]byte(`{"keys":[` + doc + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if !set.Has(one.Public().Raw()) || set.Has(other.Public().Raw()) || set.Has(nil) || set.Has("x") {
				t.Errorf("%s: got another answer than of the key that is there", alg)
			}
		}
	}
}
