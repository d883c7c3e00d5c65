package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// healthTime bounds how long a server may take to say how it is.
const healthTime = 5 * time.Second

type healthCmd struct {
	printFlags
	Data string `help:"Data folder of the server, serve or receive (default: ${default})." default:"./tocsin-data" placeholder:"DIR"`
}

// Help shows an example.
func (healthCmd) Help() string {
	return "Example:\n  tocsin health --data ./tocsin-data\nExit code 0 if the server that runs on the folder takes work: for health checks of containers."
}

// Run asks the server over its socket.
func (c healthCmd) Run(ctx context.Context, std streamsIO) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	api := adminapi.Server(ctx, c.Data)
	if api == nil {
		return fmt.Errorf("no server runs on %s", c.Data)
	}
	defer api.Close() // nothing is written
	if err := api.Do(ctx, http.MethodGet, "/readyz", nil, nil); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	return c.tell(std.out, map[string]bool{"ready": true}, "ready")
}
