package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type eventAnnotateCmd struct {
	dataFlags
	printFlags
	ID         string   `arg:"" help:"The event's id."`
	Suspect    string   `help:"true, false, or null for neither." enum:"true,false,null," default:"" placeholder:"WORD"`
	LinkedID   *string  `help:"Linked id; empty removes it." placeholder:"ID"`
	Tag        []string `help:"Set a tag." sep:"none" placeholder:"NAME=VALUE"`
	Untag      []string `help:"Remove a tag." sep:"none" placeholder:"NAME"`
	RemoveTags bool     `help:"Remove all tags."`
}

// Help shows an example.
func (eventAnnotateCmd) Help() string {
	return "Prints what was said of the event before, unless something is said.\n\n" +
		"Example:\n  tocsin event annotate 3Jq9mX2vQkq0f1bJ9nVb8g --suspect true --tag case=4711"
}

// patch returns what is said; nil for nothing.
func (c eventAnnotateCmd) patch() (map[string]any, error) {
	said := map[string]any{}
	if c.Suspect != "" {
		said["suspect"] = json.RawMessage(c.Suspect)
	}
	if c.LinkedID != nil {
		if said["linked_id"] = *c.LinkedID; *c.LinkedID == "" {
			said["linked_id"] = nil
		}
	}
	if c.RemoveTags {
		if len(c.Tag)+len(c.Untag) > 0 {
			return nil, usage("--remove-tags goes without --tag and --untag")
		}
		said["tags"] = nil
		return said, nil
	}
	tags := map[string]any{}
	for _, pair := range c.Tag {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usage("%q is not a name, = and a value", pair)
		}
		tags[name] = value
	}
	for _, name := range c.Untag {
		tags[name] = nil
	}
	if len(tags) > 0 {
		said["tags"] = tags
	}
	if len(said) == 0 {
		return nil, nil
	}
	return said, nil
}

// eventNote is an annotation as the admin API shows it.
type eventNote struct {
	ID          string          `json:"id"`
	Recorded    time.Time       `json:"recorded_at"`
	By          string          `json:"by,omitempty"`
	Application string          `json:"application,omitempty"`
	Suspect     json.RawMessage `json:"suspect,omitempty"`
	Tags        json.RawMessage `json:"tags,omitempty"`
	LinkedID    json.RawMessage `json:"linked_id,omitempty"`
}

// Run annotates the event and prints it, or prints what was said of it.
func (c eventAnnotateCmd) Run(ctx context.Context, std streamsIO) error {
	said, err := c.patch()
	if err != nil {
		return err
	}
	path := "/admin/events/" + url.PathEscape(c.ID)
	return c.with(ctx, false, func(api *adminapi.Client) error {
		if said != nil {
			var event json.RawMessage
			if err := api.Do(ctx, http.MethodPatch, path, said, &event); err != nil {
				return err
			}
			return printJSON(std.out, event)
		}
		var answer struct {
			Annotations []eventNote `json:"annotations"`
		}
		if err := api.Do(ctx, http.MethodGet, path+"/annotations", nil, &answer); err != nil {
			return err
		}
		return c.print(std.out, answer.Annotations, "RECORDED BY SUSPECT LINKED_ID TAGS", func(w io.Writer) {
			for _, n := range answer.Annotations {
				by := n.By
				if n.Application != "" {
					by = n.Application + "/" + by
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Recorded.UTC().Format(time.RFC3339), orDash(by),
					orDash(string(n.Suspect)), orDash(string(n.LinkedID)), orDash(string(n.Tags)))
			}
		})
	})
}

type eventReindexCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (eventReindexCmd) Help() string {
	return "Builds the search index anew from the log; while a large one is built, searches say so.\n\nExample:\n  tocsin event reindex"
}

// progressEvery is how often progress is told.
const progressEvery = 500 * time.Millisecond

// indexPlace is how far the index has come.
type indexPlace struct {
	Indexed uint64 `json:"indexed"`
	Records uint64 `json:"records"`
}

// Run builds the index anew and waits for it.
func (c eventReindexCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		if err := api.Do(ctx, http.MethodPost, "/admin/index/rebuild", nil, nil); err != nil {
			return err
		}
		every := time.NewTicker(progressEvery)
		defer every.Stop()
		for until := uint64(0); ; {
			var at indexPlace
			if err := api.Do(ctx, http.MethodGet, "/admin/index", nil, &at); err != nil {
				return err
			}
			if until == 0 { // what comes meanwhile is followed in any case
				until = at.Records
			}
			if at.Indexed >= until {
				return c.tell(std.out, at, fmt.Sprintf("indexed %d records", at.Indexed))
			}
			fmt.Fprintf(std.err, "indexed %d of %d records\n", at.Indexed, until)
			select {
			case <-every.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}
