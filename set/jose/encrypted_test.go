package jose_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

type encryptedVector struct {
	Name  string          `json:"name"`
	JWK   json.RawMessage `json:"jwk"`
	JWE   string          `json:"jwe"`
	Plain string          `json:"plain"`
}

func encryptedVectors(t testing.TB) []encryptedVector {
	t.Helper()
	raw, err := os.ReadFile("testdata/encrypted.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []encryptedVector
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func generateDecryption(t testing.TB, alg jose.KeyManagement, curve jose.Curve) *jose.DecryptionKey {
	t.Helper()
	key, err := jose.GenerateDecryptionKey(alg, curve)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encrypter(t testing.TB, key *jose.DecryptionKey, enc jose.ContentEncryption) *jose.Encrypter {
	t.Helper()
	e, err := jose.NewEncrypter(key.Public(), enc)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// decrypt parses and decrypts.
func decrypt(compact string, keys ...*jose.DecryptionKey) (string, error) {
	set, err := jose.NewDecryptionKeys(keys...)
	if err != nil {
		return "", err
	}
	m, err := jose.ParseEncrypted([]byte(compact))
	if err != nil {
		return "", err
	}
	plain, err := set.Decrypt(m)
	return string(plain), err
}

// The examples of RFC 7520 that use algorithms which exist for us.
func TestEncryptedVectors(t *testing.T) {
	for _, v := range encryptedVectors(t) {
		key, err := jose.ParseDecryptionKey(v.JWK)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if got, err := decrypt(v.JWE, key); err != nil || got != v.Plain {
			t.Errorf("%s: got %q, %v, want %q", v.Name, got, err, v.Plain)
		}
	}
}

// Every algorithm with every enc and curve: what one side makes the other reads, and the
// header says what it is.
func TestEncrypt(t *testing.T) {
	const signed = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"
	for _, alg := range jose.KeyManagements() {
		curves := []jose.Curve{jose.P256, jose.P384, jose.X25519}
		if strings.HasPrefix(string(alg), "RSA") {
			curves = []jose.Curve{""}
		}
		for _, curve := range curves {
			key := generateDecryption(t, alg, curve)
			for _, enc := range jose.ContentEncryptions() {
				name := fmt.Sprint(alg, curve, enc)
				compact, err := encrypter(t, key, enc).Encrypt(signed)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got, err := decrypt(compact, key); err != nil || got != signed {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
				head, _, _ := strings.Cut(compact, ".")
				raw, err := base64.RawURLEncoding.DecodeString(head)
				if err != nil {
					t.Fatal(err)
				}
				var header map[string]any
				if err := json.Unmarshal(raw, &header); err != nil {
					t.Fatal(err)
				}
				if header["alg"] != string(alg) || header["enc"] != string(enc) || header["cty"] != "JWT" || header["kid"] != key.ID() || header["zip"] != nil {
					t.Errorf("%s: got header %s", name, raw)
				}
			}
		}
	}
}

// The largest token that is signed fits into the largest that is decrypted.
func TestEncryptLargest(t *testing.T) {
	key := generateDecryption(t, jose.ECDHES, jose.P384)
	e := encrypter(t, key, jose.A256CBCHS512)
	largest := strings.Repeat("x", jose.MaxCompactBytes)
	compact, err := e.Encrypt(largest)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(compact, key); err != nil || got != largest {
		t.Errorf("got %d bytes of %d, %v", len(got), len(compact), err)
	}
	if _, err := e.Encrypt(largest + "x"); !errors.Is(err, jose.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, jose.ErrTooLarge)
	}
}

// An observer who may send what he likes learns from errors nothing about a key: damage
// anywhere is one and the same error, of the same text.
func TestDecryptionIsNoOracle(t *testing.T) {
	for _, alg := range []jose.KeyManagement{jose.RSAOAEP256, jose.ECDHESA256KW, jose.ECDHES} {
		key := generateDecryption(t, alg, "")
		for _, enc := range []jose.ContentEncryption{jose.A256GCM, jose.A128CBCHS256} {
			compact, err := encrypter(t, key, enc).Encrypt("a.b.c")
			if err != nil {
				t.Fatal(err)
			}
			for part := 1; part < 5; part++ { // the header says in clear what it says
				parts := strings.Split(compact, ".")
				if parts[part] == "" {
					continue
				}
				raw, err := base64.RawURLEncoding.DecodeString(parts[part])
				if err != nil {
					t.Fatal(err)
				}
				for _, at := range []int{0, len(raw) - 1} {
					damaged := slices.Clone(raw)
					damaged[at] ^= 1
					parts[part] = base64.RawURLEncoding.EncodeToString(damaged)
					got, err := decrypt(strings.Join(parts, "."), key)
					if err != jose.ErrDecryption || got != "" { //nolint:errorlint // the very same value: nothing is wrapped
						t.Errorf("%s %s part %d: got %q, %v, want %v alone", alg, enc, part, got, err, jose.ErrDecryption)
					}
				}
			}
		}
	}
}

// The recipient's kid chooses the key; without kid each that fits is tried.
func TestDecryptionKeys(t *testing.T) {
	former, now := generateDecryption(t, jose.ECDHES, ""), generateDecryption(t, jose.ECDHESA256KW, "")
	rsaKey, other := generateDecryption(t, jose.RSAOAEP256, ""), generateDecryption(t, jose.ECDHESA256KW, "")
	for _, key := range []*jose.DecryptionKey{former, now, rsaKey} {
		compact, err := encrypter(t, key, "").Encrypt("a.b.c")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decrypt(compact, now, former, rsaKey); err != nil || got != "a.b.c" {
			t.Errorf("%s: got %q, %v", key.ID(), got, err)
		}
		if _, err := decrypt(compact, other); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("another key: got %v, want %v", err, jose.ErrUnknownKey)
		}
		if _, err := decrypt(compact); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("no key: got %v, want %v", err, jose.ErrUnknownKey)
		}
	}
	// RFC 7520 §5.5 without its kid: nothing but the header's bytes change, so that it does
	// not decrypt any more, but the key is looked for by its type.
	v := encryptedVectors(t)[1]
	key, err := jose.ParseDecryptionKey(v.JWK)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(v.JWE, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	nameless := strings.Replace(string(raw), `"kid":"meriadoc.brandybuck@buckland.example",`, "", 1)
	compact := base64.RawURLEncoding.EncodeToString([]byte(nameless)) + "." + rest
	if _, err := decrypt(compact, rsaKey, key); !errors.Is(err, jose.ErrDecryption) {
		t.Errorf("no kid: got %v, want %v", err, jose.ErrDecryption)
	}
	if _, err := decrypt(compact, rsaKey); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("no kid, no key that fits: got %v, want %v", err, jose.ErrAlgorithm)
	}
	if _, err := jose.NewDecryptionKeys(now, now); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("twice: got %v, want %v", err, jose.ErrMalformed)
	}
	if _, err := jose.NewDecryptionKeys(slices.Repeat([]*jose.DecryptionKey{now}, jose.MaxDecryptionKeys+1)...); !errors.Is(err, jose.ErrTooLarge) {
		t.Errorf("many: got %v, want %v", err, jose.ErrTooLarge)
	}
}

// RFC 8725 §3: what would cost or help an attacker is refused before any cryptography.
func TestParseEncrypted(t *testing.T) {
	good := encryptedVectors(t)[1].JWE
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	head := func(header string) string { return enc([]byte(header)) + good[len(parts[0]):] }
	const ec = `,"enc":"A128CBC-HS256","epk":{}`
	with := func(i int, part string) string {
		changed := slices.Clone(parts)
		changed[i] = part
		return strings.Join(changed, ".")
	}
	for _, c := range []struct {
		name, compact string
		want          error
	}{
		{"good", good, nil},
		{"cty and unknown members", head(`{"alg":"ECDH-ES","cty":"JWT","x":[1],"apu":"QQ"` + ec + `}`), nil},
		{"RSA1_5", head(`{"alg":"RSA1_5"` + ec + `}`), jose.ErrAlgorithm},
		{"RSA-OAEP with SHA-1", head(`{"alg":"RSA-OAEP"` + ec + `}`), jose.ErrAlgorithm},
		{"dir", head(`{"alg":"dir"` + ec + `}`), jose.ErrAlgorithm},
		{"PBES2", head(`{"alg":"PBES2-HS256+A128KW","p2c":1000000000,"p2s":"AAAA"` + ec + `}`), jose.ErrAlgorithm},
		{"A256KW", head(`{"alg":"A256KW"` + ec + `}`), jose.ErrAlgorithm},
		{"A256GCMKW", head(`{"alg":"A256GCMKW"` + ec + `}`), jose.ErrAlgorithm},
		{"ECDH-ES+A192KW", head(`{"alg":"ECDH-ES+A192KW"` + ec + `}`), jose.ErrAlgorithm},
		{"enc", head(`{"alg":"ECDH-ES","epk":{},"enc":"A192GCM"}`), jose.ErrAlgorithm},
		{"none", head(`{"alg":"none"` + ec + `}`), jose.ErrAlgorithm},
		{"zip", head(`{"alg":"ECDH-ES","zip":"DEF"` + ec + `}`), jose.ErrMalformed},
		{"crit", head(`{"alg":"ECDH-ES","crit":["exp"]` + ec + `}`), jose.ErrMalformed},
		{"no epk", head(`{"alg":"ECDH-ES","enc":"A128CBC-HS256"}`), jose.ErrMalformed},
		{"epk is no object", head(`{"alg":"ECDH-ES","enc":"A128CBC-HS256","epk":"x"}`), jose.ErrMalformed},
		{"no alg", head(`{"enc":"A128CBC-HS256"}`), jose.ErrMalformed},
		{"alg is no string", head(`{"alg":["ECDH-ES"]` + ec + `}`), jose.ErrMalformed},
		{"member twice", head(`{"alg":"ECDH-ES","alg":"ECDH-ES"` + ec + `}`), jose.ErrMalformed},
		{"more than an object", head(`{"alg":"ECDH-ES"` + ec + `}{}`), jose.ErrMalformed},
		{"kid too long", head(`{"alg":"ECDH-ES","kid":"` + strings.Repeat("k", jose.MaxKeyIDBytes+1) + `"` + ec + `}`), jose.ErrTooLarge},
		{"header too long", head(`{"alg":"ECDH-ES"` + ec + strings.Repeat(" ", jose.MaxHeaderBytes) + `}`), jose.ErrTooLarge},
		{"whole too long", good + strings.Repeat("A", jose.MaxEncryptedBytes), jose.ErrTooLarge},
		{"JSON serialization", `{"protected":"` + parts[0] + `","ciphertext":"AA","iv":"AA","tag":"AA"}`, jose.ErrMalformed},
		{"a JWS", "e30.e30.AA", jose.ErrMalformed},
		{"six parts", good + ".AA", jose.ErrMalformed},
		{"a key for ECDH-ES", with(1, "AAAA"), jose.ErrMalformed},
		{"short iv", with(2, "AAAA"), jose.ErrMalformed},
		{"short tag", with(4, "AAAA"), jose.ErrMalformed},
		{"no ciphertext", with(3, ""), jose.ErrMalformed},
		{"padding", with(4, parts[4]+"=="), jose.ErrMalformed},
		{"line break", with(3, parts[3]+"\n"), jose.ErrMalformed},
		{"no wrapped key", head(`{"alg":"ECDH-ES+A128KW"` + ec + `}`), jose.ErrMalformed},
		{"no RSA", head(`{"alg":"RSA-OAEP-256"` + ec + `}`), jose.ErrMalformed},
	} {
		m, err := jose.ParseEncrypted([]byte(c.compact))
		if !errors.Is(err, c.want) || (m == nil) != (err != nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// The law: what others send never fails in another way than by an error, and only the
// vectors decrypt.
func FuzzParseEncrypted(f *testing.F) {
	list := encryptedVectors(f)
	good := map[string]bool{}
	var keys []*jose.DecryptionKey
	for _, v := range list {
		good[v.JWE] = true
		key, err := jose.ParseDecryptionKey(v.JWK)
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, key)
	}
	keys = append(keys, generateDecryption(f, jose.RSAOAEP256, ""), generateDecryption(f, jose.ECDHESA128KW, jose.X25519))
	set, err := jose.NewDecryptionKeys(keys...)
	if err != nil {
		f.Fatal(err)
	}
	for i, v := range list {
		_, rest, _ := strings.Cut(v.JWE, ".")
		f.Add([]byte(v.JWE))
		for _, epk := range []string{
			`{"kty":"OKP","crv":"X25519","x":"AAAA"}`, `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, `{"kty":"EC","crv":"P-521","x":"AAAA","y":"AAAA"}`,
			`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"AAAA"}`, `{"kty":"oct","k":"AAAA"}`, `{}`,
		} {
			for _, alg := range []string{"ECDH-ES", "ECDH-ES+A128KW"} {
				header := fmt.Sprintf(`{"alg":%q,"enc":%q,"epk":%s,"jwk":{},"x5c":[1],"apu":"A"}`, alg, []string{"A128GCM", "A128CBC-HS256"}[i], epk)
				f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest))
			}
		}
	}
	f.Fuzz(func(t *testing.T, compact []byte) {
		m, err := jose.ParseEncrypted(compact)
		if (m == nil) != (err != nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		if m == nil {
			return
		}
		if plain, err := set.Decrypt(m); (plain == nil) != (err != nil) || err == nil && !good[string(compact)] {
			t.Fatalf("%s: got %q, %v", compact, plain, err)
		}
	})
}
