package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type applicationCmd struct {
	Add    applicationAddCmd    `cmd:"" help:"Add an application."`
	Update applicationUpdateCmd `cmd:"" help:"Change an application."`
	List   applicationListCmd   `cmd:"" help:"List the applications."`
	Remove applicationRemoveCmd `cmd:"" help:"Remove an application with its clients and streams."`
}

// application is one as the admin API shows it.
type application struct {
	ID            string    `json:"id"`
	Name          string    `json:"name,omitempty"`
	Audience      []string  `json:"audience"`
	SubjectFormat string    `json:"subject_format,omitempty"`
	Profile       string    `json:"profile,omitempty"`
	Encryption    any       `json:"encryption,omitempty"`
	Created       time.Time `json:"created,omitzero"`
}

type applicationAddCmd struct {
	dataFlags
	jsonFlag
	ID            string   `help:"Id of the application." required:""`
	Name          string   `help:"Name for people."`
	Audience      []string `help:"The aud of its SETs." required:"" placeholder:"URL"`
	SubjectFormat string   `help:"Format of subject identifiers it prefers, such as email or iss_sub."`
	Profile       string   `help:"Form of the SETs of its streams, for a receiver that does not read the current one: okta, apple, google-workspace, login.gov, risc-draft, and settings such as apple,subject=event."`
	encryptFlags
}

// Help shows an example.
func (applicationAddCmd) Help() string {
	return "Example:\n  tocsin application add --id shop --audience https://shop.example"
}

// Run adds it and prints it.
func (c applicationAddCmd) Run(ctx context.Context, std streamsIO) error {
	to, err := c.ask(std)
	if err != nil {
		return err
	}
	ask := application{ID: c.ID, Name: c.Name, Audience: c.Audience, SubjectFormat: c.SubjectFormat, Profile: c.Profile}
	if to != nil {
		ask.Encryption = to
	}
	return c.with(ctx, true, func(api *adminapi.Client) error {
		var made application
		if err := api.Do(ctx, http.MethodPost, "/admin/applications", ask, &made); err != nil {
			return err
		}
		return printJSON(std.out, made)
	})
}

type applicationUpdateCmd struct {
	dataFlags
	jsonFlag
	ID            string  `arg:"" help:"Id of the application."`
	Name          *string `help:"Name for people."`
	SubjectFormat *string `help:"Format of subject identifiers it prefers; empty: none."`
	Profile       *string `help:"Form of the SETs of streams it makes from now on; empty: the current one. For one that there is: tocsin stream profile."`
	encryptFlags
	EncryptOff bool `help:"Streams it makes from now on send SETs signed alone. For one that there is: tocsin stream encrypt --off." name:"encrypt-off"`
}

// Help shows an example.
func (applicationUpdateCmd) Help() string {
	return "Example:\n  tocsin application update shop --profile okta"
}

// Run changes it and prints it.
func (c applicationUpdateCmd) Run(ctx context.Context, std streamsIO) error {
	to, err := c.ask(std)
	switch {
	case err != nil:
		return err
	case c.EncryptOff && to != nil:
		return usage("--encrypt-off and --encrypt-to exclude each other")
	case c.EncryptOff:
		to = &encryption{Off: true}
	}
	ask := struct {
		Name          *string     `json:"name,omitempty"`
		SubjectFormat *string     `json:"subject_format,omitempty"`
		Profile       *string     `json:"profile,omitempty"`
		Encryption    *encryption `json:"encryption,omitempty"`
	}{c.Name, c.SubjectFormat, c.Profile, to}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var changed application
		if err := api.Do(ctx, http.MethodPatch, "/admin/applications/"+url.PathEscape(c.ID), ask, &changed); err != nil {
			return err
		}
		return printJSON(std.out, changed)
	})
}

type applicationListCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (applicationListCmd) Help() string { return "Example:\n  tocsin application list --json" }

// Run lists them.
func (c applicationListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var list []application
		if err := api.Do(ctx, http.MethodGet, "/admin/applications", nil, &list); err != nil {
			return err
		}
		return c.print(std.out, list, "ID AUDIENCE CREATED", func(w io.Writer) {
			for _, a := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\n", a.ID, strings.Join(a.Audience, ","), a.Created.Format(time.DateTime))
			}
		})
	})
}

type applicationRemoveCmd struct {
	dataFlags
	ID string `arg:"" help:"Id of the application."`
}

// Help shows an example.
func (applicationRemoveCmd) Help() string { return "Example:\n  tocsin application remove shop" }

// Run removes it.
func (c applicationRemoveCmd) Run(ctx context.Context) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodDelete, "/admin/applications/"+url.PathEscape(c.ID), nil, nil)
	})
}
