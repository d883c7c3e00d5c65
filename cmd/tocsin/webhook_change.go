package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// maxSecretText bounds a secret that is read from a file.
const maxSecretText = 16 << 10

// webhookFlags are what can be said about a webhook when it is made and later.
type webhookFlags struct {
	Description       *string  `help:"A text for people."`
	Type              []string `help:"Types of events; default: all." placeholder:"TYPE"`
	SourceApplication []string `help:"Applications at the source that events are about; default: all." placeholder:"NAME"`
	Environment       *string  `help:"Environment of the events; default: all."`
	Format            string   `help:"event (one per request), array or ndjson." default:"" enum:",event,array,ndjson"`
	BatchEvents       int      `help:"A batch leaves with so many events, or …" placeholder:"N"`
	BatchSeconds      int      `help:"… so long after its first." placeholder:"N"`
	Header            []string `help:"A custom header; its value is a text, @file, or - for standard input." placeholder:"NAME:VALUE" sep:"none"`

	Auth             string            `help:"none, basic, bearer or oauth2 (client credentials)." default:"" enum:",none,basic,bearer,oauth2"`
	AuthUsername     string            `help:"User of --auth basic." placeholder:"NAME"`
	AuthPassword     string            `help:"Its password: a text, @file, or - for standard input." placeholder:"SECRET"`
	AuthToken        string            `help:"Token of --auth bearer: a text, @file, or - for standard input." placeholder:"SECRET"`
	AuthTokenURL     string            `help:"Token endpoint of --auth oauth2." placeholder:"URL"`
	AuthClientID     string            `help:"Client of --auth oauth2." placeholder:"ID"`
	AuthClientSecret string            `help:"Its secret: a text, @file, or - for standard input." placeholder:"SECRET"`
	AuthScope        []string          `help:"Scopes that it asks for." placeholder:"SCOPE"`
	AuthParam        map[string]string `help:"Further parameters of its requests, such as audience." placeholder:"NAME=VALUE"`
}

// request returns the members that the flags say.
func (f webhookFlags) request(std streamsIO) (map[string]any, error) {
	body := map[string]any{}
	set := func(name string, value any, said bool) {
		if said {
			body[name] = value
		}
	}
	set("description", f.Description, f.Description != nil)
	set("types", f.Type, f.Type != nil)
	set("applications", f.SourceApplication, f.SourceApplication != nil)
	set("environment", f.Environment, f.Environment != nil)
	set("format", f.Format, f.Format != "")
	batch := map[string]int{}
	if f.BatchEvents != 0 {
		batch["events"] = f.BatchEvents
	}
	if f.BatchSeconds != 0 {
		batch["seconds"] = f.BatchSeconds
	}
	set("batch", batch, len(batch) > 0)
	headers, err := f.headers(std)
	if err != nil {
		return nil, err
	}
	set("headers", headers, len(headers) > 0)
	auth, err := f.auth(std)
	if err != nil {
		return nil, err
	}
	set("auth", auth, len(auth) > 0)
	return body, nil
}

func (f webhookFlags) headers(std streamsIO) (map[string]string, error) {
	headers := map[string]string{}
	for _, header := range f.Header {
		name, value, ok := strings.Cut(header, ":")
		if !ok {
			return nil, usage("--header %s has no colon between name and value", name)
		}
		text, err := secretText(std, strings.TrimSpace(value))
		if err != nil {
			return nil, err
		}
		headers[strings.TrimSpace(name)] = text
	}
	return headers, nil
}

func (f webhookFlags) auth(std streamsIO) (map[string]any, error) {
	auth := map[string]any{}
	for name, value := range map[string]string{
		"type": f.Auth, "username": f.AuthUsername, "token_url": f.AuthTokenURL, "client_id": f.AuthClientID,
	} {
		if value != "" {
			auth[name] = value
		}
	}
	for _, secret := range []struct{ name, value string }{
		{"password", f.AuthPassword}, {"token", f.AuthToken}, {"client_secret", f.AuthClientSecret},
	} {
		if secret.value == "" {
			continue
		}
		text, err := secretText(std, secret.value)
		if err != nil {
			return nil, err
		}
		auth[secret.name] = text
	}
	if f.AuthScope != nil {
		auth["scopes"] = f.AuthScope
	}
	if f.AuthParam != nil {
		auth["params"] = f.AuthParam
	}
	if len(auth) > 0 && f.Auth == "" {
		return nil, usage("--auth-… says how, --auth must say what: none, basic, bearer or oauth2")
	}
	return auth, nil
}

// secretText reads a secret, without the end of a file's last line.
func secretText(std streamsIO, value string) (string, error) {
	raw, err := readText(std, value, maxSecretText)
	return strings.TrimRight(string(raw), "\r\n"), err
}

// signingOf returns the member signing that the flags say.
func signingOf(std streamsIO, symmetric, asymmetric bool, secret string) (map[string]string, error) {
	signing := map[string]string{}
	switch {
	case asymmetric:
		signing["type"] = "asymmetric"
	case symmetric:
		signing["type"] = "symmetric"
	}
	if secret != "" {
		text, err := secretText(std, secret)
		if err != nil {
			return nil, err
		}
		signing["secret"] = text
	}
	return signing, nil
}

type webhookAddCmd struct {
	dataFlags
	jsonFlag
	webhookFlags
	Application string `help:"The application that gets the events." required:"" placeholder:"ID"`
	URL         string `help:"Where they are sent: https." required:"" placeholder:"URL"`
	Asymmetric  bool   `help:"Sign with an Ed25519 key instead of a shared secret."`
	Secret      string `help:"A signing secret of yours, whsec_… or whsk_…: a text, @file, or - for standard input." placeholder:"SECRET"`
}

// Help shows an example.
func (webhookAddCmd) Help() string {
	return "Example:\n  tocsin webhook add --application shop --url https://hook.example/events --type session-revoked\n" +
		"  tocsin webhook add --application shop --url https://hook.example/events --format ndjson --batch-events 500 --auth basic --auth-username tocsin --auth-password @password.txt\n" +
		"It prints the webhook with its signing secret, once."
}

// Run adds it and prints it.
func (c webhookAddCmd) Run(ctx context.Context, std streamsIO) error {
	body, err := c.request(std)
	if err != nil {
		return err
	}
	body["application"], body["url"] = c.Application, c.URL
	signing, err := signingOf(std, false, c.Asymmetric, c.Secret)
	if err != nil {
		return err
	}
	if len(signing) > 0 {
		body["signing"] = signing
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made webhook
		if err := api.Do(ctx, http.MethodPost, webhooksPath, body, &made); err != nil {
			return err
		}
		return printJSON(std.out, made)
	})
}

type webhookUpdateCmd struct {
	oneWebhook
	webhookFlags
	URL        string   `help:"Where events are sent: https." placeholder:"URL"`
	DropHeader []string `help:"Custom headers to take out." placeholder:"NAME"`
	Status     string   `help:"enabled, paused (events are held) or disabled (they are dropped); its application cannot lift it." default:"" enum:",enabled,paused,disabled"`
	Reason     string   `help:"Why, for the status."`
}

// Help shows an example.
func (webhookUpdateCmd) Help() string {
	return "Example:\n  tocsin webhook update u4Zs0qk1 --type session-revoked --type account-purged\n" +
		"  tocsin webhook update u4Zs0qk1 --status paused --reason maintenance"
}

// Run changes it and shows it.
func (c webhookUpdateCmd) Run(ctx context.Context, std streamsIO) error {
	body, err := c.request(std)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"url": c.URL, "status": c.Status, "reason": c.Reason} {
		if value != "" {
			body[name] = value
		}
	}
	if len(c.DropHeader) > 0 {
		headers := map[string]any{}
		if sent, ok := body["headers"].(map[string]string); ok {
			for name, value := range sent {
				headers[name] = value
			}
		}
		for _, name := range c.DropHeader {
			headers[name] = nil
		}
		body["headers"] = headers
	}
	if len(body) == 0 {
		return usage("name what is to change")
	}
	return c.ask(ctx, std, http.MethodPatch, "", body)
}
