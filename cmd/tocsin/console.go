package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
)

// consoleCmd signs a browser in to the console of a running server.
type consoleCmd struct {
	Data string `help:"Data folder of the server that runs (default: ${default})." default:"./tocsin-data" placeholder:"DIR"`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Help shows an example.
func (consoleCmd) Help() string {
	return "Prints a link that signs a browser in to the console of the server that runs on the folder: once, within two minutes, as admin.\n\n" +
		"Example:\n  tocsin console --data ./tocsin-data"
}

// Run asks the server for a link.
func (c consoleCmd) Run(ctx context.Context, std streamsIO) error {
	server := adminapi.Server(ctx, c.Data)
	if server == nil {
		return fmt.Errorf("no server runs on %s; start it with tocsin serve --data %s, or name another folder with --data", c.Data, c.Data)
	}
	defer server.Close() // nothing was opened but connections
	var link struct {
		URL string `json:"url"`
	}
	if err := server.Do(ctx, http.MethodPost, "/admin/console/codes", nil, &link); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, link)
	}
	fmt.Fprintf(std.err, "Open this in a browser on this machine within %v; it works once:\n", console.CodeLife)
	fmt.Fprintln(std.out, link.URL)
	return nil
}
