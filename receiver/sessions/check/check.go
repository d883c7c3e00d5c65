// Package check is the gate for applications that stand behind a proxy: an HTTP
// endpoint that the proxy asks before it lets a request through. It serves nginx's
// auth_request, Caddy's and Traefik's forward authentication and Envoy's ext_authz (HTTP
// service); docs/gate.md has the configuration of each.
//
// The endpoint reads whose a request is from a cookie, a bearer token or headers that
// the proxy sets, and answers with the status alone:
//
//	200  good
//	401  ended, or nobody's: log in (again)
//	403  denied: no session is good for whom it is of; or not an asker's to ask
//	503  not known, and the gate fails closed
//
// It takes any path and method, and reads no body.
package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// maxCookies bounds the cookies of one name that a request may have.
const maxCookies = 4

// lookupTimeout bounds what is asked of stores and of issuers for one request.
const lookupTimeout = 5 * time.Second

// Config says how the endpoint is to be built. At least one of Cookie, Tokens and
// Headers says whose a request is. Where a request has several, each must be good.
type Config struct {
	// Gate decides; required.
	Gate *sessions.Gate
	// Listen is where the endpoint will be served, as of net.Listen: host:port, or a
	// path of a Unix socket. Unless that is loopback or a socket, a Token is needed.
	Listen string
	// Token is what a proxy shows in the header X-Tocsin-Token; at least MinTokenBytes.
	// Empty: whoever connects from this machine may ask.
	Token string
	// Cookie is the name of the cookie that holds the id of a session in Index; empty:
	// cookies are not read. A session that the index does not know is refused, unless
	// the gate fails open.
	Cookie string
	// Index finds sessions by the cookie; required with Cookie.
	Index sessions.Lookup
	// Tokens says how bearer tokens are verified; nil: they are not read.
	Tokens *Tokens
	// Headers are the names of headers that the proxy sets; nil: none are read.
	Headers *Headers
	// Anonymous lets requests through that show nothing of the above; else 401.
	Anonymous bool
	// ResponseHeaders has a good answer for a verified token tell the proxy whose it is:
	// X-Tocsin-Issuer, X-Tocsin-Subject and X-Tocsin-Session, each empty where it is not
	// known.
	ResponseHeaders bool
	// Observe, if set, is told of each answer: its status and how long it took.
	Observe func(status int, took time.Duration)
	// Decided, if set, is told of each answer and why it is so. It is called before the next
	// request is read, and must not wait.
	Decided func(Decision)
}

// Decision is an answer and why it is so. It tells of no one whose the request was.
type Decision struct {
	At     time.Time     `json:"at"`
	Status int           `json:"status"`
	Why    Why           `json:"why"`
	Shown  []string      `json:"shown,omitempty"` // by what the request told whose it is: cookie, token, headers
	Took   time.Duration `json:"-"`
}

// Why is what decided an answer: the word of the gate's verdict, or one of these.
type Why string

// What decides before the gate is asked.
const (
	WhyAsker        Why = "not_an_asker" // who asked may not
	WhyInvalid      Why = "invalid"      // a token or cookie is none
	WhyUnverifiable Why = "unverifiable" // the keys of a token's issuer cannot be had now
	WhyNobody       Why = "nobody"       // the request shows nothing
	WhyAnonymous    Why = "anonymous"    // it shows nothing, which is let through
)

// Handler is the endpoint. Safe for concurrent use.
type Handler struct {
	cfg    Config
	asker  asker
	tokens *verifier
}

var _ http.Handler = (*Handler)(nil)

// New returns the endpoint. The error names everything that is wrong in cfg.
func New(cfg Config) (*Handler, error) {
	h := &Handler{cfg: cfg}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("check: "+format, args...)) }
	h.asker, errs = newAsker(cfg.Listen, cfg.Token)
	if cfg.Gate == nil {
		wrong("Gate is required")
	}
	if (cfg.Cookie == "") != (cfg.Index == nil) {
		wrong("Cookie and Index belong together")
	}
	if cfg.Cookie == "" && cfg.Tokens == nil && cfg.Headers == nil {
		wrong("one of Cookie, Tokens and Headers is required: nothing says whose a request is")
	}
	if cfg.Headers != nil {
		if err := cfg.Headers.check(); err != nil {
			errs = append(errs, err)
		}
	}
	if cfg.Tokens != nil {
		tokens, err := newVerifier(*cfg.Tokens)
		if h.tokens = tokens; err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return h, nil
}

// ServeHTTP answers whether a request is to be let through.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	status, why, by := h.answer(w, r)
	took := time.Since(began)
	if h.cfg.Observe != nil {
		h.cfg.Observe(status, took)
	}
	if h.cfg.Decided != nil {
		h.cfg.Decided(Decision{At: began, Status: status, Why: why, Shown: by, Took: took})
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (status int, why Why, by []string) {
	w.Header().Set("Cache-Control", "no-store")
	if !h.asker.may(r) {
		return refuse(w, http.StatusForbidden, "this check is not yours to ask"), WhyAsker, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	shown, err := h.shown(ctx, r)
	switch {
	case errors.Is(err, errToken):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return refuse(w, http.StatusUnauthorized, "what the request shows is not valid"), WhyInvalid, nil
	case err != nil:
		w.Header().Set("Retry-After", "5")
		return refuse(w, http.StatusServiceUnavailable, "the token cannot be verified now"), WhyUnverifiable, nil
	case len(shown.bearers) == 0 && !h.cfg.Anonymous:
		if h.tokens != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		return refuse(w, http.StatusUnauthorized, "log in"), WhyNobody, nil
	}
	for _, b := range shown.bearers {
		if verdict := h.cfg.Gate.Bearer(b); verdict != sessions.Good {
			sessions.Refuse(w, r, verdict)
			return verdict.Status(), Why(verdict.String()), shown.by
		}
	}
	if h.cfg.ResponseHeaders {
		shown.claims.tell(w.Header())
	}
	w.WriteHeader(http.StatusOK) // Envoy takes no other for good
	if len(shown.bearers) == 0 {
		return http.StatusOK, WhyAnonymous, nil
	}
	return http.StatusOK, Why(sessions.Good.String()), shown.by
}

func refuse(w http.ResponseWriter, status int, text string) int {
	http.Error(w, text, status)
	return status
}

// shown is what a request shows of itself.
type shown struct {
	bearers []sessions.Bearer
	by      []string // what they were told by
	claims  claims   // of its token, if it was verified
}

func (h *Handler) shown(ctx context.Context, r *http.Request) (shown, error) {
	var s shown
	if h.cfg.Cookie != "" {
		ids, err := cookies(r, h.cfg.Cookie)
		if err != nil {
			return shown{}, err
		}
		for _, id := range ids { // which of several the application takes is not known, so each must be good
			s.bearers = append(s.bearers, sessions.Identify(ctx, h.cfg.Index, id))
		}
		if len(ids) > 0 {
			s.by = append(s.by, "cookie")
		}
	}
	tokens := bearerTokens(r.Header)
	if len(tokens) > 1 {
		return shown{}, errToken
	}
	if len(tokens) == 1 && h.tokens != nil {
		c, err := h.tokens.read(ctx, tokens[0])
		if err != nil {
			return shown{}, err
		}
		s.bearers, s.by = append(s.bearers, h.tokens.claims(c).Bearer()), append(s.by, "token")
		s.claims = c
	}
	if h.cfg.Headers != nil {
		if bearer, ok := h.cfg.Headers.bearer(r.Header); ok {
			s.bearers, s.by = append(s.bearers, bearer), append(s.by, "headers")
		}
	}
	return s, nil
}

// bearerTokens returns the tokens of Authorization headers (RFC 6750 §2.1), whatever
// white space parts them from their scheme.
func bearerTokens(header http.Header) (tokens []string) {
	for _, value := range header.Values("Authorization") {
		value = strings.TrimSpace(value)
		if i := strings.IndexAny(value, " \t"); i > 0 && strings.EqualFold(value[:i], "Bearer") {
			tokens = append(tokens, strings.TrimSpace(value[i:]))
		}
	}
	return tokens
}

// cookies returns the values of the cookies of a name, empty ones left out. errToken: there
// are too many, or one that net/http does not read and the application behind the proxy
// might, so that the session would go unchecked.
func cookies(r *http.Request, name string) (values []string, err error) {
	sent := 0
	for _, line := range r.Header.Values("Cookie") {
		for part := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(part, "=")
			if value = strings.TrimSpace(value); strings.TrimSpace(key) == name && value != "" && value != `""` {
				sent++
			}
		}
	}
	if sent == 0 {
		return nil, nil
	}
	for _, cookie := range r.CookiesNamed(name) {
		if cookie.Value != "" {
			values = append(values, strings.TrimSpace(cookie.Value))
		}
	}
	if sent > maxCookies || len(values) != sent {
		return nil, errToken
	}
	return values, nil
}
