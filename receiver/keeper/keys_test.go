package keeper_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// deaf is an inbox that takes everything and keeps nothing.
type deaf struct{ inbox.Inbox }

func (deaf) Append(_ context.Context, messages ...inbox.Message) ([]inbox.Appended, error) {
	return make([]inbox.Appended, len(messages)), nil
}
func (deaf) Counts(context.Context, string) (inbox.Counts, error) { return inbox.Counts{}, nil }

// static is a keeper of a peer's SETs that runs nothing and keeps none.
func static(t testing.TB, p *peer, change func(*keeper.Config)) *keeper.Keeper {
	t.Helper()
	cfg := (&party{t: t}).config(p.issuer, t.TempDir())
	cfg.Receiver.Inbox, cfg.JWKSURL = deaf{}, p.issuer+"/jwks"
	change(&cfg)
	k, err := keeper.New(cfg)
	must(t, err)
	return k
}

func offer(k *keeper.Keeper, compact string) int {
	req := httptest.NewRequest(http.MethodPost, "https://receiver.example/in", strings.NewReader(compact))
	req.Header.Set("Content-Type", delivery.MediaType)
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, req)
	return w.Code
}

// Keys are fetched once for 100,000 tokens (fewer in the daily run), however many come
// at once.
func TestKeysFetchedOnce(t *testing.T) {
	tokens := 16_000
	if os.Getenv("TOCSIN_TEST_LONG") != "" {
		tokens = 100_000
	}
	p := newPeer(t)
	k := static(t, p, func(*keeper.Config) {})
	compact := p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range tokens / 8 {
				if code := offer(k, compact); code != http.StatusAccepted {
					t.Errorf("got %d, want 202", code)
					return
				}
			}
		})
	}
	all.Wait()
	if n := p.count("GET /jwks"); n != 1 {
		t.Errorf("got %d requests for keys, want 1", n)
	}
	if a := k.Receiver().Activity(); a.Kept != uint64(tokens) {
		t.Errorf("got %d SETs kept, want %d", a.Kept, tokens)
	}
}

// A rotation in mid-stream loses nothing: the first SET of the new key makes it known, and
// SETs of the former one are taken while it is published.
func TestRotation(t *testing.T) {
	p, published := newPeer(t), atomic.Pointer[jose.KeySet]{}
	published.Store(jose.NewKeySet(peerKey().Public()))
	p.before = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/jwks" {
			answer(w, http.StatusOK, published.Load())
		}
		return r.URL.Path == "/jwks"
	}
	k := static(t, p, func(*keeper.Config) {})
	old := p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)
	next := generate(t)
	rotated := p.signClaims(decode(t, old), next)
	if code := offer(k, old); code != http.StatusAccepted {
		t.Fatalf("got %d, want 202", code)
	}
	published.Store(jose.NewKeySet(peerKey().Public(), next.Public()))
	<-time.After(20 * time.Millisecond) // KeyRefresh
	for range 50 {
		if a, b := offer(k, rotated), offer(k, old); a != http.StatusAccepted || b != http.StatusAccepted {
			t.Fatalf("got %d for the new key and %d for the former one, want 202", a, b)
		}
	}
	if n := p.count("GET /jwks"); n != 2 {
		t.Errorf("got %d requests for keys, want 2", n)
	}
}

// A flood of SETs with unknown kids makes one request per interval.
func TestUnknownKeysFlood(t *testing.T) {
	const interval = 100 * time.Millisecond
	p := newPeer(t)
	k := static(t, p, func(cfg *keeper.Config) { cfg.KeyRefresh = interval })
	other, err := jose.Generate(jose.ES256)
	must(t, err)
	claims := func(i int) string {
		b := set.Builder{
			Issuer: p.issuer, ID: fmt.Sprint(i), Audience: []string{audience}, IssuedAt: time.Now(), TransactionID: "t",
			Subject: email("alice"), Event: set.Event{Type: caep.SessionRevokedType, Payload: []byte(`{}`)},
		}
		raw, err := b.Claims()
		must(t, err)
		return string(raw)
	}
	began := time.Now()
	flood := time.After(6 * interval)
	var all sync.WaitGroup
	for i := range 8 {
		compact := p.signClaims(claims(i), other)
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-flood:
					return
				default:
				}
				if code := offer(k, compact); code != http.StatusBadRequest {
					t.Errorf("got %d for an unknown kid, want 400", code)
					return
				}
				if time.Since(began) > 6*interval {
					return
				}
			}
		})
	}
	all.Wait()
	most := int(time.Since(began)/interval) + 1
	if n := p.count("GET /jwks"); n < 2 || n > most {
		t.Errorf("got %d requests for keys in %v, want some and at most %d", n, time.Since(began), most)
	}
}

// While the key endpoint is down the keys that are known keep working; a SET of another
// key is to be offered again, and the health tells.
func TestKeysDown(t *testing.T) {
	p := newPeer(t)
	k := static(t, p, func(*keeper.Config) {})
	known := p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)
	if code := offer(k, known); code != http.StatusAccepted {
		t.Fatalf("got %d, want 202", code)
	}
	p.refusing(http.StatusBadGateway, "GET /jwks")
	other, err := jose.Generate(jose.ES256)
	must(t, err)
	<-time.After(20 * time.Millisecond) // KeyRefresh
	unknown := p.signClaims(strings.Replace(decode(t, known), `"jti":"a"`, `"jti":"b"`, 1), other)
	if code := offer(k, unknown); code != http.StatusServiceUnavailable {
		t.Errorf("got %d for a key that may exist, want 503", code)
	}
	for range 100 {
		if code := offer(k, known); code != http.StatusAccepted {
			t.Fatalf("got %d for a known key, want 202", code)
		}
	}
	h := k.Health(t.Context())
	if h.Keys.Count != 1 || !strings.Contains(h.Keys.Error, "502") || h.Standing != keeper.Failing {
		t.Errorf("got %+v, %s, want the key, the failure and a standing that tells", h.Keys, h.Standing)
	}
}

// A key file is read again when it changes, a JWKS or PEM; a file in ruins leaves the
// keys as they were.
func TestKeyFile(t *testing.T) {
	p, time := newPeer(t), &clock{}
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(content []byte) {
		t.Helper()
		must(t, os.WriteFile(path, content, 0o600))
		time.leap(hour)
		must(t, os.Chtimes(path, time.now(), time.now()))
	}
	first, second := peerKey(), generate(t)
	jwks := func(key *jose.PrivateKey) []byte {
		raw, err := json.Marshal(jose.NewKeySet(key.Public()))
		must(t, err)
		return raw
	}
	write(jwks(first))
	k := static(t, p, func(cfg *keeper.Config) { cfg.JWKSURL, cfg.KeyFile, cfg.Receiver.Now = "", path, time.now })
	old := p.sign("a", email("alice"), caep.SessionRevokedType, `{}`)
	rotated := p.signClaims(decode(t, old), second)
	if a, b := offer(k, old), offer(k, rotated); a != http.StatusAccepted || b != http.StatusBadRequest {
		t.Fatalf("got %d and %d, want 202 for the key in the file alone", a, b)
	}
	write([]byte("ruins"))
	if got := k.Health(t.Context()).Keys.Error; !strings.Contains(got, path) {
		t.Errorf("got %q, want an error that names the file", got)
	}
	if code := offer(k, old); code != http.StatusAccepted {
		t.Errorf("got %d while the file is in ruins, want 202", code)
	}
	write(jwks(second))
	if a, b := offer(k, rotated), offer(k, old); a != http.StatusAccepted || b != http.StatusBadRequest {
		t.Errorf("got %d and %d, want 202 for the new key alone", a, b)
	}
	if h := k.Health(t.Context()).Keys; h.Error != "" || h.Count != 1 || h.Fetched.IsZero() {
		t.Errorf("got %+v, want one key", h)
	}
	if n := p.count("GET"); n != 0 {
		t.Errorf("got %d requests, want none: the keys are in a file", n)
	}
}

// A key in PEM serves whatever kid a SET has.
func TestKeyFilePEM(t *testing.T) {
	p, dir := newPeer(t), t.TempDir()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(raw.Public())
	must(t, err)
	path := filepath.Join(dir, "key.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	must(t, os.WriteFile(path, block, 0o600))
	k := static(t, p, func(cfg *keeper.Config) { cfg.JWKSURL, cfg.KeyFile = "", path })
	private := jwkOf(t, raw, "their own kid")
	claims := decode(t, p.sign("a", email("alice"), caep.SessionRevokedType, `{}`))
	if code := offer(k, p.signClaims(claims, private)); code != http.StatusAccepted {
		t.Errorf("got %d, want 202", code)
	}
	if code := offer(k, p.signClaims(claims, generate(t))); code != http.StatusBadRequest {
		t.Errorf("got %d for another key, want 400", code)
	}
	for name, content := range map[string][]byte{
		"two of a kind": append(block, block...), "no key": []byte("-----BEGIN X-----\n-----END X-----\n"),
	} {
		must(t, os.WriteFile(path, content, 0o600))
		cfg := (&party{t: t}).config(p.issuer, t.TempDir())
		cfg.KeyFile = path
		if _, err := keeper.New(cfg); err == nil || !strings.Contains(err.Error(), "KeyFile") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names Config.KeyFile and the file", name, err)
		}
	}
}

func generate(t testing.TB) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	must(t, err)
	return key
}

// jwkOf is a P-256 key with a kid.
func jwkOf(t testing.TB, key *ecdsa.PrivateKey, kid string) *jose.PrivateKey {
	t.Helper()
	d, err := key.Bytes()
	must(t, err)
	point, err := key.PublicKey.Bytes()
	must(t, err)
	raw, err := json.Marshal(map[string]any{
		"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:]), "d": b64(d),
	})
	must(t, err)
	private, err := jose.ParsePrivateKey(raw)
	must(t, err)
	return private
}

// The keys are got before the first SET comes, and what is wrong with them is seen.
func TestKeysFetchedFirst(t *testing.T) {
	p := newPeer(t)
	p.refusing(http.StatusNotFound, "GET /jwks")
	r := start(t, p.issuer, t.TempDir(), func(cfg *keeper.Config, _ string) { cfg.JWKSURL = p.issuer + "/jwks" })
	if h := r.stands(keeper.Failing); !strings.Contains(h.Keys.Error, "404") {
		t.Errorf("got %+v, want the answer told", h.Keys)
	}
	p.refusing(0)
	if h := r.stands(keeper.OK); h.Keys.Count != 1 || h.Kept != 0 {
		t.Errorf("got %+v, want a key and no SET", h)
	}
}
