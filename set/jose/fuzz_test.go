package jose_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// keyFiles are the key sets and PEM files of the tests, as seeds.
func keyFiles(f *testing.F) {
	names, err := filepath.Glob("testdata/*")
	if err != nil || len(names) == 0 {
		f.Fatalf("got %v, %v, want files", names, err)
	}
	for _, name := range names {
		if raw, err := os.ReadFile(name); err == nil && len(raw) < 16<<10 {
			f.Add(raw)
		}
	}
	for _, v := range vectors(f) {
		f.Add([]byte(v.JWK))
		f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"00000000000000000000000000000000000000000000","y":"AA"}`)) // more than fits
		f.Add([]byte(`{"keys":[` + string(v.JWK) + `,{"kty":"oct","k":"AAAA","kid":"s"},null]}`))
	}
}

// What is read of a key set is written as a set of the same keys, without private
// halves, each found under its name; what fails returns nothing.
func FuzzParseKeySet(f *testing.F) {
	keyFiles(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := jose.ParseKeySet(raw)
		if err != nil {
			if keys != nil {
				t.Fatalf("got %v and %v", keys, err)
			}
			return
		}
		out, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{`"d":`, `"p":`, `"q":`, `"dp":`, `"k":`} {
			if bytes.Contains(out, []byte(private)) {
				t.Fatalf("got %s, which has %s", out, private)
			}
		}
		again, err := jose.ParseKeySet(out)
		if err != nil || len(again.Keys()) != len(keys.Keys()) || len(keys.Keys()) > jose.MaxKeys {
			t.Fatalf("%s: got %v (%v), want %d keys", out, again, err, len(keys.Keys()))
		}
		for i, key := range keys.Keys() {
			if found, err := keys.Find(key.ID(), key.Algorithm()); err != nil || found.Algorithm() != key.Algorithm() {
				t.Fatalf("%s %s: got %v", key.ID(), key.Algorithm(), err)
			}
			one, err := json.Marshal(key)
			if other, otherErr := json.Marshal(again.Keys()[i]); err != nil || otherErr != nil || !bytes.Equal(one, other) {
				t.Fatalf("got %s, %s, %v %v", one, other, err, otherErr)
			}
		}
	})
}

// A single key, public or private or in PEM, is read back as it is written, and its
// thumbprint is its own.
func FuzzParseKey(f *testing.F) {
	keyFiles(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		private, err := jose.ParsePrivateKey(raw)
		if (private == nil) != (err != nil) {
			t.Fatalf("private: got %v and %v", private, err)
		}
		public, err := jose.ParsePublicKey(raw)
		if (public == nil) != (err != nil) {
			t.Fatalf("public: got %v and %v", public, err)
		}
		if private != nil && (public == nil || private.Public().ID() != public.ID()) {
			t.Fatalf("got a private key and of its public half %v, %v", public, err)
		}
		list, err := jose.ParsePEM(raw)
		if (len(list) == 0) != (err != nil) || len(list) > jose.MaxKeys {
			t.Fatalf("PEM: got %d keys and %v", len(list), err)
		}
		secret, err := jose.ParsePrivatePEM(raw, "")
		if (secret == nil) != (err != nil) {
			t.Fatalf("private PEM: got %v and %v", secret, err)
		}
		if secret != nil {
			list = append(list, secret.Public())
		}
		if public != nil {
			list = append(list, public)
		}
		for _, key := range list {
			out, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			again, err := jose.ParsePublicKey(out)
			if err != nil || again.ID() != key.ID() || again.Algorithm() != key.Algorithm() {
				t.Fatalf("%s: got %v", out, err)
			}
			one, err := key.Thumbprint()
			if other, otherErr := again.Thumbprint(); err != nil || otherErr != nil || one != other {
				t.Fatalf("thumbprints: got %s %s, %v %v", one, other, err, otherErr)
			}
		}
	})
}
