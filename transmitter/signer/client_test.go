package signer_test

import (
	"crypto"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// Every algorithm signs through the socket, many at once, and the keys are announced in
// their order.
func TestSigns(t *testing.T) {
	keys := generate(t, jose.RS256, jose.PS256, jose.ES256, jose.EdDSA)
	h := open(t, socket(t), signer.ServerConfig{Keys: keys})
	c := client(t, signer.Config{Path: h.path})
	if c.Announced() != nil {
		t.Error("got keys before anybody asked")
	}
	running(t, c)
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := c.Announced()
	for i, key := range list.Keys() {
		if key.ID() != keys[i].Public.ID() || key.Algorithm() != keys[i].Public.Algorithm() {
			t.Errorf("key %d: got %s, want %s", i, key.ID(), keys[i].Public.ID())
		}
	}
	if err := c.Ask(t.Context()); err != nil || c.Announced() != list {
		t.Errorf("asked again: got another set (%v), want the same", err)
	}
	var all sync.WaitGroup
	for range 100 {
		for _, key := range keys {
			all.Go(func() {
				if err := sign(t, c, key.Public); err != nil {
					t.Errorf("%s: got %v", key.Public.Algorithm(), err)
				}
			})
		}
	}
	all.Wait()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c.Metrics())
	scraped := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scraped, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	for _, want := range []string{
		`tocsin_signer_requests_total{outcome="failed"} 0`, `tocsin_signer_requests_total{outcome="signed"} 400`,
		"tocsin_signer_up 1", "tocsin_signer_keys 4",
	} {
		if !strings.Contains(scraped.Body.String(), want) {
			t.Errorf("metrics: got no %s in\n%s", want, scraped.Body)
		}
	}
}

// A signer that goes away is known to be away, by everybody at once; who waits is told
// when it is back, and the connections of before harm nobody.
func TestAway(t *testing.T) {
	keys := generate(t, jose.ES256, jose.EdDSA)
	h := open(t, socket(t), signer.ServerConfig{Keys: keys[:1]})
	c := client(t, signer.Config{Path: h.path})
	running(t, c)
	public := keys[0].Public
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sign(t, c, public); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Away("other"); !errors.Is(err, signer.ErrNotHeld) {
		t.Errorf("a key that it does not have: got %v, want ErrNotHeld", err)
	}
	h.end()
	if err := sign(t, c, public); err == nil {
		t.Error("without a signer: got a signature")
	}
	again, err := c.Away(public.ID())
	if err == nil {
		t.Fatal("got no word of it, want that it is away")
	}
	h = open(t, h.path, signer.ServerConfig{Keys: keys})
	wait(t, again)
	if _, err := c.Away(public.ID()); err != nil {
		t.Errorf("got %v, want it back", err)
	}
	// It has another key now: what it announces is taken over.
	if got := c.Announced().Len(); got != 2 {
		t.Errorf("got %d keys, want 2", got)
	}
	// A restart that nobody has seen: the kept connection is gone, the call is not.
	h.end()
	open(t, h.path, signer.ServerConfig{Keys: keys})
	if err := sign(t, c, public); err != nil {
		t.Errorf("over a connection of before: got %v, want a signature", err)
	}
}

func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("it did not come back")
	}
}

// A signer that takes connections and says nothing costs one timeout, not one for each
// SET.
func TestFrozen(t *testing.T) {
	path := socket(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	keys := generate(t, jose.ES256)
	c := client(t, signer.Config{Path: path, Timeout: 50 * time.Millisecond})
	if err := sign(t, c, keys[0].Public); err == nil {
		t.Error("got a signature of nobody")
	}
	began := time.Now()
	for range 1000 {
		if err := sign(t, c, keys[0].Public); err == nil {
			t.Error("got a signature of nobody")
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("1,000 signatures that cannot be made: got %v, want no wait for each", took)
	}
}

// Who answers in another version, or as another protocol, is refused.
func TestOtherVersion(t *testing.T) {
	for _, hello := range []string{`{"protocol":"tocsin-signer","version":2}`, `{"protocol":"ssh","version":1}`, `{"protocol":"tocsin-signer","version":1,"error":{"code":"peer"}}`, `hello`} {
		path := socket(t)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(hello))), hello...))
		}()
		if err := client(t, signer.Config{Path: path}).Ask(t.Context()); err == nil {
			t.Errorf("%s: got no error, want one", hello)
		}
		_ = l.Close()
	}
}

// liar has one key and signs with another.
type liar struct{ shown, used crypto.Signer }

func (l liar) Public() crypto.PublicKey { return l.shown.Public() }

func (l liar) Sign(rand io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.used.Sign(rand, input, opts)
}

// teller panics with what it holds.
type teller struct{ crypto.Signer }

func (teller) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("d=s3cr3t") }

// What is no signature of the key never leaves the house; and one that fails, or panics,
// costs one signature.
func TestFaultySigner(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		keys := generate(t, alg, alg)
		keys[0].Signer = liar{keys[0].Signer, keys[1].Signer}
		h := open(t, socket(t), signer.ServerConfig{Keys: keys[:1]})
		if err := sign(t, client(t, signer.Config{Path: h.path}), keys[0].Public); err == nil || !strings.Contains(err.Error(), "no signature of the key") {
			t.Errorf("%s: got %v, want an error", alg, err)
		}
	}
	keys := generate(t, jose.ES256)
	keys[0].Signer = liar{keys[0].Signer, teller{keys[0].Signer}}
	h := open(t, socket(t), signer.ServerConfig{Keys: keys})
	err := sign(t, client(t, signer.Config{Path: h.path}), keys[0].Public)
	if refusal := (*signer.Refusal)(nil); !errors.As(err, &refusal) || refusal.Code != signer.CodeFailed {
		t.Errorf("one that panics: got %v, want %s", err, signer.CodeFailed)
	}
	if err := client(t, signer.Config{Path: h.path}).Ask(t.Context()); err != nil {
		t.Errorf("after that: got %v, want an answer", err)
	}
	if said := h.log.String(); !strings.Contains(said, "panicked") || strings.Contains(said, "s3cr3t") {
		t.Errorf("got the log %q, want the panic without its words", said)
	}
}

func TestNew(t *testing.T) {
	for _, path := range []string{"", strings.Repeat("x", 200)} {
		if _, err := signer.New(signer.Config{Path: path}); err == nil {
			t.Errorf("%q: got no error, want one", path)
		}
	}
}
