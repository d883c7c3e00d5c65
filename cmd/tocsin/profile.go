package main

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type streamProfileCmd struct {
	dataFlags
	jsonFlag
	idArg
	Profile string `arg:"" help:"Name of a profile, settings, or both; \"\" for the current form."`
}

// Help shows an example.
func (streamProfileCmd) Help() string {
	return "Example:\n  tocsin stream profile u4Zs0qk1 okta\n  tocsin stream profile u4Zs0qk1 apple,subject=event,events=whole\n" +
		"Names and settings are in docs/profiles.md."
}

// Run sets it and prints the stream.
func (c streamProfileCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var changed map[string]any
		path := "/admin/streams/" + url.PathEscape(c.ID) + "/profile"
		if err := api.Do(ctx, http.MethodPut, path, map[string]string{"profile": c.Profile}, &changed); err != nil {
			return err
		}
		return printJSON(std.out, changed)
	})
}
