package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

type clientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"Add a client; its secret is shown once."`
	List   clientListCmd   `cmd:"" help:"List the clients."`
	Rotate clientRotateCmd `cmd:"" help:"Replace a client's secret and static token; those before are good for a while."`
	Remove clientRemoveCmd `cmd:"" help:"Remove a client; its tokens end at once."`
}

// credential is one as the admin API shows it.
type credential struct {
	ID          string        `json:"id"`
	Application string        `json:"application,omitempty"`
	Audience    string        `json:"audience,omitempty"`
	Environment string        `json:"environment,omitempty"`
	Scope       string        `json:"scope"`
	Static      bool          `json:"static,omitempty"`
	External    bool          `json:"external,omitempty"`
	Source      *clientSource `json:"source,omitempty"`

	JWKS        json.RawMessage   `json:"jwks,omitempty"`
	JWKSURI     string            `json:"jwks_uri,omitempty"`
	Certificate *auth.Certificate `json:"certificate,omitempty"`
	BoundTokens bool              `json:"bound_tokens,omitempty"`

	Created  time.Time `json:"created,omitzero"`
	Rotated  time.Time `json:"rotated,omitzero"`
	OldUntil time.Time `json:"old_until,omitzero"`
}

type clientSource struct {
	Name           string   `json:"name"`
	EventTypes     []string `json:"event_types"`
	SubjectIssuers []string `json:"subject_issuers"`
	Applications   []string `json:"applications"`
}

type clientAddCmd struct {
	dataFlags
	jsonFlag
	ID          string `help:"The client_id." required:""`
	Audience    string `help:"Audience of its application, which is made if need be." xor:"owner" required:"" placeholder:"URL"`
	Application string `help:"Id of its application." xor:"owner" required:""`
	Scope       string `help:"Scopes, separated by spaces." required:"" placeholder:"\"ssf.manage ssf.read\""`
	Environment string `help:"Environment of the application that it is bound to; default: none, it sees all." placeholder:"NAME"`
	Static      bool   `help:"Also make an access token without end."`
	JWKS        string `help:"File with the public keys that it authenticates with (private_key_jwt), a JWKS or PEM; it gets no secret." name:"jwks" placeholder:"FILE" xor:"keys"`
	JWKSURI     string `help:"Where it publishes them instead." name:"jwks-uri" placeholder:"URL" xor:"keys"`
	External    bool   `help:"Its tokens are of another issuer (serve --token-issuer); it gets no secret." xor:"keys"`
	certificateFlags
	BoundTokens bool `help:"Its tokens are good together with the certificate alone that it had when it got them, in whichever way it authenticates." group:"Certificate:"`

	Source         string   `help:"Name of the source of events that it is; default: its id." placeholder:"NAME"`
	EventTypes     []string `help:"Event type URIs that it may write; default: all." placeholder:"URI"`
	SubjectIssuers []string `help:"iss values of subjects that it may speak of; default: all." placeholder:"URL"`
	ForApplication []string `help:"Applications that its events are for; default: all." placeholder:"ID"`
}

// Help shows an example.
func (clientAddCmd) Help() string {
	return "Example:\n  tocsin client add --id shop --audience https://shop.example --scope \"ssf.manage ssf.read\" --static\n" +
		"  tocsin client add --id shop --audience https://shop.example --scope ssf.manage --jwks shop.pub.pem\n" +
		"  tocsin client add --id shop --audience https://shop.example --scope ssf.manage --tls-subject-dn \"CN=shop,O=Shop Ltd,C=DE\"\n" +
		"It prints client_id and client_secret (with --static also access_token) as JSON, once.\n" +
		"Clients with the same --source are credentials of one feed, as while one replaces the other: their --for-application and --environment must be the same."
}

// Run adds it and prints its credentials.
func (c clientAddCmd) Run(ctx context.Context, std streamsIO) error {
	ask := credential{ID: c.ID, Application: c.Application, Audience: c.Audience, Environment: c.Environment, Scope: c.Scope, Static: c.Static, JWKSURI: c.JWKSURI, External: c.External, Certificate: c.certificate(), BoundTokens: c.BoundTokens}
	if c.Source != "" || c.EventTypes != nil || c.SubjectIssuers != nil || c.ForApplication != nil {
		ask.Source = &clientSource{c.Source, c.EventTypes, c.SubjectIssuers, c.ForApplication}
		if c.Source == "" {
			ask.Source.Name = c.ID
		}
	}
	if c.JWKS != "" {
		var err error
		if ask.JWKS, err = publicKeys(std, c.JWKS); err != nil {
			return err
		}
	}
	return c.with(ctx, true, func(api *adminapi.Client) error {
		var made struct {
			ID          string `json:"client_id"`
			Secret      string `json:"client_secret,omitempty"`
			AccessToken string `json:"access_token,omitempty"`
		}
		if err := api.Do(ctx, http.MethodPost, "/admin/clients", ask, &made); err != nil {
			return err
		}
		return printJSON(std.out, made)
	})
}

type clientListCmd struct {
	dataFlags
	printFlags
	Application string `help:"Only those of this application."`
}

// Help shows an example.
func (clientListCmd) Help() string { return "Example:\n  tocsin client list --application shop" }

// Run lists them.
func (c clientListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var list []credential
		if err := api.Do(ctx, http.MethodGet, "/admin/clients?application="+url.QueryEscape(c.Application), nil, &list); err != nil {
			return err
		}
		return c.print(std.out, list, "CLIENT_ID APPLICATION SCOPE CREATED CREDENTIAL", func(w io.Writer) {
			now := time.Now()
			for i := range list {
				one := &list[i]
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", one.ID, one.Application, one.Scope, one.Created.Format(time.DateTime), one.state(now))
			}
		})
	})
}

type clientRemoveCmd struct {
	dataFlags
	ID string `arg:"" help:"The client_id."`
}

// Help shows an example.
func (clientRemoveCmd) Help() string { return "Example:\n  tocsin client remove shop" }

// Run removes it.
func (c clientRemoveCmd) Run(ctx context.Context) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodDelete, "/admin/clients/"+url.PathEscape(c.ID), nil, nil)
	})
}
