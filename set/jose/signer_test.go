package jose_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// SET-2.3-01: the header, once and for all.
func TestSignerHeader(t *testing.T) {
	key := generate(t, jose.EdDSA)
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := base64.RawURLEncoding.DecodeString(compact[:strings.IndexByte(compact, '.')])
	if want := `{"alg":"EdDSA","kid":"` + key.ID() + `","typ":"secevent+jwt"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	again, err := signer.Sign([]byte("{}"))
	if err != nil || again != compact {
		t.Errorf("signed again: got %s, %v, want %s", again, err, compact)
	}
}

func TestSignerRefuses(t *testing.T) {
	key := generate(t, jose.EdDSA)
	if _, err := jose.NewSigner(key, ""); err == nil {
		t.Error("no typ: got nil, want an error")
	}
	if _, err := jose.NewSigner(nil, "secevent+jwt"); err == nil {
		t.Error("no key: got nil, want an error")
	}
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := signer.Sign(make([]byte, jose.MaxCompactBytes)); !errors.Is(err, jose.ErrTooLarge) || got != "" {
		t.Errorf("too large: got %d bytes, %v, want %v", len(got), err, jose.ErrTooLarge)
	}
}

func TestSignConcurrently(t *testing.T) {
	key := generate(t, jose.ES256)
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				compact, err := signer.Sign([]byte(`{"a":1}`))
				if err != nil {
					t.Error(err)
					return
				}
				m, err := jose.Parse([]byte(compact))
				if err == nil {
					err = jose.Verify(m, key.Public())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// The stated difference: RS256 gives the same bytes again, PS256 does not.
func TestSignDeterminism(t *testing.T) {
	for alg, same := range map[jose.Algorithm]bool{jose.RS256: true, jose.PS256: false, jose.ES256: false, jose.EdDSA: true} {
		signer, err := jose.NewSigner(generate(t, alg), "secevent+jwt")
		if err != nil {
			t.Fatal(err)
		}
		a, errA := signer.Sign([]byte("{}"))
		b, errB := signer.Sign([]byte("{}"))
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256([]byte(a)) == sha256.Sum256([]byte(b)); got != same {
			t.Errorf("%s: got equal %v, want %v", alg, got, same)
		}
	}
}
