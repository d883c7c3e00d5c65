package outbox_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

// recipient makes a receiver's key, and what a stream keeps of it.
func recipient(t testing.TB, alg jose.KeyManagement) (*jose.DecryptionKey, string) {
	t.Helper()
	key, err := jose.GenerateDecryptionKey(alg, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.NewEncrypter(key.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(text)
}

// opened decrypts a SET and parses it.
func opened(t *testing.T, compact string, key *jose.DecryptionKey) (*set.Token, error) {
	t.Helper()
	keys, err := jose.NewDecryptionKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jose.ParseEncrypted([]byte(compact))
	if err != nil {
		return nil, err
	}
	if m.ContentType != jose.ContentTypeJWT {
		t.Errorf("RFC 7519 §5.2: got cty %q, want JWT", m.ContentType)
	}
	plain, err := keys.Decrypt(m)
	if err != nil {
		return nil, err
	}
	return set.Parse(plain)
}

// SET-5.1-01, JWT-3.11-01: the SETs of a stream with a recipient's key leave encrypted to
// it, events and control, each with its typ inside; others leave as they did.
func TestEncrypted(t *testing.T) {
	rec := record(t, 1)
	b := newBench(t, func(c *outbox.Config) { c.Records = records{1: rec} })
	plain, tok := b.sign(t, stream(), item(rec, 0, 0))
	if strings.Count(plain.Compact, ".") != 2 {
		t.Fatalf("without a key: got %s", plain.Compact)
	}
	s := stream()
	key, text := recipient(t, jose.ECDHES)
	s.Encryption = text
	control := streams.Item{Stream: "s1", Lane: streams.LaneControl, ID: "c1", Type: streams.TypeVerification, Payload: []byte("{}"), Added: time.Now()}
	for _, it := range []streams.Item{item(rec, 0, 0), control} {
		out, err := b.Sign(t.Context(), s, it)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := opened(t, out.Compact, key)
		if err != nil || inner.ID != it.ID || inner.Header.Type != set.HeaderType || inner.Header.KeyID != b.key.KeyID() {
			t.Fatalf("got %+v, %v, want the SET %s", inner, err, it.ID)
		}
		if it.Lane != streams.LaneControl && string(inner.Claims()) != string(tok.Claims()) {
			t.Errorf("got claims %s, want those of the one that is not encrypted: %s", inner.Claims(), tok.Claims())
		}
	}
}

// Bytes that were kept for another key do not leave: a SET that waits is encrypted to the
// key that the stream has now, also to another one of the same kid, or to none.
func TestRecipientChanges(t *testing.T) {
	rec := record(t, 1)
	b := newBench(t, func(c *outbox.Config) { c.Records = records{1: rec} })
	s, it := stream(), item(rec, 0, 0)
	former, text := recipient(t, jose.ECDHES)
	s.Encryption = text
	first, err := b.Sign(t.Context(), s, it)
	if err != nil {
		t.Fatal(err)
	}
	b.Keep(it, first)
	if again, err := b.Sign(t.Context(), s, it); err != nil || again.Compact != first.Compact {
		t.Errorf("nothing changed: got other bytes, %v", err)
	}
	now, text := recipient(t, jose.ECDHES)
	s.Encryption = strings.ReplaceAll(text, now.ID(), former.ID())
	changed, err := b.Sign(t.Context(), s, it)
	if err != nil || changed.Compact == first.Compact {
		t.Fatalf("a new key of the same kid: got the bytes of the former, %v", err)
	}
	if _, err := opened(t, changed.Compact, former); !errors.Is(err, jose.ErrDecryption) {
		t.Errorf("the former key: got %v, want %v", err, jose.ErrDecryption)
	}
	b.Keep(it, changed)
	s.Encryption = ""
	if _, tok := b.sign(t, s, it); tok.ID != it.ID {
		t.Errorf("off again: got %v", tok)
	}
	s.Encryption = "of another version"
	if out, err := b.Sign(t.Context(), s, it); err == nil || errors.Is(err, outbox.ErrGone) {
		t.Errorf("a key that cannot be read: got %v, %v, want an error that keeps the item", out, err)
	}
}

// BenchmarkEncrypt reports what encryption adds to a SET, as a multiple of its RS256
// signature, which is what a SET costs without.
func BenchmarkEncrypt(b *testing.B) {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(`{"x":"` + strings.Repeat("x", 450) + `"}`)
	signed, err := signer.Sign(payload)
	if err != nil {
		b.Fatal(err)
	}
	for _, alg := range []jose.KeyManagement{jose.RSAOAEP256, jose.ECDHES, jose.ECDHESA256KW} {
		private, text := recipient(b, alg)
		e, err := jose.ParseEncrypter([]byte(text))
		if err != nil {
			b.Fatal(err)
		}
		keys, err := jose.NewDecryptionKeys(private)
		if err != nil {
			b.Fatal(err)
		}
		compact, err := e.Encrypt(signed)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) {
			var sign, encrypt, decrypt time.Duration
			clock := func(total *time.Duration, f func() error) {
				began := time.Now()
				if err := f(); err != nil {
					b.Fatal(err)
				}
				*total += time.Since(began)
			}
			for b.Loop() {
				clock(&sign, func() error { _, err := signer.Sign(payload); return err })
				clock(&encrypt, func() error { _, err := e.Encrypt(signed); return err })
				clock(&decrypt, func() error {
					m, err := jose.ParseEncrypted([]byte(compact))
					if err == nil {
						_, err = keys.Decrypt(m)
					}
					return err
				})
			}
			b.ReportMetric(0, "ns/op") // of all together, which says nothing
			b.ReportMetric(float64(sign.Nanoseconds())/float64(b.N), "sign-ns")
			b.ReportMetric(float64(encrypt)/float64(sign), "encrypt-x-sign")
			b.ReportMetric(float64(decrypt)/float64(sign), "decrypt-x-sign")
		})
	}
}
