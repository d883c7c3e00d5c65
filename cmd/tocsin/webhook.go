package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type webhookCmd struct {
	Add    webhookAddCmd    `cmd:"" help:"Add a webhook of an application; its signing secret is shown once."`
	List   webhookListCmd   `cmd:"" help:"List webhooks."`
	Show   webhookShowCmd   `cmd:"" help:"Show a webhook and how delivery fares."`
	Update webhookUpdateCmd `cmd:"" help:"Change what the flags say, and nothing else."`
	Remove webhookRemoveCmd `cmd:"" help:"Remove a webhook with what waits for it and its dead letters."`
	Rotate webhookRotateCmd `cmd:"" help:"Make a new signing secret, shown once; the old one signs, too, for a while."`
	Replay webhookReplayCmd `cmd:"" help:"Send again the events that were recorded from a time on."`
	Test   webhookTestCmd   `cmd:"" help:"Send a signed ping and tell what the receiver answered."`
}

const webhooksPath = "/admin/webhooks"

func webhookPath(id string) string { return webhooksPath + "/" + url.PathEscape(id) }

// webhook is one as the admin API shows it.
type webhook struct {
	ID           string   `json:"id"`
	Application  string   `json:"application"`
	URL          string   `json:"url"`
	Description  string   `json:"description,omitempty"`
	Types        []string `json:"types"`
	Applications []string `json:"applications,omitempty"`
	Environment  string   `json:"environment,omitempty"`
	Format       string   `json:"format"`
	Batch        *struct {
		Events  int `json:"events"`
		Seconds int `json:"seconds"`
	} `json:"batch,omitempty"`
	Headers []string `json:"headers,omitempty"`
	Auth    struct {
		Type     string   `json:"type"`
		Username string   `json:"username,omitempty"`
		TokenURL string   `json:"token_url,omitempty"`
		ClientID string   `json:"client_id,omitempty"`
		Scopes   []string `json:"scopes,omitempty"`
		Params   []string `json:"params,omitempty"`
	} `json:"auth"`
	Signing struct {
		Type      string          `json:"type"`
		PublicKey string          `json:"public_key,omitempty"`
		Secrets   []webhookSecret `json:"secrets"`
	} `json:"signing"`
	Secret      string    `json:"secret,omitempty"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	Created     time.Time `json:"created_at"`
	Queued      int       `json:"queued"`
	DeadLetters int       `json:"dead_letters"`
	Oldest      time.Time `json:"oldest,omitzero"`
	Failures    int       `json:"failures"`
	NextDue     time.Time `json:"next_due,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
}

// webhookSecret is a secret that signs, without its text.
type webhookSecret struct {
	Type      string    `json:"type"`
	PublicKey string    `json:"public_key,omitempty"`
	Created   time.Time `json:"created_at"`
	Expires   time.Time `json:"expires_at,omitzero"`
}

type webhookListCmd struct {
	dataFlags
	printFlags
	Application string `help:"Of this application alone; default: of all." placeholder:"ID"`
}

// Help shows an example.
func (webhookListCmd) Help() string { return "Example:\n  tocsin webhook list --application shop" }

// Run lists them.
func (c webhookListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer struct {
			Webhooks []webhook `json:"webhooks"`
		}
		if err := api.Do(ctx, http.MethodGet, webhooksPath+"?application="+url.QueryEscape(c.Application), nil, &answer); err != nil {
			return err
		}
		return c.print(std.out, answer.Webhooks, "ID APPLICATION URL TYPES STATUS QUEUED DEAD", func(w io.Writer) {
			for _, h := range answer.Webhooks {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\n",
					h.ID, h.Application, h.URL, strings.Join(h.Types, ","), h.Status, h.Queued, h.DeadLetters)
			}
		})
	})
}

// oneWebhook names a webhook.
type oneWebhook struct {
	dataFlags
	printFlags
	ID string `arg:"" help:"Id of the webhook."`
}

// ask makes a request about it and prints the webhook that is answered.
func (c oneWebhook) ask(ctx context.Context, std streamsIO, method, action string, body any) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var h webhook
		if err := api.Do(ctx, method, webhookPath(c.ID)+action, body, &h); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std.out, h)
		}
		return h.describe(std.out)
	})
}

// describe prints a webhook for people, a line for each thing that there is.
func (h webhook) describe(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	line("id", h.ID)
	line("application", h.Application)
	line("url", h.URL)
	line("description", h.Description)
	line("types", strings.Join(h.Types, ", "))
	line("applications", strings.Join(h.Applications, ", "))
	line("environment", h.Environment)
	line("format", h.Format)
	if h.Batch != nil {
		line("batch", fmt.Sprintf("%d events or %d s", h.Batch.Events, h.Batch.Seconds))
	}
	line("headers", strings.Join(h.Headers, ", "))
	line("auth", strings.TrimSpace(h.Auth.Type+" "+h.Auth.Username+h.Auth.ClientID+" "+h.Auth.TokenURL))
	for _, s := range h.Signing.Secrets {
		text := s.Type + " since " + s.Created.Format(time.DateTime)
		if !s.Expires.IsZero() {
			text += ", until " + s.Expires.Format(time.DateTime)
		}
		line("signing", strings.TrimSpace(text+" "+s.PublicKey))
	}
	line("secret", h.Secret)
	line("status", strings.TrimSpace(h.Status+" "+h.Reason))
	line("queued", fmt.Sprint(h.Queued))
	line("dead letters", fmt.Sprint(h.DeadLetters))
	if h.Failures > 0 {
		line("failures", fmt.Sprintf("%d, again at %s: %s", h.Failures, h.NextDue.Format(time.DateTime), h.LastError))
	}
	return w.Flush()
}

type webhookShowCmd struct{ oneWebhook }

// Help shows an example.
func (webhookShowCmd) Help() string { return "Example:\n  tocsin webhook show u4Zs0qk1" }

// Run shows it.
func (c webhookShowCmd) Run(ctx context.Context, std streamsIO) error {
	return c.ask(ctx, std, http.MethodGet, "", nil)
}

type webhookRemoveCmd struct {
	dataFlags
	ID string `arg:"" help:"Id of the webhook."`
}

// Help shows an example.
func (webhookRemoveCmd) Help() string { return "Example:\n  tocsin webhook remove u4Zs0qk1" }

// Run removes it.
func (c webhookRemoveCmd) Run(ctx context.Context) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodDelete, webhookPath(c.ID), nil, nil)
	})
}

type webhookRotateCmd struct {
	oneWebhook
	Grace      time.Duration `help:"How long the old secret signs, too, at most 720h; 0: not any more." default:"24h"`
	Asymmetric bool          `help:"Sign with an Ed25519 key from now on." xor:"form"`
	Symmetric  bool          `help:"Sign with a shared secret from now on." xor:"form"`
	Secret     string        `help:"A secret of yours, whsec_… or whsk_…: a text, @file, or - for standard input." placeholder:"SECRET"`
}

// Help shows an example.
func (webhookRotateCmd) Help() string {
	return "Example:\n  tocsin webhook rotate u4Zs0qk1 --grace 48h\n  tocsin webhook rotate u4Zs0qk1 --asymmetric"
}

// Run rotates the secret.
func (c webhookRotateCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Grace < 0 || c.Grace%time.Second != 0 {
		return usage("--grace %s is not a time in whole seconds", c.Grace)
	}
	body := map[string]any{"grace_seconds": int64(c.Grace / time.Second)}
	signing, err := signingOf(std, c.Symmetric, c.Asymmetric, c.Secret)
	if err != nil {
		return err
	}
	if len(signing) > 0 {
		body["signing"] = signing
	}
	return c.ask(ctx, std, http.MethodPost, "/rotate", body)
}

type webhookTestCmd struct{ oneWebhook }

// Help shows an example.
func (webhookTestCmd) Help() string { return "Example:\n  tocsin webhook test u4Zs0qk1" }

// Run sends the ping. It fails if the receiver did not take it.
func (c webhookTestCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var came struct {
			Delivered    bool   `json:"delivered"`
			Status       int    `json:"status,omitempty"`
			Code         string `json:"err,omitempty"`
			Description  string `json:"description,omitempty"`
			Milliseconds int64  `json:"took_ms"`
			MessageID    string `json:"message_id"`
		}
		if err := api.Do(ctx, http.MethodPost, webhookPath(c.ID)+"/test", nil, &came); err != nil {
			return err
		}
		if c.JSON {
			if err := printJSON(std.out, came); err != nil {
				return err
			}
		}
		if !came.Delivered {
			return fmt.Errorf("the ping was not taken: %s: %s", came.Code, came.Description)
		}
		if c.JSON {
			return nil
		}
		_, err := fmt.Fprintf(std.out, "%s was answered with %d after %d ms\n", came.MessageID, came.Status, came.Milliseconds)
		return err
	})
}
