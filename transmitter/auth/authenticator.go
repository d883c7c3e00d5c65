package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// MaxTokenLifetime bounds how long an access token may be good (INTEROP-2.7.1-01).
const MaxTokenLifetime = 60 * time.Minute

// Config says what an [Authenticator] works with.
type Config struct {
	// Store of applications and clients; required.
	Store *Store
	// Issuer is the iss and the aud of access tokens: the transmitter's
	// issuer; required.
	Issuer string
	// Signer returns the signer of access tokens, whose typ is [TokenType];
	// required. Called once per token, so that a rotation takes effect at once.
	Signer func() *jose.Signer
	// Keys returns the keys that access tokens are verified with; required.
	// It must return the same pointer until the keys change.
	Keys func() *jose.KeySet
	// Refresh brings Keys up to date when a token is signed with a key that is not
	// among them: another process may have rotated just now. Nil: nothing does.
	Refresh func(ctx context.Context) error
	// Signed is told the kid of each signature; nil: nobody is told.
	Signed func(kid string)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// TokenLifetime is whole seconds up to [MaxTokenLifetime], which zero means.
	TokenLifetime time.Duration
	// Endpoints are the URLs of the token and the revocation endpoint: a client's
	// assertion may be for one of them, or for the issuer (RFC 7523 §3).
	Endpoints []string
	// ClientKeys finds keys in the key sets of clients that publish them, by the URL
	// of the set; nil: such clients cannot authenticate.
	ClientKeys KeySource
	// Certificates returns those that the sender of a request has shown to possess, its
	// own first, then those that lead to an authority; nil: those of its TLS connection.
	Certificates func(*http.Request) []*x509.Certificate
	// ClientCAs returns the authorities that vouch for certificates of clients by their
	// names (RFC 8705 §2.1); nil, and what it returns nil: there are none.
	ClientCAs func() *x509.CertPool
	// External is the authorization server whose tokens are taken in place of ours;
	// nil: ours are.
	External *External
	// Rules say which scopes are sufficient for what; nil is [DefaultRules].
	Rules Rules
	// ResourceMetadata returns the URL of the RFC 9728 document for a request
	// path, or "" for none; nil: none.
	ResourceMetadata func(path string) string
	// Logger is told of failures of ours at the OAuth endpoints; nil: nobody is.
	Logger *slog.Logger
}

// Authenticator tells who sends a request, and gives out and revokes access
// tokens. Safe for concurrent use.
type Authenticator struct {
	cfg      Config
	verified cache
	failures *failures
	decoys   map[jose.Algorithm]decoy
}

// New checks cfg and returns an Authenticator. It starts nothing.
func New(cfg Config) (*Authenticator, error) {
	var errs []error
	if cfg.Store == nil {
		errs = append(errs, errors.New("the Store is required"))
	}
	if cfg.Issuer == "" {
		errs = append(errs, errors.New("the Issuer is required"))
	}
	if cfg.Signer == nil || cfg.Keys == nil {
		errs = append(errs, errors.New("the Signer and the Keys are required"))
	}
	if l := cfg.TokenLifetime; l < 0 || l > MaxTokenLifetime || l%time.Second != 0 {
		errs = append(errs, fmt.Errorf("the TokenLifetime must be whole seconds up to %s", MaxTokenLifetime))
	}
	if cfg.External != nil {
		errs = append(errs, cfg.External.check(cfg.Issuer)...)
		cfg.External = cfg.External.withDefaults()
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("auth: Config: %w", errors.Join(errs...))
	}
	cfg.setDefaults()
	decoys, err := newDecoys()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return &Authenticator{cfg: cfg, failures: newFailures(), decoys: decoys}, nil
}

func (cfg *Config) setDefaults() {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = MaxTokenLifetime
	}
	if cfg.Rules == nil {
		cfg.Rules = defaultRules
	}
	if cfg.Signed == nil {
		cfg.Signed = func(string) {}
	}
	if cfg.Certificates == nil {
		cfg.Certificates = certificatesOf
	}
	if cfg.ClientCAs == nil {
		cfg.ClientCAs = func() *x509.CertPool { return nil }
	}
	if cfg.ResourceMetadata == nil {
		cfg.ResourceMetadata = func(string) string { return "" }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

// certificatesOf are those of the TLS connection.
func certificatesOf(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// Check authenticates r and asks whether the principal may do op. A token in
// the query is no credential (INTEROP-2.7.3-01), and refused beside one in the
// header (RFC 6750 §3.1).
//
// Errors: an [*Error], complete for the answer; any other is a failure of the
// store or ctx's error.
func (a *Authenticator) Check(r *http.Request, op Operation) (*Principal, error) {
	p, err := a.check(r, op)
	var refusal *Error
	if errors.As(err, &refusal) {
		refusal.ResourceMetadata = a.cfg.ResourceMetadata(r.URL.Path)
	}
	return p, err
}

func (a *Authenticator) check(r *http.Request, op Operation) (*Principal, error) {
	header := r.Header["Authorization"]
	if len(header) > 0 && queryHas(r.URL, "access_token") {
		return nil, &Error{
			Status: http.StatusBadRequest, Code: CodeInvalidRequest,
			Description: "send the access token in the Authorization header only",
		}
	}
	p, err := a.authenticate(r.Context(), header, func() []*x509.Certificate { return a.cfg.Certificates(r) })
	if err != nil {
		return nil, err
	}
	if err := a.Authorize(p, op); err != nil {
		return nil, err
	}
	return p, nil
}

// Authorize returns nil if p may do op, else an [*Error] with status 403.
func (a *Authenticator) Authorize(p *Principal, op Operation) error {
	if a.cfg.Rules.Sufficient(p.Scopes, op) {
		return nil
	}
	scope := ScopeAdmin
	if enough := a.cfg.Rules[op]; len(enough) > 0 {
		scope = enough[0]
	}
	return insufficient(scope)
}

// Authenticate tells who sent a request with these Authorization headers, on a connection
// without a certificate of the sender.
//
// Errors: an [*Error] with status 401 for whatever is not one good bearer
// token; any other is a failure of the store or ctx's error.
func (a *Authenticator) Authenticate(ctx context.Context, authorization []string) (*Principal, error) {
	return a.authenticate(ctx, authorization, func() []*x509.Certificate { return nil })
}

// authenticate is Authenticate with the certificates of the sender, which are asked for
// if need be.
func (a *Authenticator) authenticate(ctx context.Context, authorization []string, shown func() []*x509.Certificate) (*Principal, error) {
	token, err := bearer(authorization)
	if err != nil {
		return nil, err
	}
	key := cacheKey(sha256.Sum256([]byte(token)))
	now, keys := a.cfg.Now(), a.cfg.Keys()
	if a.cfg.External != nil {
		keys = nil // ours verify nothing
	}
	v := a.verified.get(key)
	if v == nil || v.keys != keys || !v.goodAt(now) {
		if v, err = a.verify(ctx, token, keys, now); err != nil {
			return nil, err
		}
	}
	if v.bound != nil && !v.bound.confirms(shown()) {
		return nil, invalidToken("the access token is bound to a certificate, which this connection does not have")
	}
	h, err := a.cfg.Store.backend.Holder(ctx, v.credential, v.stamp)
	if err == nil && h.Same {
		return v.principal, nil
	}
	if err := v.judge(&h, err, now); err != nil {
		return nil, err
	}
	v = v.of(&h)
	v.principal = a.principal(&h, v.scopes)
	a.verified.put(key, v)
	return v.principal, nil
}

// bearer returns the token of the only Authorization header (RFC 6750 §2.1).
func bearer(authorization []string) (string, error) {
	switch len(authorization) {
	case 0:
		return "", noCredential()
	case 1:
	default:
		return "", invalidToken("more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", noCredential()
	}
	token = strings.Trim(token, " ")
	if token == "" || len(token) > MaxTokenBytes || !isToken68(token) {
		return "", invalidToken("not an access token of ours")
	}
	return token, nil
}

// isToken68 reports whether all characters are of RFC 6750's b64token.
func isToken68(token string) bool {
	for i := range len(token) {
		switch c := token[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// verify reads a token that is not in the cache: whose it says it is.
func (a *Authenticator) verify(ctx context.Context, token string, keys *jose.KeySet, now time.Time) (*verified, error) {
	if isStatic(token) {
		return &verified{credential: Credential{Static: digest(token)}, keys: keys}, nil
	}
	if a.cfg.External != nil {
		return a.cfg.External.verify(ctx, token, now)
	}
	claims, keys, err := a.claims(ctx, token, keys)
	if err != nil {
		return nil, err
	}
	bound, ok := boundTo(claims.Confirmation)
	if !ok {
		return nil, invalidToken(boundOtherwise)
	}
	v := &verified{
		credential: Credential{Client: claims.ClientID, TokenID: claims.ID}, number: claims.Registration,
		scopes: claims.scopes(), keys: keys, expires: claims.expires(), bound: bound,
	}
	if !v.goodAt(now) {
		return nil, invalidToken("the access token expired")
	}
	return v, nil
}

// judge returns why the token is not good any more, if it is not: h, or the error in
// its place, is what the store has.
func (v *verified) judge(h *Holder, err error, now time.Time) error {
	static := v.credential.Static != nil
	switch {
	case errors.Is(err, ErrNotFound) && static:
		return invalidToken("the access token is unknown or was revoked")
	case errors.Is(err, ErrNotFound) && v.external:
		return invalidToken("the client of the access token is not known here")
	case errors.Is(err, ErrNotFound), err == nil && !static && !v.external && h.Number != v.number:
		return invalidToken("the client of the access token was removed")
	case err != nil:
		return err
	case static && v.replaced(h) && !now.Before(h.OldUntil):
		return invalidToken("the access token was replaced")
	case h.Revoked:
		return invalidToken("the access token was revoked")
	case v.bound == nil && h.bindsTokens() && !h.unboundAt(now):
		return invalidToken("the client's access tokens are bound to a certificate, and this one is not")
	}
	return nil
}

const boundOtherwise = "the access token is bound to what is not asked for here"

// principal builds the principal of a client for a token's scopes.
func (a *Authenticator) principal(h *Holder, scopes []Scope) *Principal {
	p := &Principal{Client: h.ID, Application: h.Application, Environment: h.Environment, Audience: h.Audience, Profile: h.Profile, Encryption: h.Encryption}
	for _, s := range scopes {
		if covers(a.cfg.Rules, h.Scopes, s) {
			p.Scopes = append(p.Scopes, s)
		}
	}
	if a.cfg.Rules.Sufficient(p.Scopes, OpWriteEvents) {
		source := Source{Name: h.ID}
		if h.Source != nil {
			source = *h.Source
		}
		source.Environment = h.Environment
		p.Source = &source
	}
	return p
}

// queryHas reports whether the URL's query has the parameter, however encoded.
func queryHas(u *url.URL, name string) bool {
	return u.RawQuery != "" && u.Query().Has(name)
}
