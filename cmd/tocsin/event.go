package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

type eventCmd struct {
	Emit     eventEmitCmd     `cmd:"" help:"Emit account events as the operator."`
	Get      eventGetCmd      `cmd:"" help:"Read an event of the log."`
	Search   eventSearchCmd   `cmd:"" help:"Find events of the log."`
	Way      eventWayCmd      `cmd:"" help:"Show how far an event is on its way to each stream and webhook."`
	Types    eventTypesCmd    `cmd:"" help:"List the types that events have, and what each becomes."`
	Annotate eventAnnotateCmd `cmd:"" help:"Say more of an event, or show what was said of it."`
	Reindex  eventReindexCmd  `cmd:"" help:"Build the search index anew from the log."`
	Map      eventMapCmd      `cmd:"" help:"Show what becomes of a vendor's record, and why; test rules."`
	Erase    eventEraseCmd    `cmd:"" help:"Erase what is known of a subject, everywhere."`
	Hold     eventHoldCmd     `cmd:"" help:"Set, lift and list legal holds, which stop erasure."`
	Archive  eventArchiveCmd  `cmd:"" help:"Export old events of a log in Redis to files, which verify-log still verifies."`

	proofCmds
}

type eventEmitCmd struct {
	dataFlags
	jsonFlag
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

// Run emits and prints the answer. It fails if one of the events was refused.
func (c eventEmitCmd) Run(ctx context.Context, std streamsIO) error {
	body, err := c.body(std)
	if err != nil {
		return err
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer json.RawMessage
		err := api.Do(ctx, http.MethodPost, "/admin/events", body, &answer)
		var refused *adminapi.Error
		if errors.As(err, &refused) {
			answer = refused.Body
		}
		total, failed := judged(answer)
		if err != nil && total == 0 { // not an answer about several events
			return err
		}
		if err := printJSON(std.out, answer); err != nil {
			return err
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d events were refused", failed, total)
		}
		return nil
	})
}

// judged counts the results of an answer about several events, and those that
// are errors; an answer about one event has no results.
func judged(answer []byte) (total, failed int) {
	var several struct {
		Results []struct {
			Error json.RawMessage `json:"error"`
		} `json:"results"`
	}
	if json.Unmarshal(answer, &several) != nil {
		return 0, 0
	}
	for _, r := range several.Results {
		if r.Error != nil {
			failed++
		}
	}
	return len(several.Results), failed
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
				return nil, usage("the %s is not JSON, as %s is", name, subjectExample)
			}
			event[name] = json.RawMessage(text)
		}
		if c.SourceID != "" {
			event["source_id"] = c.SourceID
		}
		return json.Marshal(event)
	}
	if c.File == "-" {
		return guard.ReadBody(std.in, maxEventFile)
	}
	return readFile(c.File, maxEventFile)
}

type eventGetCmd struct {
	dataFlags
	jsonFlag
	ID     string   `arg:"" help:"The event's id."`
	Fields []string `help:"Member of the event that is wanted; repeat for several." sep:"none" placeholder:"NAME"`
}

// Help shows an example.
func (eventGetCmd) Help() string { return "Example:\n  tocsin event get 3Jq9mX2vQkq0f1bJ9nVb8g" }

// Run prints the event.
func (c eventGetCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var event json.RawMessage
		if err := api.Do(ctx, http.MethodGet, "/admin/events/"+url.PathEscape(c.ID)+"?"+url.Values{"fields": c.Fields}.Encode(), nil, &event); err != nil {
			return err
		}
		return printJSON(std.out, event)
	})
}
