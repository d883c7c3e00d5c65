package receive_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// Whoever sends what is refused, more of it than rate_address allows, is refused without
// a look for a while; others are not, and "off" is no limit.
func TestRateOfAddress(t *testing.T) {
	now := time.Now()
	for _, limit := range []string{"1", "off"} {
		var rate config.Limit
		if err := rate.UnmarshalText([]byte(limit)); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		cfg, err := receive.Config{
			Data:         filepath.Join(dir, "data"),
			EdgeSettings: config.EdgeSettings{RateAddress: rate},
			Issuers:      []receive.Issuer{{Name: "kc", Issuer: "https://kc.example", Audience: []string{"https://rp.example"}, JWKSURL: "https://kc.example/keys"}},
		}.Complete(receive.Flags)
		if err != nil {
			t.Fatal(err)
		}
		d, err := receive.Open(t.Context(), cfg, receive.Options{Address: "https://rp.example", Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		ask := func(h http.Handler, from, method, path string) int {
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
				t.Errorf("%s: got Retry-After %q, want 1", path, w.Header().Get("Retry-After"))
			}
			return w.Code
		}
		const one, another = "203.0.113.1:1", "203.0.113.2:1"
		for range 10 {
			if got := ask(d.Handler(), one, http.MethodPost, "/push/kc"); got != http.StatusUnsupportedMediaType {
				t.Fatalf("got %d, want 415", got)
			}
		}
		want := map[string]int{"1": http.StatusTooManyRequests, "off": http.StatusUnsupportedMediaType}[limit]
		if got := ask(d.Handler(), one, http.MethodPost, "/push/kc"); got != want {
			t.Errorf("SEC-08 rate_address %s: got %d, want %d", limit, got, want)
		}
		if got := ask(d.Handler(), another, http.MethodPost, "/push/kc"); got != http.StatusUnsupportedMediaType {
			t.Errorf("rate_address %s, another address: got %d, want 415", limit, got)
		}
		if want == http.StatusUnsupportedMediaType {
			want = http.StatusUnauthorized
		}
		if got := ask(d.AdminHandler("token"), one, http.MethodGet, "/metrics"); got != want {
			t.Errorf("rate_address %s, the admin listener: got %d, want %d", limit, got, want)
		}
		w := httptest.NewRecorder()
		d.SocketHandler(nil).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		if counted := map[string]string{"1": "2", "off": "0"}[limit]; !strings.Contains(w.Body.String(), "tocsin_receive_limited_total "+counted+"\n") {
			t.Errorf("rate_address %s: got no count of %s in the metrics", limit, counted)
		}
	}
}
