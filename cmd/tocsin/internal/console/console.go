// Package console serves web pages for people over the admin API of the same process:
// what `tocsin` commands do, in a browser.
//
//	c, err := console.ForTransmitter(t, issuer, provider, url, logger)
//	handler := c.Beside(t.AdminHandler())
//
// Every figure on a page and every act goes through the admin API's own handlers, called
// in this process ([view.get], [view.do]): rules, validation, errors and the audit of acts
// are one with those of the commands. Here stand sign-in and sessions (signin.go,
// session.go), who may do what (roles.go), and the pages: those of a transmitter in
// transmitter.go, with a file and templates of their own each.
//
// Pages are asked for by GET and change nothing; acts are forms, sent by POST, and are
// answered with a redirect to a page that says what came of them. All works without
// scripts. docs/console.md tells operators.
package console

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	standing "github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Prefix is where the pages are; Handler serves what is under it.
const Prefix = "/console/"

// maxForm bounds the body of a form.
const maxForm = 1 << 20

// Config says what a console stands before. Fields without a word about zero are required.
type Config struct {
	// Pages are what there is to see.
	Pages Pages
	// Name is what the installation is called on every page: its issuer, its folder.
	Name string
	// API is the admin API of this process. It learns by [OperatorOf] who asks.
	API http.Handler
	// Check returns the name of who sends a good admin token with a request, which is
	// asked at sign-in, and again with each page: what ends a token ends its session.
	Check func(r *http.Request) (name string, err error)
	// URL is where browsers reach the listener, without a slash at its end, and is asked
	// once it is open; "": they do not.
	URL func() string
	// Signed is told of who signs in and out before it is so; its error keeps it from
	// being so. nil: nobody is told.
	Signed func(ctx context.Context, r *http.Request, act string, by eventlog.Actor, how string) error
	// Provider signs people in, besides tokens and links; nil: none does.
	Provider *Provider
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Pages are those of one half.
type Pages struct {
	// Half is "Transmitter" or "Receiver".
	Half string
	// sections are in the navigation, in its order.
	sections []section
	// mount adds the routes.
	mount func(c *Console)
}

// section is an entry of the navigation.
type section struct{ Path, Title string }

// Console serves the pages of one process. Safe for concurrent use.
type Console struct {
	cfg      Config
	api      *adminapi.Client
	sessions *sessions
	codes    *codes
	oidc     *oidc                     // nil: there is none
	failing  *edge.Rates[netip.Prefix] // sign-ins that fail, by address
	pages    map[string]*template.Template
	live     *listeners
	ended    prometheus.Counter // sessions, by signals
	mux      *http.ServeMux
	origin   *http.CrossOriginProtection
}

//go:embed all:templates static
var files embed.FS

// New returns a console that starts nothing.
func New(cfg Config) (*Console, error) {
	if cfg.Pages.mount == nil || cfg.API == nil || cfg.Check == nil || cfg.URL == nil || cfg.Logger == nil {
		return nil, errors.New("console: Config.Pages, API, Check, URL and Logger are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Signed == nil {
		cfg.Signed = func(context.Context, *http.Request, string, eventlog.Actor, string) error { return nil }
	}
	pages, err := parsePages(files)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c := &Console{
		cfg: cfg, api: adminapi.Behind(cfg.API), sessions: newSessions(cfg.Now), codes: newCodes(cfg.Now),
		pages: pages, failing: edge.NewRates[netip.Prefix](failedSignIns, cfg.Now), live: newListeners(), ended: newEnded(), mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(),
	}
	if cfg.Provider != nil {
		if c.oidc, err = newOIDC(*cfg.Provider, cfg.Now); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		c.mountOIDC()
	}
	c.mountSignIn()
	c.mux.Handle("GET /console/static/", http.StripPrefix("/console", static(files)))
	cfg.Pages.mount(c)
	c.page("GET /console/", func(*view) error { return errNoPage })
	return c, nil
}

// Handler serves Prefix and what is under it.
func (c *Console) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		if err := c.origin.Check(r); err != nil {
			c.refuse(w, r, &failure{status: http.StatusForbidden, title: "From another site", text: "This was sent by a page of another site, so nothing was done."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		c.mux.ServeHTTP(w, r)
		_, route := c.mux.Handler(r)
		edge.From(r.Context()).Note(route, "")
	})
}

// policy lets pages load what is served here and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// page serves a pattern of [http.ServeMux] to those who are signed in. Others are sent to
// sign in first.
func (c *Console) page(pattern string, show func(*view) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s := c.sessionOf(r)
		if s == nil {
			c.toSignIn(w, r)
			return
		}
		if c.verdict(s) == standing.Unknown {
			c.refuse(w, r, errUnsure)
			return
		}
		edge.From(r.Context()).Note("", s.by.LogName())
		v := &view{console: c, w: w, r: r.WithContext(withOperator(r.Context(), s)), session: s}
		if err := show(v); err != nil {
			c.refuse(w, v.r, err)
		}
	})
}

// act serves a form. It is a page that is asked for by POST; its own answer is a redirect.
func (c *Console) act(path string, do func(*view) error) {
	c.page("POST "+path, func(v *view) error {
		if err := v.r.ParseForm(); err != nil {
			return &failure{status: http.StatusBadRequest, title: "Not understood", text: "The form could not be read."}
		}
		return do(v)
	})
}

type operatorKey struct{}

func withOperator(ctx context.Context, s *session) context.Context {
	return context.WithValue(ctx, operatorKey{}, s)
}

// OperatorOf returns on whose behalf the console makes a request to the API; false for
// a request that it did not make.
func OperatorOf(r *http.Request) (by eventlog.Actor, ok bool) {
	s, ok := r.Context().Value(operatorKey{}).(*session)
	if !ok {
		return eventlog.Actor{}, false
	}
	return s.by, true
}

// Beside serves the console in front of next; a browser that asks for nothing is sent to it.
func (c *Console) Beside(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(Prefix, c.Handler())
	mux.Handle("GET /{$}", http.RedirectHandler(Prefix, http.StatusSeeOther))
	mux.Handle("/", next)
	return mux
}

// secure reports whether the browser came by https: to us, or to the proxy in front of
// us that Config.URL leads to.
func (c *Console) secure(r *http.Request) bool {
	return r.TLS != nil && r.TLS.Version >= tls.VersionTLS12 || strings.HasPrefix(c.cfg.URL(), "https://")
}
