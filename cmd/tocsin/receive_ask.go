package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// receiveDataFlags are of commands that speak to the receiver of a folder.
type receiveDataFlags struct {
	Data string `help:"The receiver's folder (default: what --config names, else ./tocsin-receive)." placeholder:"DIR"`
}

// dir returns the folder.
func (d receiveDataFlags) dir(std streamsIO) (string, error) {
	dir, _, err := d.store(std)
	return dir, err
}

// store returns the folder, and the Redis that the file names for what is kept.
func (d receiveDataFlags) store(std streamsIO) (dir string, redis config.RedisSettings, err error) {
	dir = receive.DefaultData
	if std.config != "" {
		if dir, redis, err = receive.StoreOf(std.config, std.env); err != nil {
			return "", redis, err
		}
	}
	if d.Data != "" {
		dir = d.Data
	}
	dir, err = filepath.Abs(dir)
	return dir, redis, err
}

// running calls fn with a client of the receiver that runs on the folder.
func (d receiveDataFlags) running(ctx context.Context, std streamsIO, fn func(*adminapi.Client) error) error {
	dir, err := d.dir(std)
	if err != nil {
		return err
	}
	api := adminapi.Server(ctx, dir)
	if api == nil {
		return fmt.Errorf("no receiver runs on %s; name its folder with --data", dir)
	}
	return errors.Join(fn(api), api.Close())
}

// receiveStoreFlags are of commands that also work where no receiver runs.
type receiveStoreFlags struct {
	receiveDataFlags
	config.RedisSettings
}

// with calls fn with a client of the receiver that runs on the folder, or, if none does,
// of what it keeps: the folder itself, or Redis.
func (d receiveStoreFlags) with(ctx context.Context, std streamsIO, fn func(*adminapi.Client) error) error {
	dir, redis, err := d.store(std)
	if err != nil {
		return err
	}
	d.RedisSettings.Over(&redis)
	if !receive.Exists(dir) && !redis.Set() {
		return fmt.Errorf("there is no receiver's folder %s; name it with --data", dir)
	}
	var api *adminapi.Client
	err = adminapi.Patiently(ctx, patience, func() error {
		if api = adminapi.Server(ctx, dir); api != nil {
			return nil
		}
		open := func() (*receive.Store, error) { return receive.OpenStore(ctx, dir, nil) }
		if redis.Set() {
			open = func() (*receive.Store, error) {
				return receive.OpenRedis(ctx, redis, slog.New(slog.DiscardHandler))
			}
		}
		store, err := open()
		if err != nil {
			return err
		}
		api = adminapi.Of(store.Handler(), store.Close)
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(fn(api), api.Close())
}

type receiveHealthCmd struct {
	receiveDataFlags
	printFlags
}

// Help shows an example.
func (receiveHealthCmd) Help() string {
	return "Example:\n  tocsin receive health --data ./tocsin-receive"
}

// Run prints one line per issuer.
func (c receiveHealthCmd) Run(ctx context.Context, std streamsIO) error {
	return c.running(ctx, std, func(api *adminapi.Client) error {
		var h receive.Health
		if err := api.Do(ctx, http.MethodGet, "/admin/health", nil, &h); err != nil {
			return err
		}
		if h.Reload != "" && !c.JSON {
			fmt.Fprintf(std.out, "The configuration that was read last was refused; the one before is in force:\n%s\n\n", h.Reload)
		}
		return c.print(std.out, h, "ISSUER STANDING MODE DELIVERY STREAM WAITING FAILING DEAD PROBLEMS", func(w io.Writer) {
			for _, is := range h.Issuers {
				stream := ""
				if is.Stream != nil {
					stream = is.Stream.ID
				}
				if is.Elsewhere {
					stream = strings.TrimSpace(stream + " (elsewhere)") // another process keeps it
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", is.Name, is.Standing, is.Mode, is.Delivery,
					orDash(stream), is.Inbox.Waiting, is.Inbox.Failing, is.Inbox.Dead, orDash(strings.Join(is.Problems, "; ")))
			}
			for _, name := range h.Orphans {
				fmt.Fprintf(w, "%s\tnot configured: its events wait\n", name)
			}
		})
	})
}

type receiveReloadCmd struct{ receiveDataFlags }

// Help shows an example.
func (receiveReloadCmd) Help() string {
	return "Example:\n  tocsin receive reload --data ./tocsin-receive\nA configuration that is wrong is refused, and the one before stays in force."
}

// Run reloads; it prints nothing.
func (c receiveReloadCmd) Run(ctx context.Context, std streamsIO) error {
	return c.running(ctx, std, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodPost, "/admin/reload", nil, nil)
	})
}

type receiveDeadletterCmd struct {
	List  receiveLettersCmd `cmd:"" help:"List events that were set aside, oldest first per issuer."`
	Retry receiveRetryCmd   `cmd:"" help:"Run the hooks of events again, out of their order."`
	Drop  receiveDropCmd    `cmd:"" help:"Erase events that were set aside."`
}

// letters reads all dead letters, page by page; issuer is a name of the configuration
// or empty.
func letters(ctx context.Context, api *adminapi.Client, issuer string) ([]receive.Letter, error) {
	all := []receive.Letter{}
	for after := ""; ; {
		var page receive.LetterPage
		query := url.Values{"issuer": {issuer}, "after": {after}}
		if err := api.Do(ctx, http.MethodGet, "/admin/dead-letters?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.DeadLetters...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

type receiveLettersCmd struct {
	receiveStoreFlags
	printFlags
	Issuer string `help:"Of this issuer alone, by its name in the configuration." placeholder:"NAME"`
}

// Help shows an example.
func (receiveLettersCmd) Help() string {
	return "Example:\n  tocsin receive deadletter list --issuer google"
}

// Run lists them.
func (c receiveLettersCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, std, func(api *adminapi.Client) error {
		list, err := letters(ctx, api, c.Issuer)
		if err != nil {
			return err
		}
		return c.print(std.out, list, "ISSUER JTI AT ATTEMPTS EVENT_TYPE REASON", func(w io.Writer) {
			for _, l := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", l.Name, l.ID, l.At.Format(time.DateTime), l.Attempts, l.Type, l.Reason)
			}
		})
	})
}

// chosenLetters are some dead letters, or all.
type chosenLetters struct {
	receiveStoreFlags
	printFlags
	Issuer string   `help:"Of this issuer alone, by its name in the configuration." placeholder:"NAME"`
	ID     []string `arg:"" optional:"" name:"jti" help:"The jtis."`
	All    bool     `help:"All of them."`
}

// each asks for an act on each chosen letter.
func (c chosenLetters) each(ctx context.Context, std streamsIO, act string) error {
	if c.All == (len(c.ID) > 0) {
		return usage("name the jtis, or --all")
	}
	return c.with(ctx, std, func(api *adminapi.Client) error {
		list, err := letters(ctx, api, c.Issuer)
		if err != nil {
			return err
		}
		wanted := make(map[string]bool, len(c.ID))
		for _, id := range c.ID {
			wanted[id] = true
		}
		for _, l := range list {
			if !c.All && !wanted[l.ID] {
				continue
			}
			delete(wanted, l.ID)
			if err := api.Do(ctx, http.MethodPost, "/admin/dead-letters/"+act, l.LetterID, nil); err != nil {
				return fmt.Errorf("%s: %w", l.ID, err)
			}
			if err := c.tell(std.out, l.LetterID, l.ID); err != nil {
				return err
			}
		}
		for id := range wanted {
			return fmt.Errorf("%s: there is no such dead letter", id)
		}
		return nil
	})
}

type receiveRetryCmd struct{ chosenLetters }

// Help shows an example.
func (receiveRetryCmd) Help() string {
	return "Example:\n  tocsin receive deadletter retry --all"
}

// Run lets them wait again and prints their jtis.
func (c receiveRetryCmd) Run(ctx context.Context, std streamsIO) error {
	return c.each(ctx, std, "retry")
}

type receiveDropCmd struct{ chosenLetters }

// Help shows an example.
func (receiveDropCmd) Help() string {
	return "Example:\n  tocsin receive deadletter drop Zb1x"
}

// Run erases them and prints their jtis.
func (c receiveDropCmd) Run(ctx context.Context, std streamsIO) error {
	return c.each(ctx, std, "drop")
}
