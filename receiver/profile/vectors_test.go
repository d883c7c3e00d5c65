package profile_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/siwa"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// vector is a file of testdata: what a transmitter sends, and what becomes of it. SETs
// are signed with set/testdata/key.json (kid "test") and arrive at [now].
type vector struct {
	Issuer   string          `json:"issuer"`
	Audience []string        `json:"audience"`
	PushURL  string          `json:"push_url"`
	Header   json.RawMessage `json:"header"`
	Claims   json.RawMessage `json:"claims"`
	// Refused is in the refusal of a strict receiver; "": it accepts.
	Refused string `json:"refused"`
	// Reads is what is read of it, where a strict receiver reads something else.
	Reads *struct {
		Type    string          `json:"type"`
		Subject json.RawMessage `json:"subject"`
	} `json:"reads"`

	Stream  json.RawMessage `json:"stream"`  // no SET: a stream, for receiver/client
	Failure json.RawMessage `json:"failure"` // no SET: an answer to a push
	Current delivery.Code   `json:"current"` // today's code of Failure

	Want struct {
		Type      string          `json:"type"`
		Subject   json.RawMessage `json:"subject"`
		Scope     []string        `json:"scope"`
		EventTime int64           `json:"event_time"`
		Payload   json.RawMessage `json:"payload"`
	} `json:"want"`
}

func now() time.Time { return time.Unix(1764000000, 0) }

func load(t testing.TB, path string) vector {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

var loadKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "set", "testdata", "key.json"))
	if err != nil {
		return nil, err
	}
	var jwk struct{ N, D, P, Q string }
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return nil, err
	}
	number := func(s string) *big.Int {
		b, decodeErr := base64.RawURLEncoding.DecodeString(s)
		err = errors.Join(err, decodeErr)
		return new(big.Int).SetBytes(b)
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(jwk.N), E: 65537}, D: number(jwk.D), Primes: []*big.Int{number(jwk.P), number(jwk.Q)},
	}
	key.Precompute()
	return key, err
})

// keySource has the one key, under its kid or without.
type keySource struct{ set *jose.KeySet }

func (k keySource) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.set.Find(kid, alg)
}

func (k keySource) SoleKey(_ context.Context, _ string, alg jose.Algorithm, _ *jose.PublicKey) (*jose.PublicKey, error) {
	return k.set.Sole(alg)
}

func published(t testing.TB) keySource {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "set", "testdata", "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.ParsePublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return keySource{jose.NewKeySet(key)}
}

// sign makes a compact JWS of any header and claims.
func sign(t testing.TB, header, claims []byte) string {
	t.Helper()
	key, err := loadKey()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	input := enc(header) + "." + enc(claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc(signature)
}

func (v vector) compact(t testing.TB) string { return sign(t, v.Header, v.Claims) }

func openInbox(t testing.TB) *sqliteinbox.Inbox {
	t.Helper()
	in, err := sqliteinbox.Open(t.Context(), sqliteinbox.Config{Path: filepath.Join(t.TempDir(), "inbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// config is that of a receiver of v's issuer, strict.
func (v vector) config(t testing.TB, in *sqliteinbox.Inbox) receiver.Config {
	t.Helper()
	return receiver.Config{
		Issuer: v.Issuer, Audience: v.Audience, PushURL: v.PushURL, Keys: published(t), Now: now, Skew: -1,
		Inbox: in, Mux: receiver.NewMux(), Logger: slog.New(slog.DiscardHandler),
	}
}

// judge returns what a receiver with these tolerances makes of v: a token, or an error
// that refuses it. What is no SET has no token.
func (v vector) judge(t testing.TB, in *sqliteinbox.Inbox, tolerances set.Tolerances) (*set.Token, error) {
	t.Helper()
	switch {
	case v.Stream != nil:
		return nil, v.readStream(t, tolerances)
	case v.Failure != nil:
		return nil, v.readFailure(t, tolerances)
	}
	cfg := v.config(t, in)
	cfg.Tolerances = tolerances
	if cfg.PushURL == "" {
		cfg.PushURL = "https://rp.example.com/push"
	}
	if tolerances.EventsAsString { // this is what the switch is: the adapter
		dialect, err := siwa.New(siwa.Config{Issuer: v.Issuer, Audience: v.Audience, Keys: cfg.Keys, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Dialect = dialect
	}
	r, err := receiver.New(cfg)
	if err != nil {
		return nil, err
	}
	d, err := r.Examine(t.Context(), []byte(v.compact(t)))
	return d.Token, err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (v vector) readStream(t testing.TB, tolerances set.Tolerances) error {
	t.Helper()
	c, err := client.New(client.Config{
		Issuer: v.Issuer, Audience: v.Audience, LegacyDeliveryURI: tolerances.LegacyDeliveryURI,
		Metadata: &wellknown.Configuration{Issuer: v.Issuer, ConfigurationEndpoint: v.Issuer + "/streams"},
		HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(v.Stream)))}, nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(t.Context(), "f67e39a0a4d34d56b3aa1bc4cff0069f")
	if err == nil && s.Delivery != (streams.DeliveryConfiguration{Method: delivery.MethodPush, EndpointURL: s.Delivery.EndpointURL}) {
		t.Errorf("got %+v, want push", s.Delivery)
	}
	return err
}

// readFailure reads an answer as a pushing side does (transmitter/profile, errors=former).
func (v vector) readFailure(t testing.TB, tolerances set.Tolerances) error {
	t.Helper()
	f, ok := delivery.ParseFailure(v.Failure)
	if !ok {
		t.Fatalf("got no failure of %s", v.Failure)
	}
	if tolerances.LegacyErrorCodes {
		f.Err = f.Err.Current()
	}
	if !f.Err.Known() {
		return errors.New(string(f.Err))
	}
	if f.Err != v.Current {
		t.Errorf("got %s, want %s", f.Err, v.Current)
	}
	return nil
}
