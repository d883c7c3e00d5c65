package main

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// cookie holds the id of a session.
const cookie = "sid"

// app is the application: a login, and a page for those who have one.
func (s *sessions) app() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		s.login(id, r.FormValue("email"))
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookie)
		if err != nil {
			http.Error(w, "log in", http.StatusUnauthorized)
			return
		}
		email, ok := s.find(c.Value)
		if !ok {
			http.Error(w, "log in again", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "hello", email)
	})
	return mux
}

// httpClient calls the transmitter: at public addresses, or, for trials, on this machine
// with a CA of its own.
func httpClient(ca string) (*http.Client, error) {
	policy := guard.Policy{Timeout: receiver.DefaultPollTimeout}
	if ca != "" {
		raw, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		policy.RootCAs = x509.NewCertPool()
		if !policy.RootCAs.AppendCertsFromPEM(raw) {
			return nil, errors.New(ca + " holds no certificate")
		}
		policy.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	return guard.NewClient(policy), nil
}
