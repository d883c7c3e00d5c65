package keeper_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/siwa"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// A dialect is kept as SETs are: with the keeper's keys, for a static registration.
func TestDialect(t *testing.T) {
	key, err := jose.Generate(jose.RS256)
	must(t, err)
	public, err := jose.NewKeySet(key.Public()).MarshalJSON()
	must(t, err)
	file := filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(file, public, 0o600))
	change := func(cfg *keeper.Config) {
		cfg.Receiver.Issuer, cfg.Receiver.Audience, cfg.Receiver.Inbox = siwa.Issuer, nil, deaf{}
		cfg.JWKSURL, cfg.KeyFile = "", file
		cfg.Dialect = func(keys set.KeySource) (receiver.Dialect, error) {
			return siwa.New(siwa.Config{Audience: []string{"com.example.app"}, Keys: keys})
		}
	}
	k := static(t, newPeer(t), change)
	claims, err := json.Marshal(map[string]any{
		"iss": siwa.Issuer, "aud": "com.example.app", "iat": time.Now().Unix(), "jti": "1",
		"events": `{"type":"consent-revoked","sub":"1"}`,
	})
	must(t, err)
	signer, err := jose.NewSigner(key, "JWT")
	must(t, err)
	compact, err := signer.Sign(claims)
	must(t, err)
	for body, want := range map[string]int{
		`{"payload":"` + compact + `"}`:                      http.StatusOK,
		`{"payload":"` + compact[:len(compact)-4] + `AAAA"}`: http.StatusBadRequest,
		compact: http.StatusBadRequest,
	} {
		req := httptest.NewRequest(http.MethodPost, "https://receiver.example/in", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if k.Handler().ServeHTTP(w, req); w.Code != want {
			t.Errorf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
	cfg := (&party{t: t}).config(siwa.Issuer, t.TempDir())
	change(&cfg)
	cfg.Stream = &keeper.Stream{}
	if _, err := keeper.New(cfg); err == nil || !strings.Contains(err.Error(), "Dialect") {
		t.Errorf("got %v, want Dialect named beside a stream", err)
	}
}
