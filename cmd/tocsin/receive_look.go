package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

type receiveExplainCmd struct {
	receiveDataFlags
	printFlags
	SET    string `arg:"" optional:"" name:"set" help:"The SET, a file's name behind @, or - for standard input (default)." default:"-"`
	Issuer string `help:"Take it as a SET of this issuer, by its name in the configuration; default: the one of its iss." placeholder:"NAME"`
}

// Help shows an example.
func (receiveExplainCmd) Help() string {
	return "Examples:\n  tocsin receive explain @token.jwt\n" +
		"  tocsin receive explain --config receive.yaml -\n" +
		"The running receiver verifies the SET first. Where none runs, the file says what would be done."
}

// Run reads a SET and says what would be done about it.
func (c receiveExplainCmd) Run(ctx context.Context, std streamsIO) error {
	raw, err := readText(std, c.SET, delivery.MaxPushBodyBytes)
	if err != nil {
		return fmt.Errorf("reading the SET: %w", err)
	}
	x, err := c.explain(ctx, std, raw)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, x)
	}
	_, err = x.WriteTo(std.out)
	return err
}

// explain asks the running receiver, else the configuration.
func (c receiveExplainCmd) explain(ctx context.Context, std streamsIO, raw []byte) (receive.Explained, error) {
	dir, err := c.dir(std)
	if err != nil {
		return receive.Explained{}, err
	}
	if api := adminapi.Server(ctx, dir); api != nil {
		defer api.Close() // it holds connections alone
		var x receive.Explained
		err := api.Do(ctx, http.MethodPost, "/admin/explain?issuer="+url.QueryEscape(c.Issuer), raw, &x)
		return x, err
	}
	if std.config == "" {
		return receive.Explained{}, fmt.Errorf("no receiver runs on %s; name its folder with --data, or a configuration with --config", dir)
	}
	cfg, err := receive.Read(std.config, std.env, nil)
	if err != nil {
		return receive.Explained{}, err
	}
	return receive.Explain(ctx, cfg, c.Issuer, bytes.TrimSpace(raw))
}

type receiveCheckCmd struct{ printFlags }

// Help shows an example.
func (receiveCheckCmd) Help() string {
	return "Example:\n  tocsin receive check --config receive.yaml\n" +
		"It makes no request and opens no folder: files and variables that the configuration names are read, rules are compiled, and their tests are run."
}

// Run checks the file that --config names; a test that fails is a failure.
func (c receiveCheckCmd) Run(_ context.Context, std streamsIO) error {
	if std.config == "" {
		return usage("name the file with --config")
	}
	cfg, err := receive.Read(std.config, std.env, nil)
	if err != nil {
		return err
	}
	found, err := receive.Check(cfg)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, found)
	} else {
		for _, t := range found.Tests {
			for _, failure := range t.Failures {
				fmt.Fprintf(std.out, "%s:%d: %s: %s\n", t.File, t.Line, t.Name, failure)
			}
		}
		_, err = fmt.Fprintf(std.out, "%d issuers, %d hooks, %d rules; %d tests, %d failed\n",
			len(found.Issuers), len(found.Hooks), len(found.Rules), len(found.Tests), found.Failed())
	}
	if n := found.Failed(); err == nil && n > 0 {
		return fmt.Errorf("%d of %d tests of rules failed", n, len(found.Tests))
	}
	return err
}

type receiveJournalCmd struct {
	receiveStoreFlags
	printFlags
	Issuer  string `help:"Of this issuer alone, by its name in the configuration." placeholder:"NAME"`
	ID      string `help:"Of the event with this jti." name:"jti" placeholder:"JTI"`
	Txn     string `help:"Of the events with this txn." placeholder:"TXN"`
	Hook    string `help:"Of this hook." placeholder:"NAME"`
	Verdict string `help:"done, failed, skipped, outdated, held, set-aside, dry or unmet." enum:",done,failed,skipped,outdated,held,set-aside,dry,unmet" default:""`
	Max     int    `help:"The newest so many." default:"100"`
	Totals  bool   `help:"Sums by rule, hook, effect and verdict instead."`
}

// Help shows an example.
func (receiveJournalCmd) Help() string {
	return "Examples:\n  tocsin receive journal --hook shop --max 20\n  tocsin receive journal --totals\n" +
		"What each hook did about each event, the newest first: which signal ended how many sessions."
}

// Run prints entries.
func (c receiveJournalCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Max < 1 {
		return usage("--max must be at least 1")
	}
	return c.with(ctx, std, func(api *adminapi.Client) error {
		if c.Totals {
			return c.totals(ctx, api, std.out)
		}
		list, err := c.entries(ctx, api)
		if err != nil {
			return err
		}
		return c.print(std.out, list, "AT ISSUER JTI EVENT HOOK EFFECT VERDICT ENDED DETAIL", func(w io.Writer) {
			for _, e := range list {
				ended := "?"
				if e.Ended != nil {
					ended = strconv.Itoa(*e.Ended)
				}
				detail := e.Detail
				if e.Error != "" {
					detail = e.Error
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
					e.At.Format(time.DateTime), e.Name, e.ID, e.Type[strings.LastIndexByte(e.Type, '/')+1:], orDash(e.Hook), e.Effect, e.Verdict, ended, orDash(detail))
			}
		})
	})
}

// entries reads pages until there are enough.
func (c receiveJournalCmd) entries(ctx context.Context, api *adminapi.Client) ([]receive.Entry, error) {
	all := []receive.Entry{}
	for before := uint64(0); len(all) < c.Max; {
		query := url.Values{
			"issuer": {c.Issuer}, "jti": {c.ID}, "txn": {c.Txn}, "hook": {c.Hook}, "verdict": {c.Verdict},
			"max": {strconv.Itoa(min(c.Max-len(all), journal.MaxPage))}, "before": {strconv.FormatUint(before, 10)},
		}
		var page receive.EntryPage
		if err := api.Do(ctx, http.MethodGet, "/admin/journal?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if before = page.Next; before == 0 {
			break
		}
	}
	return all, nil
}

func (c receiveJournalCmd) totals(ctx context.Context, api *adminapi.Client, out io.Writer) error {
	var raw json.RawMessage
	if err := api.Do(ctx, http.MethodGet, "/admin/journal/totals", nil, &raw); err != nil {
		return err
	}
	totals := []journal.Total{}
	if err := json.Unmarshal(raw, &totals); err != nil {
		return err
	}
	return c.print(out, totals, "RULE HOOK EFFECT VERDICT EVENTS ENDED", func(w io.Writer) {
		for _, t := range totals {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\n", t.Rule, orDash(t.Hook), t.Effect, t.Verdict, t.Entries, t.Ended)
		}
	})
}
