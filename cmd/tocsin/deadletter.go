package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type deadletterCmd struct {
	List   deadletterListCmd   `cmd:"" help:"List a stream's dead letters, oldest first."`
	Resend deadletterResendCmd `cmd:"" help:"Send dead letters again, under their jti and out of order."`
	Drop   deadletterDropCmd   `cmd:"" help:"Erase dead letters."`
}

// streamFlag names the stream.
type streamFlag struct {
	dataFlags
	Stream string `help:"The stream_id." required:"" placeholder:"ID"`
}

func (s streamFlag) path() string {
	return "/admin/streams/" + url.PathEscape(s.Stream) + "/dead-letters"
}

type deadLetter struct {
	ID          string    `json:"jti"`
	Type        string    `json:"event_type"`
	Code        string    `json:"err"`
	Description string    `json:"description,omitempty"`
	Attempts    int       `json:"attempts"`
	At          time.Time `json:"at"`
}

// letters reads all of a stream's dead letters, page by page.
func (s streamFlag) letters(ctx context.Context, api *adminapi.Client) ([]deadLetter, error) {
	all := []deadLetter{}
	for after := ""; ; {
		var page struct {
			DeadLetters []deadLetter `json:"dead_letters"`
			Next        string       `json:"next"`
		}
		if err := api.Do(ctx, http.MethodGet, s.path()+"?after="+url.QueryEscape(after), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.DeadLetters...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

type deadletterListCmd struct {
	streamFlag
	printFlags
}

// Help shows an example.
func (deadletterListCmd) Help() string {
	return "Example:\n  tocsin deadletter list --stream u4Zs0qk1"
}

// Run lists them.
func (c deadletterListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		list, err := c.letters(ctx, api)
		if err != nil {
			return err
		}
		return c.print(std.out, list, "JTI ERR AT EVENT_TYPE", func(w io.Writer) {
			for _, l := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.ID, l.Code, l.At.Format(time.DateTime), l.Type)
			}
		})
	})
}

// chosen are some dead letters of a stream, or all.
type chosen struct {
	streamFlag
	printFlags
	ID  []string `arg:"" optional:"" name:"jti" help:"The jtis."`
	All bool     `help:"All of the stream."`
}

// each calls method at each chosen letter.
func (c chosen) each(ctx context.Context, std streamsIO, method, action string) error {
	if c.All == (len(c.ID) > 0) {
		return usage("name the jtis, or --all")
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		if c.All {
			list, err := c.letters(ctx, api)
			if err != nil {
				return err
			}
			for _, l := range list {
				c.ID = append(c.ID, l.ID)
			}
		}
		for _, id := range c.ID {
			if err := api.Do(ctx, method, c.path()+"/"+url.PathEscape(id)+action, nil, nil); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			if err := c.tell(std.out, map[string]string{"jti": id}, id); err != nil {
				return err
			}
		}
		return nil
	})
}

type deadletterResendCmd struct{ chosen }

// Help shows an example.
func (deadletterResendCmd) Help() string {
	return "Example:\n  tocsin deadletter resend --stream u4Zs0qk1 --all"
}

// Run sends them again and prints their jtis.
func (c deadletterResendCmd) Run(ctx context.Context, std streamsIO) error {
	return c.each(ctx, std, http.MethodPost, "/resend")
}

type deadletterDropCmd struct{ chosen }

// Help shows an example.
func (deadletterDropCmd) Help() string {
	return "Example:\n  tocsin deadletter drop --stream u4Zs0qk1 Zb1x"
}

// Run erases them and prints their jtis.
func (c deadletterDropCmd) Run(ctx context.Context, std streamsIO) error {
	return c.each(ctx, std, http.MethodDelete, "")
}
