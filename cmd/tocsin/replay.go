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
	replayFlags
}

// Help shows an example.
func (streamReplayCmd) Help() string {
	return "Example:\n  tocsin stream replay --from 24h u4Zs0qk1\n  tocsin stream replay --from 2026-11-25T08:00:00Z u4Zs0qk1"
}

// Run orders it and prints the order's id.
func (c streamReplayCmd) Run(ctx context.Context, std streamsIO) error {
	return c.order(ctx, std, c.dataFlags, c.printFlags, "/admin/streams/"+url.PathEscape(c.ID))
}

type webhookReplayCmd struct {
	dataFlags
	printFlags
	ID string `arg:"" help:"Id of the webhook."`
	replayFlags
}

// Help shows an example.
func (webhookReplayCmd) Help() string {
	return "Example:\n  tocsin webhook replay --from 24h u4Zs0qk1\n" +
		"The events bear the ids that they have: a receiver that knows one by its id can leave it out."
}

// Run orders it and prints the order's id.
func (c webhookReplayCmd) Run(ctx context.Context, std streamsIO) error {
	return c.order(ctx, std, c.dataFlags, c.printFlags, webhookPath(c.ID))
}

// replayOrder is an order as the admin API shows it.
type replayOrder struct {
	ID     string    `json:"id,omitempty"`
	Stream string    `json:"stream_id"`
	From   time.Time `json:"from"`
	At     time.Time `json:"recorded_at"`
}

// replayFlags say what is sent again.
type replayFlags struct {
	From string `help:"Time of recording (RFC 3339), or how long ago (24h)." required:"" placeholder:"TIME"`
}

// order orders a replay of what has a path of the admin API, and prints its id.
func (c replayFlags) order(ctx context.Context, std streamsIO, data dataFlags, out printFlags, path string) error {
	from, err := time.Parse(time.RFC3339, c.From)
	if ago, failed := time.ParseDuration(c.From); failed == nil && ago >= 0 {
		from, err = time.Now().Add(-ago), nil
	}
	if err != nil {
		return usage("--from is neither a time (RFC 3339) nor a duration")
	}
	return data.with(ctx, false, func(api *adminapi.Client) error {
		var made replayOrder
		if err := api.Do(ctx, http.MethodPost, path+"/replay", map[string]time.Time{"from": from}, &made); err != nil {
			return err
		}
		return out.tell(std.out, made, made.ID)
	})
}
