package auth_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// A forged assertion costs a signature whether its client is known, has that key, any key,
// or none: how long the refusal takes tells nobody which clients there are.
func TestForgedAssertionsCostAlike(t *testing.T) {
	d := newDesk(t, nil)
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256} {
		id := string(alg)
		theirs, forged := keyOf(t, alg), keyOf(t, alg)
		named := renamed(t, forged, theirs.Public().ID())
		d.client(t, auth.Client{ID: "secret-" + id, Scopes: []auth.Scope{"ssf.read"}})
		d.client(t, auth.Client{ID: "key-" + id, Scopes: []auth.Scope{"ssf.read"}, JWKS: jwks(t, theirs.Public())})
		assertion := func(client string, key *jose.PrivateKey) string {
			claims, err := json.Marshal(map[string]any{"iss": client, "sub": client, "aud": issuer, "exp": d.now.Load() + 60, "jti": "x"})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := newSigner(t, key, "client-authentication+jwt").Sign(claims)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
		sent := map[string]string{
			"known, by another key of the id": assertion("key-"+id, named), "known, by a key of another id": assertion("key-"+id, forged),
			"known by a secret": assertion("secret-"+id, forged), "unknown": assertion("unknown-"+id, named),
		}
		least := map[string]time.Duration{}
		for range 200 {
			for who, signed := range sent {
				begun := time.Now()
				res := post(d.TokenHandler(), tokenURL, asserting(signed))
				took := time.Since(begun)
				if res.StatusCode != 401 && res.StatusCode != 429 {
					t.Fatalf("%s: got %d, want a refusal", who, res.StatusCode)
				}
				if have, seen := least[who]; !seen || took < have {
					least[who] = took
				}
			}
		}
		cheap, dear := least["unknown"], least["unknown"]
		for _, took := range least {
			cheap, dear = min(cheap, took), max(dear, took)
		}
		if float64(cheap) < 0.7*float64(dear) {
			t.Errorf("%s: got %v at least, want about the same for each", alg, least)
		}
	}
}

// renamed returns a key with another kid.
func renamed(t *testing.T, key *jose.PrivateKey, kid string) *jose.PrivateKey {
	t.Helper()
	raw, err := key.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(raw, &jwk); err != nil {
		t.Fatal(err)
	}
	jwk["kid"] = kid
	if raw, err = json.Marshal(jwk); err != nil {
		t.Fatal(err)
	}
	made, err := jose.ParsePrivateKey(raw)
	if err != nil || made.ID() != kid {
		t.Fatalf("got %v, want a key of the id %s", err, kid)
	}
	return made
}
