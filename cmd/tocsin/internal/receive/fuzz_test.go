package receive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// doors are the listeners of a daemon that is not running: what is asked is answered, and
// nothing happens behind.
type doors struct {
	daemon *receive.Daemon
	open   map[string]http.Handler
	sign   func(claims string) string
}

const adminToken = "a-token-of-operators"

func newDoors(t testing.TB) doors {
	t.Helper()
	dir := t.TempDir()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.NewKeySet(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"keys.json": string(keys), "receive.yaml": `
listen: 127.0.0.1:0
public_url: https://rp.example
data: data
issuers:
- {name: idp, issuer: "https://idp.example", audience: "https://rp.example", mode: static, key_file: keys.json, algorithms: [ES256]}
sessions: {store: sqlite}
gate:
  fail: closed
  check: {listen: "127.0.0.1:9000", cookie: sid}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := receive.Read(filepath.Join(dir, "receive.yaml"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := receive.Open(t.Context(), cfg, receive.Options{
		Address: "https://rp.example", Node: "n1", Logger: slog.New(slog.DiscardHandler),
		Figures: func(of string) (any, bool) { return map[string]string{"range": of}, of == "" || of == "1h" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	return doors{d, map[string]http.Handler{
		"push": d.Handler(), "admin": d.AdminHandler(adminToken), "check": d.CheckHandler(),
		"socket": d.SocketHandler(func(context.Context) error { return errors.New("not now") }),
	}, func(claims string) string {
		compact, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}}
}

// ask makes a request; false: no HTTP server would hand it on.
func (d doors) ask(t *testing.T, door, method, target, header, body string) (*httptest.ResponseRecorder, bool) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'z' }) || method == "" {
		return nil, false
	}
	if d.open[door] == nil {
		door = "push"
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	r.Method, r.URL, r.RequestURI, r.RemoteAddr = method, u, target, "127.0.0.1:40000"
	r.Header.Set("Content-Type", "application/json")
	if door == "push" {
		r.Header.Set("Content-Type", delivery.MediaType)
	}
	r.Header["Authorization"], r.Header["Cookie"] = []string{header}, []string{header}
	w := httptest.NewRecorder()
	d.open[door].ServeHTTP(w, r)
	return w, true
}

// seed is a request and what it is answered.
type seed struct {
	door, method, target, header, body string
	want                               int
}

func (d doors) seeds() []seed {
	event := fmt.Sprintf(`{"iss":"https://idp.example","aud":"https://rp.example","iat":%d,"jti":"%s","sub_id":{"format":"email","email":"jo@example.com"},"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{}}}`, time.Now().Unix(), "1")
	bearer := "Bearer " + adminToken
	return []seed{
		{"push", "POST", "/push/idp", "", d.sign(event), 202},
		{"push", "POST", "/push/nobody", "", d.sign(event), 404},
		{"push", "POST", "/push/idp", "", d.sign(`{}`), 400},
		{"push", "GET", "/push/idp", "", "", 405},
		{"admin", "GET", "/healthz", "", "", 200},
		{"admin", "GET", "/readyz", "", "", 200},
		{"admin", "GET", "/metrics", bearer, "", 200},
		{"admin", "GET", "/metrics", "Bearer x", "", 401},
		{"admin", "GET", "/admin/health", bearer, "", 200},
		{"admin", "GET", "/admin/health", "", "", 401},
		{"admin", "POST", "/admin/reload", bearer, "", 404},
		{"admin", "GET", "/admin/figures?range=1h", bearer, "", 200},
		{"admin", "GET", "/admin/figures", "", "", 401},
		{"socket", "GET", "/admin/figures", "", "", 200},
		{"socket", "GET", "/admin/figures?range=1y", "", "", 400},
		{"socket", "GET", "/admin/health", "", "", 200},
		{"socket", "GET", "/admin/acts?by=uid:1000&limit=5&before=9", "", "", 200},
		{"socket", "GET", "/admin/acts?since=2026-01-01", "", "", 400},
		{"admin", "GET", "/admin/acts", bearer, "", 200},
		{"admin", "GET", "/admin/acts", "", "", 401},
		{"socket", "GET", "/metrics", "", "", 200},
		{"socket", "POST", "/admin/reload", "", "", 400},
		{"socket", "GET", "/admin/journal?issuer=idp&limit=5", "", "", 200},
		{"socket", "GET", "/admin/journal/totals", "", "", 200},
		{"socket", "GET", "/admin/dead-letters?after=7%20idp", "", "", 200},
		{"socket", "POST", "/admin/dead-letters/retry", "", `{"iss":"https://idp.example","jti":"x"}`, 404},
		{"socket", "POST", "/admin/dead-letters/drop", "", `{"iss":"","jti":"x"}`, 400},
		{"socket", "POST", "/admin/explain", "", d.sign(event), 200},
		{"socket", "POST", "/admin/explain", "", `{"payload":"a.b.c"}`, 400},
		{"socket", "POST", "/sessions", "", `{"id":"s","members":{"user":[{"format":"email","email":"jo@example.com"}]}}`, 204},
		{"socket", "POST", "/sessions", "", `{"id":"s","id":"t"}`, 400},
		{"socket", "POST", "/sessions/remove", "", `{"ids":["s"]}`, 204},
		{"socket", "POST", "/sessions", "", `{"id":"t","members":{"user":[{"format":"opaque","id":"1"}]},"expires":"9999-01-01T00:00:00Z"}`, 204},
		{"check", "GET", "/any/where", "sid=t", "", 200},
		{"check", "GET", "/", "", "", 401},
		{"check", "GET", "/", "sid=nobody", "", 401},
		{"check", "POST", "/sessions", "", `{}`, 401},
	}
}

// judge holds an answer against what every answer is.
func (d doors) judge(t *testing.T, door, method, target, header, body string, w *httptest.ResponseRecorder) {
	t.Helper()
	about := fmt.Sprintf("%s %s %s (%q) with %.300q: got %d %.300s", door, method, target, header, body, w.Code, w.Body)
	if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
		t.Fatal(about)
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
		t.Fatalf("%s, which is no JSON", about)
	}
	if u, err := url.ParseRequestURI(target); err == nil && door == "admin" && w.Code < 300 && header != "Bearer "+adminToken && u.Path != "/healthz" && u.Path != "/readyz" {
		t.Fatalf("%s without the token", about)
	}
}

// Each endpoint of the daemon can be used, and refuses what it says it does.
func TestDoors(t *testing.T) {
	d := newDoors(t)
	for _, s := range d.seeds() {
		w, _ := d.ask(t, s.door, s.method, s.target, s.header, s.body)
		if d.judge(t, s.door, s.method, s.target, s.header, s.body, w); w.Code != s.want {
			t.Errorf("%s %s %s with %.80q: got %d %s, want %d", s.door, s.method, s.target, s.body, w.Code, w.Body, s.want)
		}
	}
}

// No request to any listener of the daemon makes it fail or panic, and none without the
// token is told what operators alone are.
func FuzzDoors(f *testing.F) {
	d := newDoors(f)
	for _, s := range d.seeds() {
		f.Add(s.door, s.method, s.target, s.header, s.body, false)
		f.Add(s.door, s.method, s.target, s.header, s.body, true)
	}
	f.Fuzz(func(t *testing.T, door, method, target, header, body string, signed bool) {
		if signed {
			body = d.sign(body)
		}
		if w, ok := d.ask(t, door, method, target, header, body); ok {
			d.judge(t, door, method, target, header, body, w)
		}
	})
}
