package auth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// externalLife is how long a token of another issuer is taken without looking at
	// its signature again: the issuer may have taken a key back.
	externalLife = 5 * time.Minute
	// externalSkew is how far the issuer's clock may be ahead of ours.
	externalSkew = time.Minute
)

// External is an authorization server of somebody else's whose access tokens are taken
// in place of ours. Static tokens of ours go on beside them.
//
// A token is one of a client that is registered here, under the issuer's id for it or
// the one that Clients says, and is good for what its scopes and that client's have in
// common. So an application, an environment and a source come from here alone, and a
// client that is removed ends its tokens at once.
type External struct {
	// Issuer is the iss of its tokens, another than ours; required.
	Issuer string
	// Audience are the values of aud of which a token must have one; required: a token
	// for others is none for us.
	Audience []string
	// Keys finds its keys, by the Issuer; required.
	Keys KeySource
	// Algorithms are those that its tokens may be signed by; nil: all that we have.
	Algorithms []jose.Algorithm
	// AnyType also takes tokens whose typ is JWT, or that have none, of issuers that
	// do not follow RFC 9068. What is known of ID tokens is refused then.
	AnyType bool
	// ClientClaims and ScopeClaims are the claims that have the client and the scopes,
	// a text or a list: the first that is there counts. nil: client_id and azp; scope
	// and scp.
	ClientClaims, ScopeClaims []string
	// Clients are the ids that its clients have here, where they differ.
	Clients map[string]string
	// Scopes are those of ours that scopes of the issuer stand for. One that is not
	// among them stands for itself, but for [ScopeAdmin], which must be said.
	Scopes map[string][]Scope
	// Introspection asks the issuer about tokens that are no JWT; nil: they are
	// refused.
	Introspection *Introspection
}

// check returns what is missing or wrong of e.
func (e *External) check(ours string) (errs []error) {
	bad := func(text string) { errs = append(errs, errors.New("External."+text)) }
	if e.Issuer == "" || e.Issuer == ours {
		bad("Issuer is required, and must be another than ours")
	}
	if len(e.Audience) == 0 || slices.Contains(e.Audience, "") {
		bad("Audience is required")
	}
	if e.Keys == nil {
		bad("Keys is required")
	}
	for there, here := range e.Clients {
		if there == "" || checkID("client", here) != nil {
			bad(fmt.Sprintf("Clients has %q for %q, want the id of a client here", here, there))
		}
	}
	for there, here := range e.Scopes {
		if len(here) == 0 || slices.ContainsFunc(here, func(s Scope) bool { return s.check() != nil || !s.known() }) {
			bad(fmt.Sprintf("Scopes has %q for %q, want scopes of ours", JoinScopes(here), there))
		}
	}
	if i := e.Introspection; i != nil {
		for _, err := range i.check() {
			bad("Introspection." + err.Error())
		}
	}
	return errs
}

// withDefaults returns a copy in which nothing is nil that has a default.
func (e External) withDefaults() *External {
	if e.Algorithms == nil {
		e.Algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	}
	if e.ClientClaims == nil {
		e.ClientClaims = []string{"client_id", "azp"}
	}
	if e.ScopeClaims == nil {
		e.ScopeClaims = []string{"scope", "scp"}
	}
	return &e
}

// verify reads a token of the issuer that is not in the cache. Errors: an [*Error]; any
// other says that it cannot be known now.
func (e *External) verify(ctx context.Context, token string, now time.Time) (*verified, error) {
	m, err := jose.Parse([]byte(token))
	if err != nil && e.Introspection != nil && strings.Count(token, ".") != 2 {
		return e.introspected(ctx, token, now)
	}
	if err != nil {
		return nil, invalidToken("not an access token of the issuer")
	}
	typed := isType(m.Header.Type, TokenType)
	if !typed && !(e.AnyType && (m.Header.Type == "" || isType(m.Header.Type, "JWT"))) {
		return nil, invalidToken("typ is not " + TokenType)
	}
	if err := e.signed(ctx, m); err != nil {
		return nil, err
	}
	c, err := readExternal(m.Payload)
	if err != nil {
		return nil, err
	}
	if reason := e.judge(c, typed, now); reason != "" {
		return nil, invalidToken(reason)
	}
	return e.verified(c, now.Add(externalLife))
}

// isType compares a typ with one, which may be a media type in full (RFC 7515 §4.1.9).
func isType(typ, want string) bool {
	return strings.EqualFold(typ, want) || strings.EqualFold(typ, "application/"+want)
}

// signed reports whether the issuer signed m. Errors: as of verify.
func (e *External) signed(ctx context.Context, m *jose.Message) error {
	refused := invalidToken("the signature is not the issuer's")
	alg, err := jose.ParseAlgorithm(m.Header.Algorithm)
	if err != nil || !slices.Contains(e.Algorithms, alg) {
		return refused
	}
	err = signedByPublished(ctx, e.Keys, e.Issuer, m, alg)
	switch {
	case noSuchKey(err), errors.Is(err, jose.ErrSignature):
		return refused
	case err != nil:
		return fmt.Errorf("auth: keys of the token issuer: %w", err)
	}
	return nil
}

// external are the claims of a token of another issuer, or of its answer about one.
type external struct {
	Active    bool           `json:"active"`
	Issuer    string         `json:"iss"`
	Audience  jsontext.Value `json:"aud"`
	Expires   float64        `json:"exp"`
	NotBefore float64        `json:"nbf"`
	IssuedAt  float64        `json:"iat"`
	// Confirmation binds a token to a key (RFC 7800).
	Confirmation jsontext.Value `json:"cnf"`
	// Events marks a SET.
	Events jsontext.Value `json:"events"`
	// TokenType and TokenUse say of what kind it is, where they are there.
	TokenType string                    `json:"token_type"`
	TokenUse  string                    `json:"token_use"`
	all       map[string]jsontext.Value // by name
}

func readExternal(payload []byte) (*external, error) {
	c := new(external)
	if jsonv2.Unmarshal(payload, c) != nil || jsonv2.Unmarshal(payload, &c.all) != nil {
		return nil, invalidToken("the claims are not those of an access token")
	}
	return c, nil
}

// judge returns why a signed token is none for us now, or "".
func (e *External) judge(c *external, typed bool, now time.Time) string {
	switch {
	case c.Issuer != e.Issuer:
		return "iss is another"
	case c.Expires == 0:
		return "exp is missing"
	case !typed && c.looksLikeIDToken():
		return "an ID token is no access token"
	}
	return e.judgeUse(c, now)
}

// judgeUse returns why a token is none that its bearer may use here now, or "".
func (e *External) judgeUse(c *external, now time.Time) string {
	at := float64(now.UnixMilli()) / 1000
	switch {
	case c.Events != nil:
		return "a SET is no access token"
	case !slices.ContainsFunc(audienceValues(c.Audience), func(aud string) bool { return slices.Contains(e.Audience, aud) }):
		return "aud is another"
	case c.Expires != 0 && at >= c.Expires:
		return "the access token expired"
	case c.NotBefore > at+externalSkew.Seconds() || c.IssuedAt > at+externalSkew.Seconds():
		return "nbf or iat is in the future"
	case !isBoundAsKnown(c.Confirmation):
		return boundOtherwise
	case c.TokenType != "" && !strings.EqualFold(c.TokenType, "Bearer"), c.TokenUse != "" && !strings.HasPrefix(c.TokenUse, "access"):
		return "not an access token for bearers"
	}
	return ""
}

// looksLikeIDToken reports whether claims are there that only ID tokens and their like
// have (OpenID Connect Core §2, Back-Channel Logout §2.4; typ as Keycloak has it).
func (c *external) looksLikeIDToken() bool {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, has := c.all[name]; has {
			return true
		}
	}
	var typ string
	return c.all["typ"] != nil && (jsonv2.Unmarshal(c.all["typ"], &typ) != nil || !strings.EqualFold(typ, "Bearer"))
}

// verified is whose the token is and what it is good for, until a time at most.
func (e *External) verified(c *external, until time.Time) (*verified, error) {
	client := first(c.all, e.ClientClaims)
	if len(client) != 1 {
		return nil, invalidToken("no claim says whose the access token is")
	}
	id := client[0]
	if here, has := e.Clients[id]; has {
		id = here
	}
	if checkID("client", id) != nil {
		return nil, invalidToken("the client of the access token is not known here")
	}
	if c.Expires != 0 && c.Expires < float64(until.Unix()) {
		until = time.Unix(int64(math.Ceil(c.Expires)), 0)
	}
	bound, _ := boundTo(c.Confirmation) // judged before
	return &verified{
		credential: Credential{Client: id}, external: true, scopes: e.scopes(first(c.all, e.ScopeClaims)), expires: until, bound: bound,
	}, nil
}

// first returns the words of the first claim of these names that is there.
func first(claims map[string]jsontext.Value, names []string) []string {
	for _, name := range names {
		value, has := claims[name]
		if !has {
			continue
		}
		var words []string
		for _, text := range audienceValues(value) { // a text or a list, as aud is
			words = append(words, strings.Fields(text)...)
		}
		return words
	}
	return nil
}

// scopes returns those of ours that words of the issuer stand for.
func (e *External) scopes(words []string) []Scope {
	var list []Scope
	for _, word := range words[:min(len(words), MaxScopes)] {
		stand, said := e.Scopes[word]
		if s := Scope(word); !said && s != ScopeAdmin && s.known() && s.check() == nil {
			stand = []Scope{s}
		}
		for _, s := range stand {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}
