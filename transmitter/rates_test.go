package transmitter_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// slow is a house whose clock stands until it is moved, and which lets in one request
// a second, ten at once.
func slow(t *testing.T, change ...func(*setup)) (h *house, wait func(time.Duration)) {
	var at atomic.Int64
	at.Store(time.Now().UnixNano())
	h = open(t, append([]func(*setup){func(s *setup) {
		s.idle, s.RateClient, s.RateAddress = true, 1, 1
		s.Now = func() time.Time { return time.Unix(0, at.Load()) }
	}}, change...)...)
	return h, func(d time.Duration) { at.Add(int64(d)) }
}

// from makes a request as from another address.
func (h *house) from(address, method, path, token, body string, headers ...string) answer {
	h.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.RemoteAddr = address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	got, err := io.ReadAll(w.Result().Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{w.Code, w.Header(), string(got)}
}

// checkSlow checks that an answer says when to come again.
func checkSlow(t *testing.T, name string, a answer) {
	t.Helper()
	checkError(t, name, a, http.StatusTooManyRequests)
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 || n > 10 {
		t.Errorf("%s: got Retry-After %q, want whole seconds", name, a.header.Get("Retry-After"))
	}
}

const (
	one     = "203.0.113.1:1"
	another = "203.0.113.2:1"
)

// A client has its rate wherever it calls from and whatever it asks; it costs no other
// client of the same address anything, and it is let in again after the time it is told.
func TestRateOfClient(t *testing.T) {
	h, wait := slow(t)
	busy, calm := h.client("alice", everyScope), h.client("alice", everyScope)
	for range 5 {
		for _, path := range []string{"/ssf/streams", "/v1/event-types"} {
			if a := h.from(one, "GET", path, busy, ""); a.status != http.StatusOK {
				t.Fatalf("%s: got %d %s", path, a.status, a.body)
			}
		}
	}
	a := h.from(another, "GET", "/ssf/streams", busy, "")
	checkSlow(t, "SEC-08 the eleventh", a)
	checkSlow(t, "SEC-08 a write", h.from(one, "POST", "/v1/events", busy, event("a")))
	if a := h.from(one, "GET", "/ssf/streams", calm, ""); a.status != http.StatusOK {
		t.Errorf("another client: got %d, want 200", a.status)
	}
	seconds, _ := strconv.Atoi(a.header.Get("Retry-After"))
	wait(time.Duration(seconds) * time.Second)
	if a := h.from(one, "GET", "/ssf/streams", busy, ""); a.status != http.StatusOK {
		t.Errorf("after Retry-After: got %d, want 200", a.status)
	}
	for range 200 { // what was refused is not counted
		h.from(one, "GET", "/ssf/streams", busy, "")
	}
	wait(time.Second)
	if a := h.from(one, "GET", "/ssf/streams", busy, ""); a.status != http.StatusOK {
		t.Errorf("after more that was refused: got %d, want 200", a.status)
	}
	// By address nothing was counted.
	if a := h.from(one, "GET", "/jwks.json", "", ""); a.status != http.StatusOK {
		t.Errorf("metadata: got %d, want 200", a.status)
	}
}

// What asks for no token, or shows a wrong one, is counted by address. A good token is
// let in from there all the same: nobody who shares an address can keep it out.
func TestRateOfAddress(t *testing.T) {
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, tt := range []struct {
		name, method, path, token, body string
		headers                         []string
		status                          int
	}{
		{"metadata", "GET", "/.well-known/ssf-configuration", "", "", nil, 200},
		{"keys", "GET", "/jwks.json", "", "", nil, 200},
		{"the token endpoint", "POST", "/oauth/token", "", "grant_type=client_credentials&client_id=x&client_secret=y", form, 401},
		{"revocation", "POST", "/oauth/revoke", "", "token=x&client_id=x&client_secret=y", form, 401},
		{"no token", "GET", "/ssf/streams", "", "", nil, 401},
		{"a wrong token", "POST", "/v1/events", "invalid:token", "{}", nil, 401},
		{"a scope that is not enough", "GET", "/v1/events", "SCOPELESS", "", nil, 403},
		{"no such path", "GET", "/wp-login.php", "", "", nil, 404},
		{"a wrong method", "TRACE", "/ssf/streams", "", "", nil, 405},
		{"no such source", "POST", "/v1/sources/x", "", "{}", nil, 401},
	} {
		h, wait := slow(t)
		good := h.client("alice", everyScope)
		if tt.token == "SCOPELESS" {
			tt.token = h.client("alice", "ssf.read")
		}
		for i := range 10 {
			if a := h.from(one, tt.method, tt.path, tt.token, tt.body, tt.headers...); a.status != tt.status {
				t.Fatalf("%s: got %d for request %d, want %d", tt.name, a.status, i, tt.status)
			}
		}
		a := h.from(one, tt.method, tt.path, tt.token, tt.body, tt.headers...)
		if strings.HasPrefix(tt.path, "/oauth/") {
			if a.status != http.StatusTooManyRequests || a.member("error") != "temporarily_unavailable" || a.header.Get("Retry-After") != "1" {
				t.Errorf("%s: got %d %s, want 429 in the form of RFC 6749", tt.name, a.status, a.body)
			}
		} else {
			checkSlow(t, "SEC-08 "+tt.name, a)
		}
		if a := h.from(one, "GET", "/ssf/streams", good, ""); a.status != http.StatusOK {
			t.Errorf("%s: a good token from there: got %d, want 200", tt.name, a.status)
		}
		if a := h.from(another, tt.method, tt.path, tt.token, tt.body, tt.headers...); a.status != tt.status {
			t.Errorf("%s: another address: got %d, want %d", tt.name, a.status, tt.status)
		}
		wait(time.Second)
		if a := h.from(one, tt.method, tt.path, tt.token, tt.body, tt.headers...); a.status != tt.status {
			t.Errorf("%s: a second later: got %d, want %d", tt.name, a.status, tt.status)
		}
	}
}

// An IPv6 /64 is one address; without limits there is none; each transmitter counts for
// itself, whatever another has counted.
func TestRatesApart(t *testing.T) {
	h, _ := slow(t)
	get := func(h *house, from string) int { return h.from(from, "GET", "/jwks.json", "", "").status }
	for i := range 10 {
		if got := get(h, "[2001:db8:0:1::"+strconv.Itoa(i+1)+"]:1"); got != http.StatusOK {
			t.Fatalf("got %d", got)
		}
	}
	if got := get(h, "[2001:db8:0:1:ffff::1]:1"); got != http.StatusTooManyRequests {
		t.Errorf("the same /64: got %d, want 429", got)
	}
	if got := get(h, "[2001:db8:0:2::1]:1"); got != http.StatusOK {
		t.Errorf("another /64: got %d, want 200", got)
	}
	second, _ := slow(t)
	if got := get(second, "[2001:db8:0:1::1]:1"); got != http.StatusOK {
		t.Errorf("another node: got %d, want 200", got)
	}
	off, _ := slow(t, func(s *setup) { s.RateClient, s.RateAddress = 0, 0 })
	token := off.client("alice", everyScope)
	for range 200 {
		if a, b := get(off, one), off.from(one, "GET", "/ssf/streams", token, "").status; a != http.StatusOK || b != http.StatusOK {
			t.Fatalf("off: got %d and %d, want 200", a, b)
		}
	}
}

// A vendor's source has the rate of a client.
func TestRateOfSource(t *testing.T) {
	h, wait := slow(t)
	secret := h.vendor(auth.VendorSource{Source: auth.Source{Name: "onelogin"}, Kind: auth.KindOneLogin, Auth: auth.VendorHeader, Header: "X-Tocsin"})
	send := func(from string) answer {
		return h.from(from, "POST", "/v1/sources/onelogin", "", oneLoginEnd, "X-Tocsin", secret)
	}
	for range 10 {
		if a := send(one); a.status != http.StatusAccepted {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	checkSlow(t, "SEC-08 the eleventh", send(another))
	wait(time.Second)
	if a := send(one); a.status != http.StatusAccepted {
		t.Errorf("a second later: got %d, want 202", a.status)
	}
}
