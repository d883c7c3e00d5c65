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

type sourceCmd struct {
	Add    sourceAddCmd    `cmd:"" help:"Add a source that a vendor's system feeds; its secret is shown once."`
	List   sourceListCmd   `cmd:"" help:"List the vendors' sources."`
	Remove sourceRemoveCmd `cmd:"" help:"Remove a vendor's source; its events stay."`
}

// vendorSource is one as the admin API shows it.
type vendorSource struct {
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`
	Auth           string    `json:"auth"`
	User           string    `json:"user,omitempty"`
	Header         string    `json:"header,omitempty"`
	Environment    string    `json:"environment,omitempty"`
	Applications   []string  `json:"applications"`
	EventTypes     []string  `json:"event_types"`
	SubjectIssuers []string  `json:"subject_issuers"`
	Path           string    `json:"path,omitempty"`
	Created        time.Time `json:"created,omitzero"`
}

// vendorCredential is what a vendor is to send.
type vendorCredential struct {
	Name    string `json:"name"`
	Path    string `json:"path,omitempty"`
	User    string `json:"user,omitempty"`
	Header  string `json:"header,omitempty"`
	Secret  string `json:"secret,omitempty"`
	Warning string `json:"warning,omitempty"`
}

type sourceAddCmd struct {
	dataFlags
	jsonFlag
	Name           string   `help:"Name of the source: in its path and in its events." required:""`
	Kind           string   `help:"Whose records it takes: idme, onelogin or fingerprint." required:"" enum:"idme,onelogin,fingerprint"`
	Auth           string   `help:"How the vendor authenticates: bearer, basic, header (a secret in a header of its own), or none." default:"bearer" enum:"bearer,basic,header,none"`
	User           string   `help:"User of --auth basic; default: the name."`
	Header         string   `help:"Name of the header of --auth header." placeholder:"NAME"`
	ForApplication []string `help:"Applications that its events are for; default: all." placeholder:"ID"`
	Environment    string   `help:"Environment of its events; default: none."`
	EventTypes     []string `help:"Event type URIs that may come of it; default: all." placeholder:"URI"`
	SubjectIssuers []string `help:"iss values of subjects that it may speak of; default: all." placeholder:"URL"`
}

// Help shows an example.
func (sourceAddCmd) Help() string {
	return "Example:\n  tocsin source add --name idme --kind idme --auth bearer\n" +
		"  tocsin source add --name onelogin --kind onelogin --auth header --header X-Tocsin-Secret\n" +
		"It prints the path and what the vendor is to send there, once."
}

// Run adds it and prints what the vendor is to send.
func (c sourceAddCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Auth == "basic" && c.User == "" {
		c.User = c.Name
	}
	ask := vendorSource{
		Name: c.Name, Kind: c.Kind, Auth: c.Auth, User: c.User, Header: c.Header,
		Environment: c.Environment, Applications: c.ForApplication, EventTypes: c.EventTypes, SubjectIssuers: c.SubjectIssuers,
	}
	return c.with(ctx, true, func(api *adminapi.Client) error {
		var made vendorCredential
		if err := api.Do(ctx, http.MethodPost, "/admin/sources", ask, &made); err != nil {
			return err
		}
		if made.Warning != "" {
			fmt.Fprintln(std.err, "tocsin: warning:", made.Warning)
		}
		return printJSON(std.out, made)
	})
}

type sourceListCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (sourceListCmd) Help() string { return "Example:\n  tocsin source list --json" }

// Run lists them.
func (c sourceListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var list []vendorSource
		if err := api.Do(ctx, http.MethodGet, "/admin/sources", nil, &list); err != nil {
			return err
		}
		return c.print(std.out, list, "NAME KIND AUTH APPLICATIONS CREATED", func(w io.Writer) {
			for _, s := range list {
				apps := "all"
				if s.Applications != nil {
					apps = strings.Join(s.Applications, ",")
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Kind, s.Auth, apps, s.Created.Format(time.DateTime))
			}
		})
	})
}

type sourceRemoveCmd struct {
	dataFlags
	Name string `arg:"" help:"Name of the source."`
}

// Help shows an example.
func (sourceRemoveCmd) Help() string { return "Example:\n  tocsin source remove idme" }

// Run removes it.
func (c sourceRemoveCmd) Run(ctx context.Context) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodDelete, "/admin/sources/"+url.PathEscape(c.Name), nil, nil)
	})
}
