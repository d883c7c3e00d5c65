package credential

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// newClientCredentials returns a function that asks the token endpoint, which it finds
// through the server's metadata if it is not given. It is called once at a time.
func newClientCredentials(cfg Config) func(context.Context) (*oauth2.Token, error) {
	servers := wellknown.NewClient(wellknown.Config{HTTP: cfg.HTTP})
	parameters := url.Values{}
	for name, value := range cfg.Parameters {
		parameters.Set(name, value)
	}
	// It remembers whether the server wants the secret in a header or in the form.
	client := clientcredentials.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, TokenURL: cfg.TokenURL,
		Scopes: cfg.Scopes, EndpointParams: parameters,
	}
	if cfg.byCertificate() {
		client.AuthStyle = oauth2.AuthStyleInParams // the client_id alone
	}
	return func(ctx context.Context) (*oauth2.Token, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
		defer cancel()
		if cfg.TokenURL == "" {
			server, err := servers.AuthorizationServer(ctx, cfg.AuthorizationServer)
			if err != nil {
				return nil, fmt.Errorf("credential: metadata of the authorization server: %w", err)
			}
			client.TokenURL = server.TokenEndpoint
			if cfg.Certificate != nil {
				client.TokenURL = server.MTLSTokenEndpoint()
			}
			if client.TokenURL == "" {
				return nil, errors.New("credential: the authorization server names no token_endpoint")
			}
		}
		if cfg.ClientSecretFile != "" {
			var err error
			if client.ClientSecret, err = readSecret(cfg.ClientSecretFile); err != nil {
				return nil, fmt.Errorf("credential: Config.ClientSecretFile: %w", err)
			}
		}
		if cfg.ClientKeyFile != "" {
			form, err := cfg.asserted(client.TokenURL, parameters)
			if err != nil {
				return nil, fmt.Errorf("credential: Config.ClientKeyFile: %w", err)
			}
			// It is good once: no other style is tried with it.
			client.EndpointParams, client.AuthStyle = form, oauth2.AuthStyleInParams
		}
		client.Scopes = cfg.scopes(ctx, servers)
		token, err := client.Token(context.WithValue(ctx, oauth2.HTTPClient, cfg.HTTP))
		if err != nil {
			return nil, fmt.Errorf("credential: token endpoint: %w", cfg.shown(err))
		}
		return token, nil
	}
}

// scopes returns those to ask for. Metadata that is not there, or that speaks for another
// resource, tells nothing (RFC 9728 §3.3).
func (cfg Config) scopes(ctx context.Context, documents *wellknown.Client) []string {
	if cfg.Resource == nil {
		return cfg.Scopes
	}
	at, err := cfg.Resource(ctx)
	if err != nil || at == "" {
		return cfg.Scopes
	}
	of, err := documents.ProtectedResource(ctx, at)
	if err != nil || len(of.ScopesSupported) == 0 {
		return cfg.Scopes
	}
	foreign := func(scope string) bool { return !slices.Contains(of.ScopesSupported, scope) }
	if ours := slices.DeleteFunc(slices.Clone(cfg.Scopes), foreign); len(ours) > 0 {
		return ours
	}
	return of.ScopesSupported
}

// told keeps of an error what may be shown: the answer's body may repeat what was sent.
func told(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok:
		return guard.Cause(err)
	case refused.ErrorCode != "":
		return fmt.Errorf("answered %.100q", refused.ErrorCode)
	case refused.Response != nil:
		return fmt.Errorf("answered %d", refused.Response.StatusCode)
	}
	return errors.New("refused")
}
