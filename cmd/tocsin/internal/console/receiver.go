package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// ForReceiver returns the console of a receiver over its admin API. token is the admin
// token to sign in with; "": there is none. provider and url are those of [Config].
func ForReceiver(api http.Handler, name, token string, provider *Provider, url func() string, logger *slog.Logger) (*Console, error) {
	return New(Config{Provider: provider, Pages: receiverPages(), Name: name, URL: url, API: api, Check: tokenCheck(token), Logger: logger})
}

// receiverPages are the sections of a receiver's console.
func receiverPages() Pages {
	return Pages{
		Half: "Receiver",
		sections: []section{
			{Prefix, "Issuers"},
			{figuresPage, "Figures"},
			{journalPage, "Journal"},
			{lettersPage, "Dead letters"},
			{gatePage, "Gate"},
			{explainPage, "Explain"},
		},
		mount: func(c *Console) {
			c.page("GET /console/{$}", issuers)
			c.act("/console/reload", reload)
			c.mountFigures()
			c.mountJournal()
			c.mountLetters()
			c.mountGate()
			c.mountExplain()
		},
	}
}

// tokenCheck compares the bearer token of a request with the one that there is.
func tokenCheck(token string) func(*http.Request) (string, error) {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) (string, error) {
		got := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return "", errors.New("console: not the admin token")
		}
		return "admin token", nil
	}
}

// issuers shows how it stands with each transmitter.
func issuers(v *view) error {
	page := struct {
		Frame
		receive.Health
	}{Frame: v.frame("Issuers")}
	if err := v.get("/admin/health", &page.Health); err != nil {
		return err
	}
	return v.show("issuers", page)
}

// reload reads the configuration anew.
func reload(v *view) error {
	err := v.do(http.MethodPost, "/admin/reload", nil, nil)
	return v.tried(err, Prefix, "The configuration was read, and is in force.")
}
