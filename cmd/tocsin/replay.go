package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type streamReplayCmd struct {
	dataFlags
	printFlags
	idArg
	From string `help:"Time of recording (RFC 3339), or how long ago (24h)." required:"" placeholder:"TIME"`
}

// Help shows an example.
func (streamReplayCmd) Help() string {
	return "Example:\n  tocsin stream replay --from 24h u4Zs0qk1\n  tocsin stream replay --from 2026-11-25T08:00:00Z u4Zs0qk1"
}

// replayOrder is an order as the admin API shows it.
type replayOrder struct {
	ID     string    `json:"id,omitempty"`
	Stream string    `json:"stream_id"`
	From   time.Time `json:"from"`
	At     time.Time `json:"recorded_at"`
}

// Run orders it and prints the order's id.
func (c streamReplayCmd) Run(ctx context.Context, std streamsIO) error {
	from, err := time.Parse(time.RFC3339, c.From)
	if ago, failed := time.ParseDuration(c.From); failed == nil && ago >= 0 {
		from, err = time.Now().Add(-ago), nil
	}
	if err != nil {
		return usage("--from is neither a time (RFC 3339) nor a duration")
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made replayOrder
		path := "/admin/streams/" + url.PathEscape(c.ID) + "/replay"
		if err := api.Do(ctx, http.MethodPost, path, map[string]time.Time{"from": from}, &made); err != nil {
			return err
		}
		return c.tell(std.out, made, made.ID)
	})
}
