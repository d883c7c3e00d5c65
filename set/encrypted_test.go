package set_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// encryptedTo returns the JWE of a signed SET.
func encryptedTo(t testing.TB, key *jose.DecryptionKey, compact string) string {
	t.Helper()
	e, err := jose.NewEncrypter(key.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := e.Encrypt(compact)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func decryptionKey(t testing.TB, alg jose.KeyManagement) *jose.DecryptionKey {
	t.Helper()
	key, err := jose.GenerateDecryptionKey(alg, "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func decrypting(t testing.TB, require bool, keys ...*jose.DecryptionKey) *set.Verifier {
	t.Helper()
	cfg := set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: published(t), Now: now, RequireEncryption: require}
	if keys != nil {
		var err error
		if cfg.Decryption, err = jose.NewDecryptionKeys(keys...); err != nil {
			t.Fatal(err)
		}
	}
	v, err := set.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// SET-5.1-01, JWT-3.11-01, U21: what came encrypted is judged as what did not; what cannot
// be decrypted, and what ought to be, is refused in the words of RFC 8935.
func TestVerifyEncrypted(t *testing.T) {
	former, now, other := decryptionKey(t, jose.RSAOAEP256), decryptionKey(t, jose.ECDHES), decryptionKey(t, jose.ECDHES)
	good := sign(t, header, mustClaims(t, sessionRevoked()))
	enc := func(key *jose.DecryptionKey, compact string) string { return encryptedTo(t, key, compact) }
	damaged := []byte(enc(now, good))
	damaged[len(damaged)-3] ^= 3
	head, rest, _ := strings.Cut(enc(now, good), ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	headed := func(old, new string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), old, new, 1))) + "." + rest
	}
	cut := strings.LastIndexByte(good, '.')
	const request, key, authentication = delivery.CodeInvalidRequest, delivery.CodeInvalidKey, delivery.CodeAuthenticationFailed
	both, none := decrypting(t, false, now, former), decrypting(t, false)
	for _, c := range []struct {
		name, compact string
		v             *set.Verifier
		code          delivery.Code
		description   string
	}{
		{"to the current key", enc(now, good), both, "", ""},
		{"to the former one", enc(former, good), both, "", ""},
		{"not encrypted", good, both, "", ""},
		{"not encrypted, and must be", good, decrypting(t, true, now), key, "the SET must be encrypted to this receiver"},
		{"encrypted, as it must be", enc(now, good), decrypting(t, true, now), "", ""},
		{"no key at all", enc(now, good), none, key, "this receiver takes no encrypted SETs: it has no decryption key"},
		{"another's key", enc(other, good), both, key, "there is no decryption key of this kid"},
		{"another's key of our kid", headed(now.ID(), former.ID()), both, key, "the decryption key is for another algorithm"},
		{"damaged", string(damaged), both, key, "the SET does not decrypt"},
		{"damaged header", headed(`"cty"`, `"a":1,"cty"`), both, key, "the SET does not decrypt"},
		{"alg", headed("ECDH-ES", "dir"), both, key, "the encryption algorithm is not allowed"},
		{"zip", headed(`"cty"`, `"zip":"DEF","cty"`), both, request, "the SET is not a compact JWE"},
		{"cty", headed(`"JWT"`, `"x"`), both, request, "cty of an encrypted SET must be JWT"},
		{"no cty", headed(`"cty":"JWT",`, ""), both, request, "cty of an encrypted SET must be JWT"},
		{"too large", enc(now, good) + strings.Repeat("A", jose.MaxEncryptedBytes), both, request, "the SET is too large"},
		{"encrypted twice", enc(now, enc(former, good)), both, request, "the SET is not a compact JWS"},
		{"claims that nobody signed", enc(now, mustClaims(t, sessionRevoked())), both, request, "the SET is not a compact JWS"},
		{"alg none inside", enc(now, sign(t, `{"alg":"none","typ":"secevent+jwt"}`, mustClaims(t, sessionRevoked()))), both, key, "the signature algorithm is not allowed"},
		{"no typ inside", enc(now, sign(t, `{"alg":"RS256","kid":"k"}`, mustClaims(t, sessionRevoked()))), both, request, "typ must be secevent+jwt"},
		{"a bad signature inside", enc(now, good[:cut]+"."+strings.Repeat("A", len(good)-cut-1)), both, authentication, "the signature does not verify"},
	} {
		tok, err := c.v.Verify(t.Context(), []byte(c.compact))
		if c.code == "" {
			if err != nil || tok.Compact() != good {
				t.Errorf("%s: got %v, %v, want the signed SET", c.name, tok, err)
			}
			continue
		}
		if !errors.Is(err, &set.Error{Code: c.code, Description: c.description}) || tok != nil {
			t.Errorf("%s: got %v, want %s: %s", c.name, err, c.code, c.description)
		}
	}
	if tok, err := both.Read([]byte(enc(former, good))); err != nil || tok.Compact() != good {
		t.Errorf("Read: got %v, %v", tok, err)
	}
	if _, err := none.Read([]byte(enc(now, good))); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("Read without a key: got %v, want %v", err, jose.ErrUnknownKey)
	}
	if _, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: published(t), RequireEncryption: true}); err == nil || !strings.Contains(err.Error(), "Decryption is missing") {
		t.Errorf("required without a key: got %v", err)
	}
}
