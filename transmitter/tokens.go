package transmitter

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// introspections is how many questions to the token issuer are under way at a time.
const introspections = 32

// newTokens returns the client that fetches key sets of clients and of the token issuer.
func (t *Transmitter) newTokens() *wellknown.Client {
	return wellknown.NewClient(wellknown.Config{HTTP: guard.NewClient(t.cfg.Tokens)})
}

// checkKeysURL judges where a client publishes its keys by its text; the address behind
// it is judged at each connection (SEC-01).
func (t *Transmitter) checkKeysURL(raw string) error {
	_, err := guard.CheckURL(raw, t.cfg.Tokens)
	return err
}

// tokenIssuer returns whose access tokens are taken in place of ours; nil: nobody's.
func (t *Transmitter) tokenIssuer() *auth.External {
	if t.cfg.TokenIssuer == nil {
		return nil
	}
	external := *t.cfg.TokenIssuer
	t.issuer = t.tokens.AuthorizationServerKeys(external.Issuer)
	external.Keys = t.issuer
	if external.Introspection == nil {
		return &external
	}
	policy := t.cfg.Tokens
	policy.MaxConnsPerHost = introspections
	asked := &auth.Introspection{
		URL:      external.Introspection.URL,
		ClientID: external.Introspection.ClientID, ClientSecret: external.Introspection.ClientSecret,
		HTTP: guard.NewClient(policy),
	}
	if asked.URL == nil {
		asked.URL = t.introspectionEndpoint
	}
	external.Introspection = asked
	return &external
}

// introspectionEndpoint is the one that the token issuer's metadata names.
func (t *Transmitter) introspectionEndpoint(ctx context.Context) (string, error) {
	server, err := t.tokens.AuthorizationServer(ctx, t.cfg.TokenIssuer.Issuer)
	if err == nil && server.IntrospectionEndpoint == "" {
		err = errors.New("its metadata names no introspection_endpoint")
	}
	return server.IntrospectionEndpoint, err
}

// issuerOfTokens is the authorization server that our metadata names.
func (t *Transmitter) issuerOfTokens() string {
	if t.cfg.TokenIssuer != nil {
		return t.cfg.TokenIssuer.Issuer
	}
	return t.cfg.Issuer
}

// lookForTokenIssuer says at the start if the token issuer cannot be had: until it can,
// its tokens are answered 503.
func (t *Transmitter) lookForTokenIssuer(ctx context.Context) error {
	if t.issuer == nil {
		return nil
	}
	issuer := t.cfg.TokenIssuer.Issuer
	if err := t.issuer.Fetch(ctx, issuer); err != nil && ctx.Err() == nil {
		t.cfg.Logger.WarnContext(ctx, "the keys of the token issuer cannot be fetched", "issuer", issuer, "err", err)
	}
	return nil
}
