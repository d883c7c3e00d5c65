package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type eventSearchCmd struct {
	dataFlags
	printFlags
	Type         []string `help:"Type of the event; repeat for any of several, as all that may be repeated." sep:"none" placeholder:"TYPE"`
	Category     []string `help:"Category." sep:"none" placeholder:"WORD"`
	Source       []string `help:"Source that wrote it." sep:"none" placeholder:"NAME"`
	Subject      []string `help:"Subject identifier as JSON: of the subject or a part of it." sep:"none" placeholder:"JSON"`
	Identifier   []string `help:"The source's id of the user." sep:"none" placeholder:"ID"`
	Email        []string `help:"E-mail address of the user." sep:"none" placeholder:"ADDRESS"`
	Actor        []string `help:"Id of the user who acted." sep:"none" placeholder:"ID"`
	Session      []string `help:"The source's id of the session." sep:"none" placeholder:"ID"`
	Application  []string `help:"Application at the source." sep:"none" placeholder:"NAME"`
	LinkedID     []string `help:"Linked id." sep:"none" placeholder:"ID"`
	IPAddress    []string `help:"Address or network (203.0.113.0/24)." sep:"none" placeholder:"CIDR" name:"ip-address"`
	Fingerprint  []string `help:"Fingerprint of the device." sep:"none" placeholder:"ID"`
	Environment  []string `help:"Environment." sep:"none" placeholder:"NAME"`
	Suspect      string   `help:"true or false." placeholder:"BOOL"`
	Signal       []string `help:"A signal and its value, as vpn=true; all of them must hold." sep:"none" placeholder:"NAME=BOOL"`
	Tag          []string `help:"A tag and its value; all of them must hold." sep:"none" placeholder:"NAME=VALUE"`
	MinRiskScore string   `help:"Least risk score." placeholder:"NUMBER"`
	Start        string   `help:"After this time, RFC 3339 or Unix milliseconds (default: 7 days ago)." placeholder:"TIME"`
	End          string   `help:"Before this time." placeholder:"TIME"`
	Reverse      bool     `help:"Oldest first."`
	Limit        int      `help:"Events of a page, 1 to 100 (default: 10, with --all 100)." placeholder:"N"`
	TotalHits    int      `help:"Count the events of all pages too, up to N (at most 1000)." placeholder:"N"`
	Fields       []string `help:"Member of the events that is wanted, with --json." sep:"none" placeholder:"NAME"`
	Cursor       string   `help:"Next page of the same search." placeholder:"CURSOR"`
	All          bool     `help:"All pages; with --json one event a line."`
}

// Help shows an example.
func (eventSearchCmd) Help() string {
	return "Example:\n  tocsin event search --session s1\n  tocsin event search --ip-address 203.0.113.0/24 --type idme:session.failed --start 2026-11-01T00:00:00Z --all"
}

// query returns the flags as parameters.
func (c eventSearchCmd) query() (url.Values, error) {
	q := url.Values{
		"type": c.Type, "category": c.Category, "source": c.Source, "subject": c.Subject, "identifier": c.Identifier,
		"email": c.Email, "actor": c.Actor, "session": c.Session, "application": c.Application, "linked_id": c.LinkedID,
		"ip_address": c.IPAddress, "fingerprint": c.Fingerprint, "environment": c.Environment, "fields": c.Fields,
	}
	for name, value := range map[string]string{
		"suspect": c.Suspect, "min_risk_score": c.MinRiskScore, "start": c.Start, "end": c.End, "cursor": c.Cursor,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for prefix, pairs := range map[string][]string{"signals.": c.Signal, "tags.": c.Tag} {
		for _, pair := range pairs {
			name, value, ok := strings.Cut(pair, "=")
			if !ok || name == "" {
				return nil, usage("%q is not a name, = and a value", pair)
			}
			q.Add(prefix+name, value)
		}
	}
	if c.Reverse {
		q.Set("reverse", "true")
	}
	limit := c.Limit
	if limit == 0 && c.All {
		limit = 100
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	if c.TotalHits != 0 {
		q.Set("total_hits", strconv.Itoa(c.TotalHits))
	}
	return q, nil
}

// eventPage is a page of a search.
type eventPage struct {
	Events []json.RawMessage `json:"events"`
	Cursor string            `json:"cursor,omitempty"`
	Total  *int              `json:"total_hits,omitempty"`
}

// Run prints the events that match.
func (c eventSearchCmd) Run(ctx context.Context, std streamsIO) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		for {
			var page eventPage
			if err := api.Do(ctx, http.MethodGet, "/admin/events?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			if err := c.show(std, &page); err != nil {
				return err
			}
			if page.Cursor == "" || !c.All {
				return nil
			}
			q.Set("cursor", page.Cursor)
			q.Del("total_hits")
		}
	})
}

// show prints a page; what is no event goes to stderr, where people read.
func (c eventSearchCmd) show(std streamsIO, page *eventPage) error {
	switch {
	case c.JSON && c.All:
		enc := json.NewEncoder(std.out)
		for _, e := range page.Events {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	case c.JSON:
		return printJSON(std.out, page)
	}
	var err error
	printed := c.print(std.out, page, "ID TIME TYPE SOURCE SESSION ADDRESS SCORE", func(w io.Writer) {
		for _, raw := range page.Events {
			var e struct {
				ID, Type, Source, Session string
				Address                   string   `json:"ip_address"`
				Score                     *float64 `json:"risk_score"`
				Time                      *time.Time
				Recorded                  time.Time `json:"recorded_at"`
			}
			if err = json.Unmarshal(raw, &e); err != nil {
				return
			}
			at, score := e.Recorded, ""
			if e.Time != nil {
				at = *e.Time
			}
			if e.Score != nil {
				score = strconv.FormatFloat(*e.Score, 'g', -1, 64)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, at.UTC().Format(time.RFC3339), orDash(e.Type), orDash(e.Source), orDash(e.Session), orDash(e.Address), orDash(score))
		}
	})
	if err != nil || printed != nil {
		return fmt.Errorf("printing events: %w", errors.Join(err, printed))
	}
	if page.Total != nil {
		fmt.Fprintf(std.err, "%d events in all\n", *page.Total)
	}
	if page.Cursor != "" && !c.All {
		fmt.Fprintf(std.err, "there are more: --cursor %s\n", page.Cursor)
	}
	return nil
}

type eventTypesCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (eventTypesCmd) Help() string { return "Example:\n  tocsin event types --json" }

// eventType is a type of the catalogue.
type eventType struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Category    string   `json:"category,omitempty"`
	Events      []string `json:"events"`
}

// Run prints the catalogue.
func (c eventTypesCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer struct {
			Types []eventType `json:"types"`
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/event-types", nil, &answer); err != nil {
			return err
		}
		return c.print(std.out, answer.Types, "ID CATEGORY BECOMES NAME", func(w io.Writer) {
			for _, t := range answer.Types {
				var becomes []string
				for _, e := range t.Events {
					becomes = append(becomes, e[strings.LastIndexByte(e, '/')+1:])
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.ID, orDash(t.Category), orDash(strings.Join(becomes, ",")), t.Name)
			}
		})
	})
}

// orDash stands in a table for what is not there.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
