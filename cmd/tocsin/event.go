package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type eventCmd struct {
	Emit eventEmitCmd `cmd:"" help:"Emit account events as the operator."`
	Get  eventGetCmd  `cmd:"" help:"Read an event of the log."`
}

type eventEmitCmd struct {
	dataFlags
	Type     string `help:"Name of an account event (account.suspended) or event type URI." placeholder:"TYPE"`
	Subject  string `help:"Subject identifier, or an array of them, as JSON." placeholder:"JSON"`
	Payload  string `help:"The event's data, as JSON." placeholder:"JSON" name:"event-data"`
	SourceID string `help:"Your own id of the event; the same id is taken once." placeholder:"ID"`
	File     string `arg:"" optional:"" help:"File with an event, or an array of events, as for POST /v1/events; - for standard input."`
}

// Help shows an example.
func (eventEmitCmd) Help() string {
	return "Example:\n  tocsin event emit --type account.suspended --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}'\n" +
		"  tocsin event emit events.json"
}

// maxEventFile bounds a file of events, as the API does.
const maxEventFile = 4 << 20

// Run emits and prints the answer.
func (c eventEmitCmd) Run(ctx context.Context, std streamsIO) error {
	body, err := c.body(std)
	if err != nil {
		return err
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer json.RawMessage
		if err := api.Do(ctx, http.MethodPost, "/admin/events", body, &answer); err != nil {
			return err
		}
		return printJSON(std.out, answer)
	})
}

func (c eventEmitCmd) body(std streamsIO) ([]byte, error) {
	if (c.File == "") == (c.Type == "") {
		return nil, usage("give a file, or --type and --subject")
	}
	if c.File == "" {
		event := map[string]any{"type": c.Type}
		for name, text := range map[string]string{"subject": c.Subject, "data": c.Payload} {
			if text == "" {
				continue
			}
			if !json.Valid([]byte(text)) {
				return nil, usage("the %s is not JSON", name)
			}
			event[name] = json.RawMessage(text)
		}
		if c.SourceID != "" {
			event["source_id"] = c.SourceID
		}
		return json.Marshal(event)
	}
	in := std.in
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // it is only read
		in = file
	}
	body, err := io.ReadAll(io.LimitReader(in, maxEventFile+1))
	if err == nil && len(body) > maxEventFile {
		err = fmt.Errorf("%s is larger than 4 MiB; emit it in parts", c.File)
	}
	return body, err
}

type eventGetCmd struct {
	dataFlags
	ID string `arg:"" help:"The event's id."`
}

// Help shows an example.
func (eventGetCmd) Help() string { return "Example:\n  tocsin event get 3Jq9mX2vQkq0f1bJ9nVb8g" }

// Run prints the event.
func (c eventGetCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var event json.RawMessage
		if err := api.Do(ctx, http.MethodGet, "/admin/events/"+url.PathEscape(c.ID), nil, &event); err != nil {
			return err
		}
		return printJSON(std.out, event)
	})
}
