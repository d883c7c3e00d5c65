package jose_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Which keys can be encrypted to, and which are taken of several.
func TestParseEncryptionKey(t *testing.T) {
	ec, rsaKey, x := generateDecryption(t, jose.ECDHES, jose.P384), generateDecryption(t, jose.RSAOAEP512, ""), generateDecryption(t, jose.ECDHESA128KW, jose.X25519)
	signing := generate(t, jose.ES256).Public()
	text := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	keys := `{"keys":[{"kty":"oct","k":"AAAA"},` + text(signing) + `,` + text(rsaKey.Public()) + `,` + text(ec.Public()) + `]}`
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(own.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.NewReplacer(`"use":"sig",`, "", `,"use":"sig"`, "", `"alg":"ES256",`, "").Replace(text(signing))
	for _, c := range []struct {
		name, document, kid string
		alg                 jose.KeyManagement
		want                string // kid and alg
		err                 error
	}{
		{"the first of a set", keys, "", "", rsaKey.ID() + " RSA-OAEP-512", nil},
		{"by alg", keys, "", jose.ECDHES, ec.ID() + " ECDH-ES", nil},
		{"by kid", keys, ec.ID(), "", ec.ID() + " ECDH-ES", nil},
		{"of another alg", keys, ec.ID(), jose.ECDHESA128KW, "", jose.ErrUnknownKey},
		{"no kid", keys, "x", "", "", jose.ErrUnknownKey},
		{"a signing key", keys, signing.ID(), "", "", jose.ErrUnknownKey},
		{"JWK", text(x.Public()), "", "", x.ID() + " ECDH-ES+A128KW", nil},
		{"PEM", string(block("PUBLIC KEY", pkix)), "", "", "* ECDH-ES+A256KW", nil},
		{"PEM and alg", string(block("PUBLIC KEY", pkix)), "", jose.ECDHES, "* ECDH-ES", nil},
		{"a key without use", bare, "", "", "* ECDH-ES+A256KW", nil},
		{"use sig", text(signing), "", "", "", jose.ErrAlgorithm},
		{"weak", weakRSA(t), "", "", "", jose.ErrWeakKey},
		{"RSA exponent that no library takes", member(t, rsaKey.Public(), map[string]any{"e": "_____w"}), "", "", "", jose.ErrMalformed},
		{"RSA modulus that is even", member(t, rsaKey.Public(), map[string]any{"n": strings.Repeat("_", 340) + "_A"}), "", "", "", jose.ErrMalformed},
		{"none in a set", `{"keys":[` + text(signing) + `]}`, "", "", "", jose.ErrUnknownKey},
		{"symmetric", `{"kty":"oct","k":"AAAA"}`, "", "", "", jose.ErrAlgorithm},
		{"low order", `{"kty":"OKP","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}`, "", "", "", jose.ErrMalformed},
		{"short", `{"kty":"OKP","crv":"X25519","x":"AAAA"}`, "", "", "", jose.ErrMalformed},
		{"Ed25519", text(generate(t, jose.EdDSA).Public()), "", "", "", jose.ErrAlgorithm},
		{"off its curve", member(t, signing, map[string]any{"use": "enc", "alg": nil, "x": strings.Repeat("A", 43)}), "", "", "", jose.ErrMalformed},
		{"key_ops", member(t, signing, map[string]any{"use": nil, "alg": nil, "key_ops": []string{"verify"}}), "", "", "", jose.ErrAlgorithm},
		{"key_ops of agreement", member(t, signing, map[string]any{"use": nil, "alg": nil, "key_ops": []string{"deriveKey"}}), "", "", "* ECDH-ES+A256KW", nil},
		{"words", "words", "", "", "", jose.ErrMalformed},
		{"many", `{"keys":[` + strings.Repeat("{},", jose.MaxKeys) + `{}]}`, "", "", "", jose.ErrTooLarge},
	} {
		key, err := jose.ParseEncryptionKey([]byte(c.document), c.kid, c.alg)
		if !errors.Is(err, c.err) || (key == nil) != (err != nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
			continue
		}
		if key == nil {
			continue
		}
		want := strings.Replace(c.want, "*", key.ID(), 1)
		if got := key.ID() + " " + string(key.Algorithm()); got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
	}
}

// A private key is read back as it is written, whatever its type, from PEM too; its
// printed form shows nothing of it.
func TestParseDecryptionKey(t *testing.T) {
	for _, key := range []*jose.DecryptionKey{
		generateDecryption(t, jose.RSAOAEP256, ""), generateDecryption(t, jose.ECDHES, jose.P384), generateDecryption(t, jose.ECDHESA256KW, jose.X25519),
	} {
		raw, err := key.MarshalPrivateJWK()
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.ParseDecryptionKey(raw)
		if err != nil || again.ID() != key.ID() || again.Algorithm() != key.Algorithm() {
			t.Fatalf("got %v, %v, want %v", again, err, key)
		}
		compact, err := encrypter(t, key, "").Encrypt("a.b.c")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decrypt(compact, again); err != nil || got != "a.b.c" {
			t.Errorf("got %q, %v", got, err)
		}
		public, err := json.Marshal(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.ParseDecryptionKey(public); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("public half: got %v, want %v", err, jose.ErrMalformed)
		}
		if got := key.LogValue().String(); !strings.Contains(got, key.ID()) || len(got) > 120 {
			t.Errorf("got %s", got)
		}
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := generate(t, jose.ES256).MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"X25519 in PEM", block("PRIVATE KEY", pkcs8), nil},
		{"a key that signs", signing, jose.ErrAlgorithm},
		{"weak", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak)), jose.ErrWeakKey},
		{"words", []byte("words"), jose.ErrMalformed},
	} {
		if _, err := jose.ParseDecryptionKey(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// An encrypter is read as it is written.
func TestParseEncrypter(t *testing.T) {
	key := generateDecryption(t, jose.RSAOAEP256, "")
	raw, err := json.Marshal(encrypter(t, key, jose.A128GCM))
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.ParseEncrypter(raw)
	if err != nil || e.Key().ID() != key.ID() || e.Content() != jose.A128GCM {
		t.Fatalf("%s: got %v, %v", raw, e, err)
	}
	for text, want := range map[string]error{
		`{}`: jose.ErrMalformed, `[]`: jose.ErrMalformed, `{"enc":"A256GCM","key":{"kty":"oct"}}`: jose.ErrMalformed,
		strings.Replace(string(raw), "A128GCM", "A1", 1): jose.ErrAlgorithm, strings.Repeat(" ", jose.MaxKeyBytes+1): jose.ErrTooLarge,
	} {
		if _, err := jose.ParseEncrypter([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.60s: got %v, want %v", text, err, want)
		}
	}
}

// A key that others hand us to encrypt to is read back as it is written, and can be
// encrypted to; with a private key so is what was encrypted to it.
func FuzzParseEncryptionKey(f *testing.F) {
	keyFiles(f)
	for _, v := range encryptedVectors(f) {
		f.Add([]byte(v.JWK))
		f.Add([]byte(`{"keys":[` + string(v.JWK) + `,null]}`))
		f.Add([]byte(`{"enc":"A128GCM","key":` + string(v.JWK) + `}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := jose.ParseEncrypter(raw); (e == nil) != (err != nil) {
			t.Fatalf("encrypter: got %v and %v", e, err)
		}
		private, err := jose.ParseDecryptionKey(raw)
		if (private == nil) != (err != nil) {
			t.Fatalf("private: got %v and %v", private, err)
		}
		key, err := jose.ParseEncryptionKey(raw, "", "")
		if (key == nil) != (err != nil) {
			t.Fatalf("public: got %v and %v", key, err)
		}
		if key == nil {
			return
		}
		e, err := jose.NewEncrypter(key, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.ParseEncrypter(text)
		if err != nil || again.Key().ID() != key.ID() || again.Key().Algorithm() != key.Algorithm() {
			t.Fatalf("%s: got %v, %v", text, again, err)
		}
		compact, err := again.Encrypt("a.b.c")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if private != nil && private.ID() == key.ID() {
			if got, err := decrypt(compact, private); err != nil || got != "a.b.c" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
	})
}
