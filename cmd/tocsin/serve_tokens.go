package main

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// maxIntrospectionSecret bounds the secret that is read from a file.
const maxIntrospectionSecret = 4 << 10

// tokenFlags say whose access tokens are taken, and where what they need is fetched from.
type tokenFlags struct {
	TokenIssuer         string            `help:"Authorization server whose access tokens are taken, found by its metadata (RFC 8414 or OpenID Connect); then there is no token endpoint here. Default: tokens are our own." placeholder:"URL" group:"Tokens:"`
	TokenAudience       []string          `help:"aud of which a token of --token-issuer must have one." placeholder:"URL" group:"Tokens:"`
	TokenAlgorithms     []string          `help:"Algorithms by which they may be signed." default:"RS256,PS256,ES256,EdDSA" group:"Tokens:"`
	TokenAnyType        bool              `help:"Take them without typ at+jwt (RFC 9068), too. What is known of ID tokens is refused then." group:"Tokens:"`
	TokenClientClaim    []string          `help:"Claims that name their client: the first that is there." default:"client_id,azp" group:"Tokens:"`
	TokenScopeClaim     []string          `help:"Claims that have their scopes: the first that is there." default:"scope,scp" group:"Tokens:"`
	TokenClient         map[string]string `help:"What a client of the issuer is called here, if not the same; repeatable, a map in the file." placeholder:"THERE=CLIENT_ID" group:"Tokens:"`
	TokenScope          map[string]string `help:"Scopes of ours that a scope of the issuer stands for, separated by spaces; others stand for themselves, but for admin. Repeatable, a map in the file." placeholder:"THERE=\"SCOPES\"" group:"Tokens:"`
	IntrospectionClient string            `help:"client_id by which the issuer is asked about tokens that are no JWT (RFC 7662); default: they are refused." placeholder:"ID" and:"introspection" group:"Tokens:"`
	IntrospectionSecret string            `help:"Its secret: @FILE, or the text." placeholder:"@FILE" and:"introspection" group:"Tokens:"`
	TokenCA             string            `help:"CAs of --token-issuer and of the servers with clients' key sets, PEM, beside the system's." placeholder:"FILE" name:"token-ca" group:"Tokens:"`
	TokenAllow          []string          `help:"Address ranges in which they may be although they are not public." placeholder:"CIDR" group:"Tokens:"`
}

// policy returns which addresses may be called.
func (f tokenFlags) policy() (guard.Policy, error) {
	allow, err := prefixes("--token-allow", f.TokenAllow)
	if err != nil || f.TokenCA == "" {
		return guard.Policy{Allow: allow}, err
	}
	pool, err := caPool(f.TokenCA)
	return guard.Policy{Allow: allow, RootCAs: pool}, err
}

// external returns whose tokens are taken in place of ours; nil: nobody's.
func (f tokenFlags) external() (*auth.External, error) {
	if f.TokenIssuer == "" {
		if f.TokenAudience != nil || f.TokenAnyType || f.TokenClient != nil || f.TokenScope != nil || f.IntrospectionClient != "" {
			return nil, usage("--token-issuer is missing: without it tokens are our own, and the other settings of its tokens mean nothing")
		}
		return nil, nil
	}
	if len(f.TokenAudience) == 0 {
		return nil, usage("--token-audience is missing: a token that --token-issuer made for others must not pass here")
	}
	e := &auth.External{
		Issuer: f.TokenIssuer, Audience: f.TokenAudience, AnyType: f.TokenAnyType,
		ClientClaims: f.TokenClientClaim, ScopeClaims: f.TokenScopeClaim, Clients: f.TokenClient,
		Scopes: make(map[string][]auth.Scope, len(f.TokenScope)),
	}
	for _, name := range f.TokenAlgorithms {
		alg, err := jose.ParseAlgorithm(name)
		if err != nil {
			return nil, usage("--token-algorithms %s is none of RS256, PS256, ES256 and EdDSA", name)
		}
		e.Algorithms = append(e.Algorithms, alg)
	}
	for there, text := range f.TokenScope {
		scopes, err := auth.ParseScopes(text)
		if err != nil || len(scopes) == 0 {
			return nil, usage("--token-scope %s=%s names no scopes", there, text)
		}
		e.Scopes[there] = scopes
	}
	if f.IntrospectionClient == "" {
		return e, nil
	}
	secret := []byte(f.IntrospectionSecret)
	if file, ok := strings.CutPrefix(f.IntrospectionSecret, "@"); ok {
		var err error
		if secret, err = readFile(file, maxIntrospectionSecret); err != nil {
			return nil, err
		}
	}
	e.Introspection = &auth.Introspection{ClientID: f.IntrospectionClient, ClientSecret: string(bytes.TrimSpace(secret))}
	return e, nil
}

// prefixes reads the address ranges of a flag.
func prefixes(flag string, ranges []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, cidr := range ranges {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, usage("%s %s is not an address range such as 10.0.0.0/8", flag, cidr)
		}
		list = append(list, prefix)
	}
	return list, nil
}
