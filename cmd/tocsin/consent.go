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
)

type consentCmd struct {
	Grant  consentGrantCmd  `cmd:"" help:"Note that a subject consents: what is held for it is released, in order."`
	Deny   consentDenyCmd   `cmd:"" help:"Note that a subject does not consent."`
	Revoke consentRevokeCmd `cmd:"" help:"Note that a subject takes its consent back: what comes now is held."`
	List   consentListCmd   `cmd:"" help:"List decisions, newest first: of one subject, or all."`
	Gate   consentGateCmd   `cmd:"" help:"Show or change an application's gate, and how many events it holds."`

	Participation consentParticipationCmd `cmd:"" help:"Tell whether an account takes part in RISC or has opted out (RISC §2.8)."`
}

// applicationFlag names the application.
type applicationFlag struct {
	Application string `help:"Id of the application." required:"" placeholder:"ID"`
}

// query is the application as a query.
func (a applicationFlag) query() url.Values { return url.Values{"application": {a.Application}} }

// consentDecision is a decision as the admin API shows it.
type consentDecision struct {
	ID          string          `json:"id,omitempty"`
	Application string          `json:"application"`
	Subject     json.RawMessage `json:"subject"`
	Decision    string          `json:"decision"`
	Time        *time.Time      `json:"time,omitempty"`
	Recorded    time.Time       `json:"recorded_at,omitzero"`
	Reason      string          `json:"reason,omitempty"`
	SourceID    string          `json:"source_id,omitempty"`
	By          string          `json:"by,omitempty"`
}

// decisionFlags are of commands that note a decision.
type decisionFlags struct {
	dataFlags
	printFlags
	applicationFlag
	Subject  string     `help:"Subject identifier, or an array of them, as JSON." required:"" placeholder:"JSON"`
	Reason   string     `help:"Why, in a few words." placeholder:"TEXT"`
	SourceID string     `help:"Your own id of the decision: given again, nothing happens." placeholder:"ID"`
	Time     *time.Time `help:"When the subject decided (RFC 3339)." placeholder:"TIME"`
}

// decide notes the decision and prints its id.
func (d decisionFlags) decide(ctx context.Context, std streamsIO, word string) error {
	if !json.Valid([]byte(d.Subject)) {
		return usage("--subject is not JSON, as %s is", subjectExample)
	}
	ask := consentDecision{
		Application: d.Application, Subject: json.RawMessage(d.Subject), Decision: word,
		Time: d.Time, Reason: d.Reason, SourceID: d.SourceID,
	}
	return d.with(ctx, false, func(api *adminapi.Client) error {
		var made consentDecision
		if err := api.Do(ctx, http.MethodPost, "/admin/consents", ask, &made); err != nil {
			return err
		}
		return d.tell(std.out, made, made.ID)
	})
}

const decisionExample = " --application shop --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}'"

type consentGrantCmd struct{ decisionFlags }

// Help shows an example.
func (consentGrantCmd) Help() string { return "Example:\n  tocsin consent grant" + decisionExample }

// Run notes it.
func (c consentGrantCmd) Run(ctx context.Context, std streamsIO) error {
	return c.decide(ctx, std, "grant")
}

type consentDenyCmd struct{ decisionFlags }

// Help shows an example.
func (consentDenyCmd) Help() string { return "Example:\n  tocsin consent deny" + decisionExample }

// Run notes it.
func (c consentDenyCmd) Run(ctx context.Context, std streamsIO) error {
	return c.decide(ctx, std, "deny")
}

type consentRevokeCmd struct{ decisionFlags }

// Help shows an example.
func (consentRevokeCmd) Help() string { return "Example:\n  tocsin consent revoke" + decisionExample }

// Run notes it.
func (c consentRevokeCmd) Run(ctx context.Context, std streamsIO) error {
	return c.decide(ctx, std, "revoke")
}

type consentListCmd struct {
	dataFlags
	printFlags
	applicationFlag
	Subject string `help:"Subject identifier, or an array of them, as JSON; default: all subjects." placeholder:"JSON"`
	Limit   int    `help:"The most that are listed." default:"100"`
}

// Help shows an example.
func (consentListCmd) Help() string {
	return "Example:\n  tocsin consent list --application shop\n  tocsin consent list" + decisionExample + " --json"
}

// consentPage is a page of decisions.
type consentPage struct {
	Application string            `json:"application"`
	State       string            `json:"state,omitempty"`
	Since       *time.Time        `json:"since,omitempty"`
	Decisions   []consentDecision `json:"decisions"`
	Next        string            `json:"next,omitempty"`
}

// Run lists them.
func (c consentListCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Limit < 1 {
		return usage("--limit must be at least 1")
	}
	query := c.query()
	if c.Subject != "" {
		query.Set("subject", c.Subject)
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		all := consentPage{Decisions: []consentDecision{}}
		for {
			query.Set("limit", fmt.Sprint(min(c.Limit-len(all.Decisions), 500)))
			var page consentPage
			if err := api.Do(ctx, http.MethodGet, "/admin/consents?"+query.Encode(), nil, &page); err != nil {
				return err
			}
			page.Decisions = append(all.Decisions, page.Decisions...)
			all = page
			if all.Next == "" || len(all.Decisions) >= c.Limit {
				break
			}
			query.Set("after", all.Next)
		}
		if all.State != "" && !c.JSON {
			fmt.Fprintln(std.out, "state:", all.State)
		}
		return c.print(std.out, all, "ID DECISION RECORDED BY SUBJECT", func(w io.Writer) {
			for _, d := range all.Decisions {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.Decision, d.Recorded.Format(time.DateTime), d.By, d.Subject)
			}
		})
	})
}

type consentGateCmd struct {
	dataFlags
	printFlags
	applicationFlag
	Set       string         `help:"on or off." enum:"on,off," default:""`
	Hold      *time.Duration `help:"How long an event is held, whole seconds; 0: until it is released." placeholder:"DURATION"`
	Refused   string         `help:"What a denial or revocation does to what is held: hold or drop." enum:"hold,drop," default:""`
	DropAfter *time.Duration `help:"With --refused drop: how long after it, whole seconds." placeholder:"DURATION"`
}

// Help shows an example.
func (consentGateCmd) Help() string {
	return "Example:\n  tocsin consent gate --application shop\n" +
		"  tocsin consent gate --application shop --set on --hold 720h --refused drop --drop-after 24h"
}

// consentGate are a gate's settings, and with Count what it holds.
type consentGate struct {
	Application      string `json:"application"`
	Enabled          bool   `json:"enabled"`
	HoldSeconds      int64  `json:"hold_seconds"`
	Refused          string `json:"refused"`
	DropAfterSeconds int64  `json:"drop_after_seconds"`
}

// gateReport is what the command prints.
type gateReport struct {
	consentGate
	Held     int  `json:"held"`
	Dropped  int  `json:"dropped"`
	Complete bool `json:"complete"`
}

// Run changes what is asked, and shows the gate.
func (c consentGateCmd) Run(ctx context.Context, std streamsIO) error {
	for flag, d := range map[string]*time.Duration{"--hold": c.Hold, "--drop-after": c.DropAfter} {
		if d != nil && (*d < 0 || *d%time.Second != 0) {
			return usage("%s is not a whole number of seconds", flag)
		}
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var now gateReport
		if err := api.Do(ctx, http.MethodGet, "/admin/consents/gate?"+c.query().Encode(), nil, &now.consentGate); err != nil {
			return err
		}
		if c.change(&now.consentGate) {
			if err := api.Do(ctx, http.MethodPut, "/admin/consents/gate", now.consentGate, &now.consentGate); err != nil {
				return err
			}
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/consents/held?"+c.query().Encode(), nil, &now); err != nil {
			return err
		}
		return c.print(std.out, now, "GATE HOLD REFUSED HELD DROPPED", func(w io.Writer) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", onOff(now.Enabled), period(now.HoldSeconds), now.refused(),
				now.number(now.Held), now.number(now.Dropped))
		})
	})
}

// change applies the flags and reports whether one was given.
func (c consentGateCmd) change(g *consentGate) bool {
	changed := c.Set != "" || c.Refused != ""
	if c.Set != "" {
		g.Enabled = c.Set == "on"
	}
	if c.Refused != "" {
		g.Refused = c.Refused
	}
	for to, d := range map[*int64]*time.Duration{&g.HoldSeconds: c.Hold, &g.DropAfterSeconds: c.DropAfter} {
		if d != nil {
			*to, changed = int64(*d/time.Second), true
		}
	}
	return changed
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func period(seconds int64) string {
	if seconds == 0 {
		return "until released"
	}
	return (time.Duration(seconds) * time.Second).String()
}

func (g *gateReport) refused() string {
	if g.Refused == "drop" {
		return "drop after " + (time.Duration(g.DropAfterSeconds) * time.Second).String()
	}
	return g.Refused
}

// number says "at least" where not all was counted.
func (g *gateReport) number(n int) string {
	if g.Complete {
		return fmt.Sprint(n)
	}
	return fmt.Sprint("at least ", n)
}
