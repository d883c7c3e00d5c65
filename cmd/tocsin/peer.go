package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// peerFlags say which transmitter is spoken to, and as whom.
type peerFlags struct {
	jsonFlag
	Issuer           string `help:"Issuer URL of the transmitter." required:"" placeholder:"URL"`
	Token            string `help:"Access token; better given as TOCSIN_TOKEN." placeholder:"TOKEN"`
	ClientID         string `help:"client_id, for a token of the token endpoint."`
	ClientSecret     string `help:"client_secret; better given as TOCSIN_CLIENT_SECRET."`
	ClientCert       string `help:"Certificate shown to the transmitter, PEM (mutual TLS); a client without a secret is known by it." placeholder:"FILE"`
	ClientKey        string `help:"Key of the certificate, PEM." placeholder:"FILE"`
	TokenURL         string `help:"Token endpoint; default: from the transmitter's authorization server metadata." placeholder:"URL"`
	Scope            string `help:"Scopes to ask for." default:"ssf.read ssf.manage"`
	CA               string `help:"CA of the transmitter, PEM, beside the system's." name:"ca" placeholder:"FILE"`
	InsecureLoopback bool   `help:"Allow plain http to loopback."`
	AllowPrivate     bool   `help:"Allow a transmitter on a private address." default:"true" negatable:""`
}

// open returns a client of the peer's management API.
func (p peerFlags) open(ctx context.Context) (*client.Client, error) {
	policy := guard.Policy{InsecureLoopback: p.InsecureLoopback, Timeout: client.DefaultTimeout}
	if p.AllowPrivate {
		// The address comes from the one who types the command, not from a peer.
		policy.Allow = guard.PrivateRanges()
	}
	if p.CA != "" {
		pool, err := caPool(p.CA)
		if err != nil {
			return nil, err
		}
		policy.RootCAs = pool
	}
	if err := p.certificate(&policy); err != nil {
		return nil, err
	}
	plain := guard.NewClient(policy)
	token, err := p.token(ctx, plain)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Issuer: p.Issuer, Token: token, HTTP: plain})
}

// certificate puts the client's certificate into a policy.
func (p peerFlags) certificate(policy *guard.Policy) error {
	if (p.ClientCert == "") != (p.ClientKey == "") {
		return usage("--client-cert and --client-key belong together")
	}
	if p.ClientCert == "" {
		return nil
	}
	pair, err := certfile.Open(certfile.Config{Cert: p.ClientCert, Key: p.ClientKey, Private: true})
	if err != nil {
		return usage("--client-cert, --client-key: %v", err)
	}
	policy.ClientCertificate = pair.Get
	return nil
}

// token returns where access tokens come from.
func (p peerFlags) token(ctx context.Context, plain *http.Client) (func(context.Context) (string, error), error) {
	if p.Token != "" {
		return func(context.Context) (string, error) { return p.Token, nil }, nil
	}
	if p.ClientID == "" || p.ClientSecret == "" && p.ClientCert == "" {
		return nil, usage("give --token, or --client-id and --client-secret, or --client-id, --client-cert and --client-key")
	}
	if p.TokenURL == "" {
		server, err := wellknown.NewClient(wellknown.Config{HTTP: plain}).AuthorizationServer(ctx, p.Issuer)
		if err != nil {
			return nil, fmt.Errorf("finding the token endpoint (or name it with --token-url): %w", err)
		}
		p.TokenURL = server.TokenEndpoint
		if p.ClientCert != "" {
			p.TokenURL = server.MTLSTokenEndpoint()
		}
	}
	config := clientcredentials.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, TokenURL: p.TokenURL, Scopes: strings.Fields(p.Scope),
	}
	if p.ClientSecret == "" {
		config.AuthStyle = oauth2.AuthStyleInParams // the client_id alone (RFC 8705 §2)
	}
	source := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, plain))
	return func(context.Context) (string, error) {
		t, err := source.Token()
		if err != nil {
			return "", err
		}
		return t.AccessToken, nil
	}, nil
}

// printed calls fn and prints what it returns; nil prints nothing.
func printed(ctx context.Context, std streamsIO, p peerFlags, fn func(*client.Client) (any, error)) error {
	api, err := p.open(ctx)
	if err != nil {
		return err
	}
	v, err := fn(api)
	if err != nil || v == nil {
		return plainly(err)
	}
	return printJSON(std.out, v)
}

// plainly returns an error that shows what a peer said for people, where its
// answer has a description as ours do.
func plainly(err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) {
		return err
	}
	var said struct {
		Member      string `json:"member"`
		Description string `json:"description"`
	}
	if json.Unmarshal([]byte(refused.Body), &said) != nil || said.Description == "" {
		return err
	}
	text := said.Description
	if said.Member != "" {
		text = said.Member + " " + text
	}
	return fmt.Errorf("%s: %d %s: %s", refused.Operation, refused.Status, http.StatusText(refused.Status), text)
}
