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
	Fetch  sourceFetchCmd  `cmd:"" help:"Look up one event at a vendor and keep it."`
	Types  sourceTypesCmd  `cmd:"" help:"Ask a vendor for the types of its events, as a rules file."`
	Rotate sourceRotateCmd `cmd:"" help:"Replace a source's secret, or the vendor's."`
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

	Signed          bool              `json:"signed,omitempty"`
	SignatureSecret string            `json:"signature_secret,omitempty"`
	Consents        map[string]string `json:"consents,omitempty"`

	API    *vendorAPI   `json:"api,omitempty"`
	Polled *vendorPlace `json:"polled,omitempty"`
}

// vendorAPI is how a vendor's own API is called.
type vendorAPI struct {
	URL            string    `json:"url"`
	ClientID       string    `json:"client_id,omitempty"`
	Secret         string    `json:"secret,omitempty"`
	PollSeconds    int       `json:"poll_seconds,omitempty"`
	OverlapSeconds int       `json:"overlap_seconds,omitempty"`
	Since          time.Time `json:"since,omitzero"`
}

// vendorPlace is how far a source has been polled.
type vendorPlace struct {
	Since       time.Time `json:"since"`
	Within      bool      `json:"within,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Failures    int       `json:"failures"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
}

// state tells in a few words how polling goes.
func (s *vendorSource) state() string {
	switch p := s.Polled; {
	case p == nil:
		return "-"
	case p.Failures > 0:
		return fmt.Sprintf("failing %d times, last: %s", p.Failures, p.LastError)
	case p.LastSuccess.IsZero():
		return "not yet"
	default:
		return "ok " + p.LastSuccess.Format(time.DateTime)
	}
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
	Name           string            `help:"Name of the source: in its path and in its events." required:""`
	Kind           string            `help:"Whose records it takes: idme, onelogin or fingerprint." required:"" enum:"idme,onelogin,fingerprint"`
	Auth           string            `help:"How the vendor authenticates: bearer, basic, header (a secret in a header of its own), none, or off for a source that is only polled." default:"bearer" enum:"bearer,basic,header,none,off"`
	User           string            `help:"User of --auth basic; default: the name."`
	Header         string            `help:"Name of the header of --auth header." placeholder:"NAME"`
	ForApplication []string          `help:"Applications that its events are for; default: all." placeholder:"ID"`
	Environment    string            `help:"Environment of its events; default: none."`
	EventTypes     []string          `help:"Event type URIs that may come of it; default: all." placeholder:"URI"`
	SubjectIssuers []string          `help:"iss values of subjects that it may speak of; default: all." placeholder:"URL"`
	Consent        map[string]string `help:"Have the source's records of consent to an application, by its name at the vendor, noted as decisions for an application here; repeatable." mapsep:"none" placeholder:"NAME=ID"`
	Signature      string            `help:"Secret with which Fingerprint signs what its webhook sends: @FILE, - for standard input, or the text; what is not signed by it is refused." name:"signature-secret" placeholder:"@FILE"`
	sourceAPIFlags
}

// Help shows an example.
func (sourceAddCmd) Help() string {
	return "Example:\n  tocsin source add --name idme --kind idme --auth bearer\n" +
		"  tocsin source add --name onelogin --kind onelogin --auth header --header X-Tocsin-Secret\n" +
		"  tocsin source add --name ol --kind onelogin --auth off --api-url https://acme.onelogin.com --api-client ID --api-secret @secret.txt --poll-every 1m\n" +
		"  tocsin source add --name fp --kind fingerprint --auth basic --signature-secret @secret.txt\n" +
		"It prints the path and what the vendor is to send there, once."
}

// Run adds it and prints what the vendor is to send.
func (c sourceAddCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Auth == "basic" && c.User == "" {
		c.User = c.Name
	}
	api, err := c.api(std, c.Kind)
	if err != nil {
		return err
	}
	signature, err := signatureSecret(std, c.Signature)
	if err != nil {
		return err
	}
	ask := vendorSource{
		SignatureSecret: signature, Consents: c.Consent,
		Name: c.Name, Kind: c.Kind, Auth: c.Auth, User: c.User, Header: c.Header,
		API: api, Environment: c.Environment, Applications: c.ForApplication, EventTypes: c.EventTypes, SubjectIssuers: c.SubjectIssuers,
	}
	return c.with(ctx, true, func(admin *adminapi.Client) error {
		var made vendorCredential
		if err := admin.Do(ctx, http.MethodPost, "/admin/sources", ask, &made); err != nil {
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
		return c.print(std.out, list, "NAME KIND AUTH APPLICATIONS CREATED POLLED", func(w io.Writer) {
			for _, s := range list {
				apps := "all"
				if s.Applications != nil {
					apps = strings.Join(s.Applications, ",")
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Kind, s.Auth, apps, s.Created.Format(time.DateTime), s.state())
			}
		})
	})
}

type sourceFetchCmd struct {
	dataFlags
	jsonFlag
	Name string `arg:"" help:"Name of the source."`
	ID   string `arg:"" help:"The vendor's id of the event."`
}

// Help shows an example.
func (sourceFetchCmd) Help() string {
	return "Example:\n  tocsin source fetch idme 0d3f9c4e"
}

// Run fetches it and prints what became of it.
func (c sourceFetchCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var counts struct {
			Kept    int `json:"kept"`
			Seen    int `json:"seen"`
			Denied  int `json:"denied"`
			Refused int `json:"refused"`
		}
		ask := map[string]string{"id": c.ID}
		if err := api.Do(ctx, http.MethodPost, "/admin/sources/"+url.PathEscape(c.Name)+"/fetch", ask, &counts); err != nil {
			return err
		}
		return printJSON(std.out, counts)
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
