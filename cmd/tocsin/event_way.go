package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// eventWayCmd shows how far an event is.
type eventWayCmd struct {
	dataFlags
	printFlags
	ID string `arg:"" help:"The event's id."`
}

// Help shows an example.
func (eventWayCmd) Help() string {
	return "One line for each stream and webhook, by what is known now: coming, waiting, acknowledged, dead_letter, gone (it left the queue),\n" +
		"or why it does not go there; then where consent holds it. What the receivers said, and why a record became this event, is in --json.\n\n" +
		"Example:\n  tocsin event way 3Jq9mX2vQkq0f1bJ9nVb8g"
}

// Run prints the way.
func (c eventWayCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer json.RawMessage
		if err := api.Do(ctx, http.MethodGet, "/admin/events/"+url.PathEscape(c.ID)+"/way", nil, &answer); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std.out, answer)
		}
		var way struct {
			Steps []struct {
				Application, State string
				Stream             string `json:"stream_id"`
				Code               string `json:"err"`
				Attempts           int
				Since              time.Time
			}
			More  bool
			Gates []struct{ Application, State string }
		}
		if err := json.Unmarshal(answer, &way); err != nil {
			return err
		}
		err := c.print(std.out, nil, "APPLICATION STREAM STATE SINCE ATTEMPTS ERR", func(w io.Writer) {
			for _, s := range way.Steps {
				since := "-"
				if !s.Since.IsZero() {
					since = s.Since.Format(time.DateTime)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", s.Application, s.Stream, s.State, since, s.Attempts, cmp.Or(s.Code, "-"))
			}
		})
		if err != nil {
			return err
		}
		if way.More {
			fmt.Fprintln(std.err, "There are others.")
		}
		for _, g := range way.Gates {
			if g.State != "sent" {
				fmt.Fprintf(std.out, "consent: %s for %s\n", g.State, g.Application)
			}
		}
		return nil
	})
}
