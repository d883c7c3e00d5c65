package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Provider is an OpenID Provider that people sign in with: the authorization code flow
// of OpenID Connect with PKCE. All fields but Scopes, Signals and the names of claims are required.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	// Scopes are asked for besides openid.
	Scopes []string
	// GroupsClaim of the ID token has the groups of a person; "": groups.
	GroupsClaim string
	// Roles are what groups may do. A person gets the highest; without one nobody is let in.
	Roles map[string]Role
	// Signals end sessions; nil: none are heard.
	Signals *Signals
	// HTTP calls the provider.
	HTTP *http.Client
}

// Bounds of sign-ins that are under way.
const (
	signInTime = 10 * time.Minute
	maxSignIns = 1000
	leeway     = time.Minute // between the provider's clock and ours
)

// oidc signs people in with a provider.
type oidc struct {
	Provider
	metadata *wellknown.Client
	keys     *wellknown.RemoteKeys
	now      func() time.Time

	mu      sync.Mutex
	pending map[key]*pending // by what the browser holds in a cookie
}

// pending is a sign-in that waits for its person to come back from the provider.
type pending struct {
	state, nonce, verifier, to string
	till                       time.Time
}

func newOIDC(p Provider, now func() time.Time) (*oidc, error) {
	var errs []error
	for name, missing := range map[string]bool{
		"Issuer": p.Issuer == "", "ClientID": p.ClientID == "", "ClientSecret": p.ClientSecret == "", "Roles": len(p.Roles) == 0, "HTTP": p.HTTP == nil,
	} {
		if missing {
			errs = append(errs, fmt.Errorf("the provider lacks %s", name))
		}
	}
	if p.GroupsClaim == "" {
		p.GroupsClaim = "groups"
	}
	metadata := wellknown.NewClient(wellknown.Config{HTTP: p.HTTP})
	return &oidc{
		Provider: p, metadata: metadata, keys: metadata.AuthorizationServerKeys(p.Issuer), now: now, pending: make(map[key]*pending),
	}, errors.Join(errs...)
}

func (c *Console) mountOIDC() {
	c.mux.HandleFunc("GET /console/oidc/start", func(w http.ResponseWriter, r *http.Request) {
		if err := c.startOIDC(w, r); err != nil {
			c.refuse(w, r, err)
		}
	})
	c.mux.Handle("GET /console/oidc/callback", c.paced(func(w http.ResponseWriter, r *http.Request) {
		if err := c.endOIDC(w, r); err != nil {
			c.refuse(w, r, err)
		}
	}))
}

func (o *oidc) config(ctx context.Context, base string) (*oauth2.Config, error) {
	server, err := o.metadata.AuthorizationServer(ctx, o.Issuer)
	if err == nil && (server.AuthorizationEndpoint == "" || server.TokenEndpoint == "") {
		err = errors.New("its metadata lacks authorization_endpoint or token_endpoint")
	}
	if err != nil {
		return nil, fmt.Errorf("console: the OpenID Provider: %w", err)
	}
	style := oauth2.AuthStyleInHeader
	if ways := server.TokenEndpointAuthMethodsSupported; len(ways) > 0 && !slices.Contains(ways, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: base + "/console/oidc/callback", Scopes: append([]string{"openid"}, o.Scopes...),
		Endpoint: oauth2.Endpoint{AuthURL: server.AuthorizationEndpoint, TokenURL: server.TokenEndpoint, AuthStyle: style},
	}, nil
}

// startOIDC sends a browser to the provider. What it begins is nothing yet: only the
// browser that holds the cookie can go on with it.
func (c *Console) startOIDC(w http.ResponseWriter, r *http.Request) error {
	cfg, err := c.oidc.config(r.Context(), c.cfg.URL())
	if err != nil {
		return c.unreachable(r, err)
	}
	holder, p := newSecret(), &pending{state: newSecret(), nonce: newSecret(), verifier: oauth2.GenerateVerifier(), to: back(r.FormValue("to"))}
	c.oidc.keep(holder, p)
	http.SetCookie(w, &http.Cookie{
		// Lax: the provider sends the browser back from another site.
		Name: c.signInCookie(r), Value: holder, Path: "/", MaxAge: int(signInTime / time.Second), HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, cfg.AuthCodeURL(p.state, oauth2.SetAuthURLParam("nonce", p.nonce), oauth2.S256ChallengeOption(p.verifier)), http.StatusSeeOther)
	return nil
}

func (c *Console) signInCookie(r *http.Request) string { return c.cookieName(r) + "-oidc" }

func (c *Console) unreachable(r *http.Request, err error) error {
	c.cfg.Logger.WarnContext(r.Context(), "a sign-in with the OpenID Provider failed", "err", err)
	return &failure{status: http.StatusBadGateway, title: "The provider does not answer", text: "The OpenID Provider could not be asked. The log of the process tells why; tocsin console signs you in without it."}
}

// keep remembers a sign-in; where there are too many the first to end goes.
func (o *oidc) keep(holder string, p *pending) {
	now := o.now()
	p.till = now.Add(signInTime)
	o.mu.Lock()
	defer o.mu.Unlock()
	var first key
	for k, other := range o.pending {
		if now.After(other.till) {
			delete(o.pending, k)
		} else if f := o.pending[first]; f == nil || other.till.Before(f.till) {
			first = k
		}
	}
	if len(o.pending) >= maxSignIns {
		delete(o.pending, first)
	}
	o.pending[sha256.Sum256([]byte(holder))] = p
}

// take returns a sign-in, once.
func (o *oidc) take(holder string) *pending {
	k := sha256.Sum256([]byte(holder))
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.pending[k]
	delete(o.pending, k)
	if p == nil || o.now().After(p.till) {
		return nil
	}
	return p
}

var errSignIn = &failure{status: http.StatusForbidden, title: "Not signed in", text: "This sign-in was not begun in this browser, is too old, or was refused by the provider. Begin again."}

// endOIDC lets in whom the provider has sent back.
func (c *Console) endOIDC(w http.ResponseWriter, r *http.Request) error {
	var p *pending
	if cookies := r.CookiesNamed(c.signInCookie(r)); len(cookies) == 1 {
		p = c.oidc.take(cookies[0].Value)
	}
	http.SetCookie(w, &http.Cookie{Name: c.signInCookie(r), Path: "/", MaxAge: -1, HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteLaxMode})
	answer := r.URL.Query()
	if p == nil || subtle.ConstantTimeCompare([]byte(p.state), []byte(answer.Get("state"))) != 1 || answer.Get("code") == "" ||
		answer.Has("iss") && answer.Get("iss") != c.oidc.Issuer { // RFC 9207
		return errSignIn
	}
	cfg, err := c.oidc.config(r.Context(), c.cfg.URL())
	if err != nil {
		return c.unreachable(r, err)
	}
	token, err := cfg.Exchange(context.WithValue(r.Context(), oauth2.HTTPClient, c.oidc.HTTP), answer.Get("code"), oauth2.VerifierOption(p.verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		c.cfg.Logger.WarnContext(r.Context(), "the OpenID Provider refused the code of a sign-in", "status", refused.Response.StatusCode, "code", refused.ErrorCode)
		return errSignIn
	case err != nil:
		return c.unreachable(r, err)
	}
	raw, _ := token.Extra("id_token").(string)
	person, err := c.oidc.read(r.Context(), raw, p.nonce)
	if errors.Is(err, errIDToken) {
		c.cfg.Logger.WarnContext(r.Context(), "the ID token of a sign-in is not good", "err", err)
		return errSignIn
	} else if err != nil {
		return c.unreachable(r, err)
	}
	role := c.oidc.role(person.groups)
	if role == 0 {
		return &failure{status: http.StatusForbidden, title: "Not let in", text: "The provider knows you, but none of your groups has a role here."}
	}
	s := &session{name: person.name(), by: person.actor(), role: role, how: "oidc"}
	if signals := c.oidc.Signals; signals != nil {
		bearer := person.bearer(signals.Issuers)
		s.bearer = &bearer
	}
	if err := unfit(c.verdict(s)); err != nil {
		return err
	}
	return c.let(w, r, s, p.to)
}

// let signs somebody in who comes from another site: a redirect would still be of that
// site, and the browser would keep the cookie back. So a page of ours leads on.
func (c *Console) let(w http.ResponseWriter, r *http.Request, s *session, to string) error {
	if err := c.admit(w, r, s); err != nil {
		return err
	}
	w.Header().Set("Refresh", "0; url="+to)
	c.render(w, r, http.StatusOK, "signed-in", struct {
		Frame
		To string
	}{c.frame("Signed in"), to})
	return nil
}

// person is what an ID token tells.
type person struct {
	Issuer          string          `json:"iss"`
	Subject         string          `json:"sub"`
	Audience        json.RawMessage `json:"aud"`
	AuthorizedParty string          `json:"azp"`
	Nonce           string          `json:"nonce"`
	Expires         float64         `json:"exp"`
	IssuedAt        float64         `json:"iat"`
	Email           string          `json:"email"`
	Verified        bool            `json:"email_verified"`
	Preferred       string          `json:"preferred_username"`
	Phone           string          `json:"phone_number"`
	SessionID       string          `json:"sid"`
	groups          []string
}

// name is what pages and the audit call somebody: what they can be found by.
func (p person) name() string {
	switch {
	case p.Email != "" && p.Verified:
		return p.Email
	case p.Preferred != "":
		return p.Preferred + " (" + p.Subject + ")"
	}
	return p.Subject
}

// maxNamed bounds what of a name or sub stands in the audit, in bytes.
const maxNamed = 255

// actor is who they are in the audit: no client and no user of the machine has such a name.
func (p person) actor() eventlog.Actor {
	cut := func(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxNamed)], "") }
	return eventlog.Actor{Person: cut(p.name()), Sub: cut(p.Subject)}
}

// errIDToken says that an ID token is not good; others, that it cannot be known now.
var errIDToken = errors.New("console: ID token")

func badToken(why string) error { return fmt.Errorf("%w: %s", errIDToken, why) }

// read verifies an ID token (OpenID Connect Core §3.1.3.7).
func (o *oidc) read(ctx context.Context, raw, nonce string) (person, error) {
	var p person
	m, err := jose.Parse([]byte(raw))
	if err != nil {
		return p, badToken("is no JWT")
	}
	if typ := strings.ToLower(m.Header.Type); typ != "" && typ != "jwt" {
		return p, badToken("typ is not JWT")
	}
	alg, err := jose.ParseAlgorithm(m.Header.Algorithm)
	if err != nil {
		return p, badToken("alg is none that is taken")
	}
	key, err := o.keys.Key(ctx, o.Issuer, m.Header.KeyID, alg)
	if errors.Is(err, jose.ErrUnknownKey) || errors.Is(err, jose.ErrAlgorithm) || errors.Is(err, jose.ErrWeakKey) {
		return p, badToken("its key is none of the provider's")
	} else if err != nil {
		return p, err
	}
	if jose.Verify(m, key) != nil {
		return p, badToken("the signature is not the provider's")
	}
	return o.judge(m.Payload, nonce)
}

// judge reads the claims of an ID token whose signature is good.
func (o *oidc) judge(payload []byte, nonce string) (p person, err error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(payload, &p) != nil || json.Unmarshal(payload, &all) != nil {
		return p, badToken("its claims are not of their form")
	}
	audience := texts(p.Audience)
	now, slack := float64(o.now().Unix()), leeway.Seconds()
	switch {
	case p.Issuer != o.Issuer:
		return p, badToken("iss is another")
	case !slices.Contains(audience, o.ClientID), len(audience) > 1 && p.AuthorizedParty == "", p.AuthorizedParty != "" && p.AuthorizedParty != o.ClientID:
		return p, badToken("it is for somebody else")
	case p.Subject == "":
		return p, badToken("sub is missing")
	case p.Expires+slack <= now, p.IssuedAt-slack > now, p.IssuedAt <= 0:
		return p, badToken("it is expired, of the future, or of no time")
	case subtle.ConstantTimeCompare([]byte(p.Nonce), []byte(nonce)) != 1:
		return p, badToken("nonce is another")
	}
	p.groups = texts(all[o.GroupsClaim])
	return p, nil
}

// texts reads a text or a list of them.
func texts(raw json.RawMessage) (list []string) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &list) // anything else is none
	return list
}

// role is the highest of the groups'; 0: none.
func (o *oidc) role(groups []string) (most Role) {
	for _, g := range groups {
		most = max(most, o.Roles[g])
	}
	return most
}

// startLink is where a sign-in with the provider begins.
func startLink(to string) string { return "/console/oidc/start?to=" + url.QueryEscape(back(to)) }
