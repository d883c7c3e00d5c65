package acmecert_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// slower fails if more than most requests were made for a path, or two of them within least.
func (f *fake) slower(path string, most int, least time.Duration) {
	f.t.Helper()
	all := f.when(path)
	if len(all) > most {
		f.t.Errorf("%s: got %d requests, want %d at most", path, len(all), most)
	}
	for i := 1; i < len(all); i++ {
		if pause := all[i].Sub(all[i-1]); pause < least {
			f.t.Errorf("%s: got a pause of %v, want %v at least", path, pause, least)
			return
		}
	}
}

// Orders keep their distance whatever the server says, does not say, or what the clock
// says: a server gives few certificates of a name in a week.
func TestOrdersKeepTheirDistance(t *testing.T) {
	const day = 24 * time.Hour
	limited := func(value string) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response {
			if r.URL.Path != "/order" {
				return nil
			}
			return say(429, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}`, "Retry-After", value)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*fake)
		most   int // orders in three days
		least  time.Duration
	}{
		{"our clock is ahead, so that each one is due already", func(f *fake) { f.life, f.before = 90*day, 70*day }, 76, time.Minute},
		{"lives of an hour", func(f *fake) { f.life = time.Hour }, 109, 40 * time.Minute},
		{"lives of seconds", func(f *fake) { f.life = 3 * time.Second }, 6, time.Minute},
		{"429 for two days", func(f *fake) { f.answer = limited("172800") }, 4, day},
		{"429 for six hours", func(f *fake) { f.answer = limited("21600") }, 13, 6 * time.Hour},
		{"429 for a year", func(f *fake) { f.answer = limited("31536000") }, 4, day},
		{"429 for longer than a number", func(f *fake) { f.answer = limited("99999999999999999999999") }, 4, day},
		{"429 for longer than a duration", func(f *fake) { f.answer = limited("10000000000") }, 4, day},
		{"429 until yesterday", func(f *fake) { f.answer = limited("Thu, 01 Jan 1970 00:00:00 GMT") }, 76, time.Minute},
		{"429 for less than nothing", func(f *fake) { f.answer = limited("-5") }, 76, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				tt.change(f)
				var said log
				_, stop := f.of(t, &said, nil)
				<-time.After(min(3*day+time.Minute, 100*f.life)) // by the bubble\'s clock
				stop()
				f.slower("/order", tt.most, tt.least)
				if len(f.when("/order")) == 0 {
					t.Errorf("got no order\n%s", said.String())
				}
			})
		})
	}
}

// A server that has one wait, or speaks without end, is asked seldom and given up in time.
func TestServerThatHangs(t *testing.T) {
	at := func(path string, status int, body string, headers ...string) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response {
			if r.URL.Path != path {
				return nil
			}
			return say(status, body, headers...)
		}
	}
	const order = `{"status":"pending","finalize":"https://ca.example/finalize","authorizations":[]}`
	for _, tt := range []struct {
		name   string
		path   string // asked at most 320 times in five minutes
		answer func(*http.Request) *http.Response
		want   string
	}{
		{"pending", "/order/1", at("/order/1", 200, order), "deadline"},
		{"pending, with a pause below nothing", "/order/1", at("/order/1", 200, order, "Retry-After", "-1"), "deadline"},
		{"pending, until the past", "/order/1", at("/order/1", 200, order, "Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT"), "deadline"},
		{"pending for a year", "/order/1", at("/order/1", 200, order, "Retry-After", "31536000"), "deadline"},
		{"redirects", "/dir", at("/dir", 302, "", "Location", "https://ca.example/dir"), "302"},
		{"a directory without end", "/dir", at("/dir", 200, `{"x":"`+strings.Repeat("x", 2<<20)+`"}`), "more than"},
		{"words without end", "/dir", at("/dir", 400, strings.Repeat("x", 2<<20)), "xxx"},
		{"chain without end", "/cert", at("/cert", 200, strings.Repeat("x", 2<<20)), "more than"},
		{"no directory", "/dir", at("/dir", 200, `[]`), "acme-directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.answer = func(r *http.Request) *http.Response {
					if r.URL.Path == "/order" && strings.HasPrefix(tt.path, "/order") {
						return say(201, order, "Location", "https://ca.example/order/1")
					}
					return tt.answer(r)
				}
				var said log
				m, stop := f.of(t, &said, nil)
				<-time.After(5*time.Minute + 30*time.Second) // by the bubble\'s clock
				stop()
				f.slower(tt.path, 320, 100*time.Millisecond)
				text := said.String()
				if !strings.Contains(text, "NO CERTIFICATE COULD BE OBTAINED") || !strings.Contains(text, tt.want) {
					t.Errorf("got %.2000s\nwant it told with %q", text, tt.want)
				}
				for line := range strings.Lines(text) {
					if len(line) > 2000 {
						t.Errorf("got a line of %d bytes, want it short", len(line))
					}
				}
				if got := counted(t, m, "failed"); got < 1 {
					t.Errorf("got %v failures counted, want one", got)
				}
			})
		})
	}
}

// A server that comes back with another directory, or has forgotten the account, is asked
// anew from the beginning.
func TestDirectoryIsAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.answer = func(r *http.Request) *http.Response {
			if r.URL.Path == "/dir" && len(f.asked["/dir"]) == 1 {
				return say(200, `{"newNonce":"https://ca.example/nonce","newAccount":"https://ca.example/account","newOrder":"https://ca.example/old"}`)
			}
			return nil
		}
		var said log
		m, stop := f.of(t, &said, func(c *acmecert.Config) { c.Email = "ops@example.com" })
		<-time.After(2 * time.Minute) // by the bubble\'s clock
		stop()
		if m.First() == nil || len(f.when("/dir")) != 2 {
			t.Errorf("got %d looks at the directory, want 2 and a certificate\n%s", len(f.when("/dir")), said.String())
		}
		if got, want := f.payload("/account/1"), `{"contact":["mailto:ops@example.com"]}`; got != want {
			t.Errorf("an account that there was: got %q, want %q", got, want)
		}
	})
}

// A certificate that cannot be saved, because the disk is full, is served and not ordered
// again, and is saved when there is room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var said log
		var dir string
		gone := func(r *http.Request) *http.Response {
			if r.URL.Path == "/cert" {
				_ = os.RemoveAll(dir) // as good as full, also for root
			}
			return nil
		}
		f.answer = gone
		m, stop := f.of(t, &said, func(c *acmecert.Config) { dir = c.Dir })
		<-time.After(5 * time.Hour) // by the bubble\'s clock
		if cert, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: host}); cert == nil || err != nil {
			t.Errorf("got %v (%v), want it served", cert, err)
		}
		if got := len(f.when("/order")); got != 1 {
			t.Errorf("got %d orders, want 1", got)
		}
		if !strings.Contains(said.String(), "THE CERTIFICATE COULD NOT BE SAVED") || !strings.Contains(said.String(), "room") {
			t.Errorf("got %s\nwant it told", said.String())
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour + time.Minute) // by the bubble\'s clock
		stop()
		if path, chain, err := acmecert.Chain(strings.TrimSuffix(dir, "/acme"), host); len(chain) != 1 || err != nil {
			t.Errorf("%s: got %v (%v), want it saved", path, chain, err)
		}
		if got := len(f.when("/order")); got != 1 {
			t.Errorf("got %d orders, want 1", got)
		}
	})
}

// Addresses that the server names are judged as its own is: by the guard, at each connection.
func TestServerPointsInwards(t *testing.T) {
	t.Parallel()
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("got a call inwards") }))
	inner.Listener = listen(t, "127.0.0.2:0")
	inner.StartTLS()
	t.Cleanup(inner.Close)
	for _, target := range []string{inner.URL, "https://169.254.169.254", "https://10.0.0.1", "http://127.0.0.1:1"} {
		var said log
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"newNonce":"`+target+`/n","newAccount":"`+target+`/a","newOrder":"`+target+`/o"}`)
		}))
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		_, stop := newFake(t).of(t, &said, func(c *acmecert.Config) {
			c.Directory = server.URL + "/dir"
			c.Client = guard.NewClient(guard.Policy{RootCAs: roots, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
		})
		eventually(t, target, &said, func() bool {
			return strings.Contains(said.String(), "address not allowed") || strings.Contains(said.String(), "not https")
		})
		stop()
	}
}

// What strangers name in a handshake, or in a request, costs next to nothing.
func TestLongNames(t *testing.T) {
	m, err := acmecert.New(acmecert.Config{Domains: []string{host}, Dir: t.TempDir(), Client: guard.NewClient(guard.Policy{})})
	if err != nil {
		t.Fatal(err)
	}
	var name strings.Builder
	for r := rune(0x4e00); name.Len() < 48_000; r++ {
		name.WriteRune(r) // to ASCII is quadratic in these
	}
	begun := time.Now()
	if cert, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name.String() + ".example"}); cert != nil || err != nil {
		t.Errorf("got %v (%v), want none", cert, err)
	}
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Host = name.String()[:30_000] + ".example"
	if m.Handler().ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("got %d, want 404", w.Code)
	}
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("got %v, want a moment", took)
	}
}

// counted is how many orders had a result.
func counted(t *testing.T, m *acmecert.Manager, result string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.Metrics())
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("got %v (%v), want one family", families, err)
	}
	for _, one := range families[0].GetMetric() {
		if one.GetLabel()[0].GetValue() == result {
			return one.GetCounter().GetValue()
		}
	}
	t.Fatalf("got no result %q", result)
	return 0
}
