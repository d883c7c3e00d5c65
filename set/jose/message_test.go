package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

type vector struct {
	Name string          `json:"name"`
	JWK  json.RawMessage `json:"jwk"`
	JWS  string          `json:"jws"`
	Want string          `json:"want"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// Each vector is a token, a key and the verdict: the examples of RFC 7515 and
// RFC 8037, and what must not pass (RFC 8725 §3).
func TestVectors(t *testing.T) {
	verdicts := map[string]error{
		"ok": nil, "malformed": jose.ErrMalformed,
		"algorithm": jose.ErrAlgorithm, "signature": jose.ErrSignature,
	}
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			want, listed := verdicts[v.Want]
			if !listed {
				t.Fatalf("unknown verdict %q", v.Want)
			}
			key, err := jose.ParsePublicKey(v.JWK)
			if err != nil {
				t.Fatal(err)
			}
			m, err := jose.Parse([]byte(v.JWS))
			if err == nil {
				err = jose.Verify(m, key)
			} else if m != nil {
				t.Errorf("failed parse: got %+v, want nil", m)
			}
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	enc := base64.RawURLEncoding.EncodeToString
	compact := []byte(enc([]byte(`{"kid":"k","typ":"secevent+jwt","alg":"none","cty":"c","jku":"https://a","x5c":[1]}`)) + "." + enc([]byte("payload")) + ".")
	m, err := jose.Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Compact(), string(compact); got != want {
		t.Errorf("compact: got %s, want %s", got, want)
	}
	for i := range compact {
		compact[i] = 'x' // the message must not depend on the caller's bytes
	}
	if got, want := m.Header, (jose.Header{Algorithm: "none", KeyID: "k", Type: "secevent+jwt", ContentType: "c"}); got != want {
		t.Errorf("header: got %+v, want %+v", got, want)
	}
	if got, want := string(m.Payload), "payload"; got != want {
		t.Errorf("payload: got %s, want %s", got, want)
	}
	if m.Compact()[0] == 'x' {
		t.Error("the message keeps the caller's bytes")
	}
}

// JWT-3.10-01: a kid is bounded, like everything else.
func TestParseBounds(t *testing.T) {
	enc := base64.RawURLEncoding.EncodeToString
	header := func(kid, more string) string {
		return enc([]byte(`{"alg":"RS256","kid":"`+kid+`"`+more+`}`)) + ".e30.AA"
	}
	cases := []struct {
		name, compact string
		want          error
	}{
		{"longest kid", header(strings.Repeat("k", jose.MaxKeyIDBytes), ""), nil},
		{"kid", header(strings.Repeat("k", jose.MaxKeyIDBytes+1), ""), jose.ErrTooLarge},
		{"header", header("k", strings.Repeat(" ", jose.MaxHeaderBytes)), jose.ErrTooLarge},
		{"whole", header("k", "") + strings.Repeat("A", jose.MaxCompactBytes), jose.ErrTooLarge},
		{"deep nesting", header("k", `,"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), nil},
	}
	for _, c := range cases {
		if _, err := jose.Parse([]byte(c.compact)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestVerifyWithoutKey(t *testing.T) {
	m, err := jose.Parse([]byte(vectors(t)[0].JWS))
	if err != nil {
		t.Fatal(err)
	}
	if err := jose.Verify(m, nil); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("got %v, want %v", err, jose.ErrUnknownKey)
	}
}

// The law: what parses is, encoded again, the same token; a failed parse
// returns nothing; only a token of the vectors marked ok verifies.
func FuzzParse(f *testing.F) {
	list := vectors(f)
	good := map[string]bool{}
	var keys []*jose.PublicKey
	for _, v := range list {
		f.Add([]byte(v.JWS))
		if v.Want != "ok" {
			continue
		}
		good[v.JWS] = true
		key, err := jose.ParsePublicKey(v.JWK)
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, key)
	}
	f.Fuzz(func(t *testing.T, compact []byte) {
		m, err := jose.Parse(compact)
		if err != nil {
			if m != nil {
				t.Fatalf("failed parse: got %+v, want nil", m)
			}
			return
		}
		parts := bytes.Split(compact, []byte("."))
		if got := base64.RawURLEncoding.EncodeToString(m.Payload); got != string(parts[1]) {
			t.Fatalf("payload: got %s, want %s", got, parts[1])
		}
		if m.Compact() != string(compact) {
			t.Fatalf("compact: got %s, want %s", m.Compact(), compact)
		}
		for _, key := range keys {
			if jose.Verify(m, key) == nil && !good[string(compact)] {
				t.Fatalf("%s verifies", compact)
			}
		}
	})
}
