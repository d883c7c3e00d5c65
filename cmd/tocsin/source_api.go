package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// maxVendorSecret bounds a vendor's secret that is read from a file.
const maxVendorSecret = 4 << 10

// sourceAPIFlags say how a vendor's own API is called.
type sourceAPIFlags struct {
	APIURL      string        `help:"Base of the vendor's own API; default: the vendor's, where it has one for all." name:"api-url" placeholder:"URL"`
	APIClient   string        `help:"OneLogin's client_id; --api-secret is then its client secret, and tokens are got with it." name:"api-client" placeholder:"ID"`
	APISecret   string        `help:"Token, key or client secret of the vendor's API: @FILE, - for standard input, or the text." name:"api-secret" placeholder:"@FILE"`
	PollEvery   time.Duration `help:"Poll the API so often; 0: never." default:"0s" placeholder:"1m"`
	PollSince   string        `help:"Where polling begins: a time (RFC 3339) or how far back; default: now." placeholder:"24h"`
	PollOverlap time.Duration `help:"How much is read again for records that come late." default:"5m"`
}

// api returns how the vendor's API is called, nil if no flag says so.
func (c *sourceAPIFlags) api(std streamsIO, kind string) (*vendorAPI, error) {
	if c.APISecret == "" {
		if c.APIURL != "" || c.APIClient != "" || c.PollEvery != 0 || c.PollSince != "" {
			return nil, usage("--api-secret is missing: the vendor's API is not called without one")
		}
		return nil, nil
	}
	secret, err := readText(std, c.APISecret, maxVendorSecret)
	if err != nil {
		return nil, err
	}
	if c.PollEvery < 0 || c.PollEvery%time.Second != 0 || c.PollOverlap < 0 || c.PollOverlap%time.Second != 0 {
		return nil, usage("--poll-every and --poll-overlap are whole seconds")
	}
	since, err := pollSince(c.PollSince)
	if err != nil {
		return nil, err
	}
	address := c.APIURL
	if address == "" {
		address = defaultAPI(kind)
	}
	if address == "" {
		return nil, usage("--api-url is missing: OneLogin's is https://<subdomain>.onelogin.com")
	}
	return &vendorAPI{
		URL: address, ClientID: c.APIClient, Secret: strings.TrimSpace(string(secret)), Since: since,
		PollSeconds: int(c.PollEvery / time.Second), OverlapSeconds: int(c.PollOverlap / time.Second),
	}, nil
}

// defaultAPI is where a vendor's API is, "" if each customer has an own.
func defaultAPI(kind string) string {
	switch kind {
	case "idme":
		return "https://events-api.idme.cc"
	case "fingerprint":
		return "https://api.fpjs.io/v4"
	}
	return ""
}

// pollSince reads a time or how far back it is.
func pollSince(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if back, err := time.ParseDuration(text); err == nil && back >= 0 {
		return time.Now().Add(-back), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("--poll-since %s is neither a time such as 2026-01-02T15:04:05Z nor how far back, such as 24h", text)
	}
	return at, nil
}

type sourceRotateCmd struct {
	dataFlags
	jsonFlag
	Name      string        `arg:"" help:"Name of the source."`
	KeepOld   time.Duration `help:"For how long the secret before is still good, at most 720h; 0s ends it at once." default:"24h"`
	APISecret string        `help:"Replace the secret of the vendor's API instead: @FILE, - for standard input, or the text." name:"api-secret" placeholder:"@FILE" xor:"which"`
	Signature string        `help:"Set or replace the secret with which Fingerprint signs instead: @FILE, - for standard input, or the text." name:"signature-secret" placeholder:"@FILE" xor:"which"`
}

// signatureSecret reads the secret of a vendor's signatures; "": none is given.
func signatureSecret(std streamsIO, flag string) (string, error) {
	if flag == "" {
		return "", nil
	}
	secret, err := readText(std, flag, maxVendorSecret)
	if err != nil {
		return "", err
	}
	if text := strings.TrimSpace(string(secret)); text != "" {
		return text, nil
	}
	return "", usage("--signature-secret is empty")
}

// Help shows an example.
func (sourceRotateCmd) Help() string {
	return "Example:\n  tocsin source rotate idme --keep-old 1h\n  tocsin source rotate onelogin --api-secret @secret.txt\n" +
		"It prints what the vendor is to send from now on, once. With --api-secret or --signature-secret it prints nothing."
}

// Run replaces the secret.
func (c sourceRotateCmd) Run(ctx context.Context, std streamsIO) error {
	ask := struct {
		KeepSeconds int    `json:"keep_seconds"`
		APISecret   string `json:"api_secret,omitempty"`
		Signature   string `json:"signature_secret,omitempty"`
	}{KeepSeconds: int(c.KeepOld / time.Second)}
	var err error
	if ask.Signature, err = signatureSecret(std, c.Signature); err != nil {
		return err
	}
	if c.APISecret != "" {
		secret, err := readText(std, c.APISecret, maxVendorSecret)
		if err != nil {
			return err
		}
		ask.APISecret = strings.TrimSpace(string(secret))
		if ask.APISecret == "" {
			return usage("--api-secret is empty")
		}
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made vendorCredential
		if err := api.Do(ctx, http.MethodPost, "/admin/sources/"+url.PathEscape(c.Name)+"/rotate", ask, &made); err != nil {
			return err
		}
		if made.Secret == "" {
			return nil
		}
		return printJSON(std.out, made)
	})
}
