package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

var algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

func generate(t testing.TB, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A key made, stored and read again signs what its published half verifies,
// in this process and in another.
func TestKeyRoundTrip(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			key := generate(t, alg)
			stored, err := key.MarshalPrivateJWK()
			if err != nil {
				t.Fatal(err)
			}
			back, err := jose.ParsePrivateKey(stored)
			if err != nil {
				t.Fatal(err)
			}
			if back.ID() != key.ID() || back.Algorithm() != alg {
				t.Errorf("got %s %s, want %s %s", back.ID(), back.Algorithm(), key.ID(), alg)
			}
			if thumbprint, err := key.Public().Thumbprint(); err != nil || thumbprint != key.ID() {
				t.Errorf("kid: got %s, want thumbprint %s (%v)", key.ID(), thumbprint, err)
			}
			signer, err := jose.NewSigner(back, "secevent+jwt")
			if err != nil {
				t.Fatal(err)
			}
			document, err := json.Marshal(jose.NewKeySet(key.Public()))
			if err != nil {
				t.Fatal(err)
			}
			verifySigned(t, signer, document)
		})
	}
}

func verifySigned(t *testing.T, signer *jose.Signer, document []byte) {
	t.Helper()
	compact, err := signer.Sign([]byte(`{"jti":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := jose.Parse([]byte(compact))
	if err != nil {
		t.Fatal(err)
	}
	want := jose.Header{Algorithm: string(signer.Algorithm()), KeyID: signer.KeyID(), Type: "secevent+jwt"}
	if m.Header != want {
		t.Errorf("header: got %+v, want %+v", m.Header, want)
	}
	if string(m.Payload) != `{"jti":"1"}` {
		t.Errorf("payload: got %s", m.Payload)
	}
	set, err := jose.ParseKeySet(document)
	if err != nil {
		t.Fatal(err)
	}
	public, err := set.Find(m.Header.KeyID, signer.Algorithm())
	if err != nil {
		t.Fatal(err)
	}
	if err := jose.Verify(m, public); err != nil {
		t.Error(err)
	}
	if err := jose.Verify(m, generate(t, signer.Algorithm()).Public()); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("another key: got %v, want %v", err, jose.ErrSignature)
	}
}

// RFC 7638 §3.1 and RFC 8037 A.3.
func TestThumbprint(t *testing.T) {
	cases := []struct{ name, jwk, want string }{
		{
			"RFC 7638", `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		},
		{
			"RFC 8037", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
	}
	for _, c := range cases {
		key, err := jose.ParsePublicKey([]byte(c.jwk))
		if err != nil {
			t.Fatal(err)
		}
		if key.ID() != c.want {
			t.Errorf("%s: got kid %s, want %s", c.name, key.ID(), c.want)
		}
	}
}

// SEC-04: no way of printing a private key shows it.
func TestPrivateKeyHides(t *testing.T) {
	key := generate(t, jose.EdDSA)
	stored, err := key.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ D string }
	if err := json.Unmarshal(stored, &jwk); err != nil || jwk.D == "" {
		t.Fatalf("private JWK without d: %v", err)
	}
	seed, err := base64.RawURLEncoding.DecodeString(jwk.D)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("key", "key", key)
	fmt.Fprintf(&out, "%v %+v %#v %s %d %x", key, key, key, key, key, key)
	encoded, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	for _, secret := range []string{jwk.D, fmt.Sprintf("%x", seed), strings.Trim(fmt.Sprintf("%v", seed), "[]")} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("output shows the key: %s", out.String())
		}
	}
	if !strings.Contains(out.String(), key.ID()) {
		t.Errorf("got %s, want the kid in it", out.String())
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	ed, _ := generate(t, jose.EdDSA).MarshalPrivateJWK()
	other, _ := generate(t, jose.EdDSA).MarshalPrivateJWK()
	public, _ := json.Marshal(generate(t, jose.EdDSA).Public())
	cases := []struct {
		name string
		jwk  []byte
		want error
	}{
		{"public", public, jose.ErrMalformed},
		{"symmetric", []byte(`{"kty":"oct","k":"AAAA"}`), jose.ErrMalformed},
		{"no JSON", []byte(`-----BEGIN`), jose.ErrMalformed},
		{"member twice", []byte(`{"kty":"oct","kty":"oct","k":"AAAA"}`), jose.ErrMalformed},
		{"halves of two keys", mix(t, ed, other), jose.ErrMalformed},
		{"algorithm of another type", []byte(strings.Replace(string(ed), `"EdDSA"`, `"ES256"`, 1)), jose.ErrAlgorithm},
		{"too large", bytes.Repeat([]byte(" "), jose.MaxKeyBytes+1), jose.ErrTooLarge},
	}
	for _, c := range cases {
		if key, err := jose.ParsePrivateKey(c.jwk); !errors.Is(err, c.want) || key != nil {
			t.Errorf("%s: got %v, %v, want %v", c.name, key, err, c.want)
		}
	}
	if key, err := jose.Generate("HS256"); !errors.Is(err, jose.ErrAlgorithm) || key != nil {
		t.Errorf("HS256: got %v, %v, want %v", key, err, jose.ErrAlgorithm)
	}
}

// mix puts b's public half beside a's private one.
func mix(t *testing.T, a, b []byte) []byte {
	t.Helper()
	var x, y map[string]string
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	x["x"] = y["x"]
	out, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParseAlgorithm(t *testing.T) {
	for _, want := range algorithms {
		if got, err := jose.ParseAlgorithm(string(want)); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	for _, name := range []string{"", "none", "rs256", "HS256", "RS1", strings.Repeat("x", 1000)} {
		_, err := jose.ParseAlgorithm(name)
		if !errors.Is(err, jose.ErrAlgorithm) || len(err.Error()) > 100 {
			t.Errorf("%q: got %v, want a short %v", name, err, jose.ErrAlgorithm)
		}
	}
}
