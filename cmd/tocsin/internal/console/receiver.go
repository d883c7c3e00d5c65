package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Receiver is what a console asks of the receiver that it stands before.
type Receiver interface {
	// PagesHandler serves the admin API to these pages, which say who asks.
	PagesHandler(who func(*http.Request) (by eventlog.Actor, ok bool), reload func(ctx context.Context) error) http.Handler
	// NoteSession notes that somebody signs in or out.
	NoteSession(ctx context.Context, r *http.Request, act string, by eventlog.Actor, how string) error
}

// ForReceiver returns the console of a receiver. reload reads its configuration anew.
// token is the admin token to sign in with; "": there is none. provider and url are those
// of [Config].
func ForReceiver(r Receiver, reload func(ctx context.Context) error, name, token string, provider *Provider, url func() string, logger *slog.Logger) (*Console, error) {
	return New(Config{
		Provider: provider, Pages: receiverPages(), Name: name, URL: url, Logger: logger,
		API: r.PagesHandler(OperatorOf, reload), Check: tokenCheck(token), Signed: signed(r, logger),
	})
}

// signed notes sign-ins; who cannot be let in for that is told to come again.
func signed(rec Receiver, logger *slog.Logger) func(context.Context, *http.Request, string, eventlog.Actor, string) error {
	return func(ctx context.Context, r *http.Request, act string, by eventlog.Actor, how string) error {
		err := rec.NoteSession(ctx, r, act, by, how)
		if err == nil {
			return nil
		}
		logger.ErrorContext(ctx, "an act could not be noted, and was not done", "act", act, "err", err)
		return errors.Join(&failure{status: http.StatusServiceUnavailable, title: "Not now", text: "This cannot be noted in the audit now. Try again in a moment."}, err)
	}
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
			{auditPage, "Audit"},
		},
		mount: func(c *Console) {
			c.page("GET /console/{$}", issuers)
			c.act("/console/reload", reload)
			c.mountFigures()
			c.mountJournal()
			c.mountLetters()
			c.mountGate()
			c.mountExplain()
			c.mountAudit()
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
