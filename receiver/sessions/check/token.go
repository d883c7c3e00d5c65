package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// DefaultLeeway is how far clocks may be apart for exp and nbf.
const DefaultLeeway = 30 * time.Second

// errToken says that a token is not what it claims to be, or is over.
var errToken = errors.New("check: invalid token")

// KeySource finds the keys of issuers.
type KeySource interface {
	// Key returns the key of issuer with that id, as wellknown.RemoteKeys does.
	Key(ctx context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error)
}

// Issuer is whose tokens are taken.
type Issuer struct {
	// Issuer is the iss, exactly.
	Issuer string
	// JWKSURL is where its keys are; empty: where its metadata says (RFC 8414).
	JWKSURL string `yaml:"jwks_url"`
}

// Tokens says how bearer tokens, which must be JWTs, are verified.
type Tokens struct {
	// Issuers are whose tokens are taken; required.
	Issuers []Issuer
	// Audiences: a token must be for one of them. Required with verification.
	Audiences []string
	// Algorithms are those allowed; empty: RS256, PS256, ES256, EdDSA.
	Algorithms []jose.Algorithm
	// Keys finds keys in place of the issuers' published ones.
	Keys KeySource `json:"-"`
	// HTTP makes the requests for keys; nil: a guarded client for public addresses.
	HTTP *http.Client `json:"-"`
	// Leeway is how far clocks may be apart; zero: DefaultLeeway.
	Leeway time.Duration
	// UseAuthTime takes the auth_time, where a token has one, for the begin of the
	// session in place of the iat: of use where tokens are renewed without a login.
	UseAuthTime bool
	// TrustUnverifiedJWT takes claims as they stand, without signature, issuer,
	// audience or lifetime. Only for an endpoint that none but a gateway reaches which
	// has verified the very token: else anybody writes whatever claims are still good.
	TrustUnverifiedJWT bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time `json:"-"`
}

// verifier reads tokens.
type verifier struct {
	cfg    Tokens
	keys   map[string]KeySource
	parser jose.Parser
}

func newVerifier(cfg Tokens) (*verifier, error) {
	v := &verifier{cfg: cfg, keys: make(map[string]KeySource)}
	if v.cfg.Now == nil {
		v.cfg.Now = time.Now
	}
	if v.cfg.Leeway == 0 {
		v.cfg.Leeway = DefaultLeeway
	}
	if len(cfg.Algorithms) == 0 {
		v.cfg.Algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	}
	if cfg.TrustUnverifiedJWT {
		if len(cfg.Issuers) > 0 || len(cfg.Audiences) > 0 || cfg.Keys != nil {
			return nil, errors.New("check: Tokens.TrustUnverifiedJWT verifies nothing, so Issuers, Audiences and Keys must be empty")
		}
		return v, nil
	}
	var errs []error
	if len(cfg.Issuers) == 0 {
		errs = append(errs, errors.New("check: Tokens.Issuers is required"))
	}
	if len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, "") {
		errs = append(errs, errors.New("check: Tokens.Audiences is required: a token for somebody else is no session here"))
	}
	if cfg.Leeway < 0 {
		errs = append(errs, errors.New("check: Tokens.Leeway must not be negative"))
	}
	client := wellknown.NewClient(wellknown.Config{HTTP: cfg.HTTP})
	for i, issuer := range cfg.Issuers {
		switch {
		case issuer.Issuer == "" || v.keys[issuer.Issuer] != nil:
			errs = append(errs, fmt.Errorf("check: Tokens.Issuers[%d].Issuer is empty or there twice", i))
		case cfg.Keys != nil:
			v.keys[issuer.Issuer] = cfg.Keys
		case issuer.JWKSURL != "":
			v.keys[issuer.Issuer] = client.KeysAt(map[string]string{issuer.Issuer: issuer.JWKSURL})
		default:
			v.keys[issuer.Issuer] = client.AuthorizationServerKeys(issuer.Issuer)
		}
	}
	return v, errors.Join(errs...)
}

// claims are those that are read of a token. Other members are ignored.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	SessionID string   `json:"sid"`
	ID        string   `json:"jti"`
	Email     string   `json:"email"`
	Verified  *bool    `json:"email_verified"`
	IssuedAt  float64  `json:"iat"`
	AuthTime  float64  `json:"auth_time"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
}

// audience is a text or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(data []byte) error {
	if strings.HasPrefix(string(data), `"`) {
		*a = make(audience, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// read returns the claims of a token that is good by itself. Errors: errToken, or that
// its key could not be had.
func (v *verifier) read(ctx context.Context, compact string) (claims, error) {
	message, err := v.parser.Parse([]byte(compact))
	if err != nil {
		return claims{}, errToken
	}
	var c claims
	if json.Unmarshal(message.Payload, &c) != nil {
		return claims{}, errToken
	}
	if v.cfg.TrustUnverifiedJWT {
		return c, nil
	}
	if !session(message.Header.Type) || !v.meant(c) {
		return claims{}, errToken
	}
	return c, v.verify(ctx, message, c.Issuer)
}

// session reports whether a token of this typ can stand for a session: one that is
// typed as a message cannot (RFC 8725 §3.11).
func session(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return typ == "" || typ == "jwt" || typ == "at+jwt"
}

// meant reports whether the token is from an issuer of ours, for us, and of now.
func (v *verifier) meant(c claims) bool {
	now, leeway := float64(v.cfg.Now().Unix()), v.cfg.Leeway.Seconds()
	forUs := slices.ContainsFunc(v.cfg.Audiences, func(a string) bool { return slices.Contains(c.Audience, a) })
	return v.keys[c.Issuer] != nil && forUs && c.Expires+leeway > now && c.NotBefore-leeway <= now
}

func (v *verifier) verify(ctx context.Context, message *jose.Message, issuer string) error {
	alg, err := jose.ParseAlgorithm(message.Header.Algorithm)
	if err != nil || !slices.Contains(v.cfg.Algorithms, alg) {
		return errToken
	}
	key, err := v.keys[issuer].Key(ctx, issuer, message.Header.KeyID, alg)
	switch {
	case errors.Is(err, jose.ErrUnknownKey), errors.Is(err, jose.ErrAlgorithm), errors.Is(err, jose.ErrWeakKey):
		return errToken
	case err != nil:
		return fmt.Errorf("check: keys of the issuer: %w", err)
	case jose.Verify(message, key) != nil:
		return errToken
	}
	return nil
}

// claims returns what the gate asks by.
func (v *verifier) claims(c claims) sessions.Claims {
	begun := c.IssuedAt
	if v.cfg.UseAuthTime && c.AuthTime > 0 {
		begun = c.AuthTime
	}
	known := sessions.Claims{Issuer: c.Issuer, Subject: c.Subject, SessionID: c.SessionID, ID: c.ID}
	if c.Verified == nil || *c.Verified {
		known.Email = c.Email
	}
	if begun > 0 && begun < 1<<40 {
		known.IssuedAt = time.Unix(int64(begun), 0)
	}
	return known
}

// tell says in headers whose the token is: in each of them, if only with nothing, so that
// a proxy which copies them overwrites what a client sends under these names.
func (c claims) tell(header http.Header) {
	for name, value := range map[string]string{"X-Tocsin-Issuer": c.Issuer, "X-Tocsin-Subject": c.Subject, "X-Tocsin-Session": c.SessionID} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			value = ""
		}
		header.Set(name, value)
	}
}
