package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

type clientRotateCmd struct {
	dataFlags
	jsonFlag
	ID      string        `arg:"" help:"The client_id."`
	Overlap time.Duration `help:"For how long what it had before is still good, at most 720h; 0s ends it at once." default:"24h"`
	JWKS    string        `help:"Give it these public keys instead of a secret, or in place of those it has: a JWKS or PEM." name:"jwks" placeholder:"FILE" xor:"keys"`
	JWKSURI string        `help:"The same, published there." name:"jwks-uri" placeholder:"URL" xor:"keys"`
	certificateFlags
	EndTokens bool `help:"Also end the access tokens that it got, which would be good until they expire."`
}

// Help shows an example.
func (clientRotateCmd) Help() string {
	return "Example:\n  tocsin client rotate shop --overlap 24h\n  tocsin client rotate shop --overlap 0s --end-tokens\n  tocsin client rotate shop --jwks shop.pub.pem\n  tocsin client rotate shop --tls-san-dns shop.example --overlap 24h\n" +
		"It prints the new client_secret (and access_token, of a client added with --static) as JSON, once. Keys that are replaced end at once: list those that are to go on beside the new ones. A second rotation ends what the first had left."
}

// Run replaces them and prints the new ones.
func (c clientRotateCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Overlap < 0 || c.Overlap%time.Second != 0 {
		return usage("--overlap is whole seconds")
	}
	ask := struct {
		KeepSeconds int               `json:"keep_seconds"`
		JWKS        json.RawMessage   `json:"jwks,omitempty"`
		JWKSURI     string            `json:"jwks_uri,omitempty"`
		Certificate *auth.Certificate `json:"certificate,omitempty"`
		EndTokens   bool              `json:"end_tokens,omitempty"`
	}{KeepSeconds: int(c.Overlap / time.Second), JWKSURI: c.JWKSURI, Certificate: c.certificate(), EndTokens: c.EndTokens}
	if c.JWKS != "" {
		var err error
		if ask.JWKS, err = publicKeys(std, c.JWKS); err != nil {
			return err
		}
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made struct {
			ID          string    `json:"client_id"`
			Secret      string    `json:"client_secret,omitempty"`
			AccessToken string    `json:"access_token,omitempty"`
			OldUntil    time.Time `json:"old_until,omitzero"`
		}
		if err := api.Do(ctx, http.MethodPost, "/admin/clients/"+url.PathEscape(c.ID)+"/rotate", ask, &made); err != nil {
			return err
		}
		return printJSON(std.out, made)
	})
}

// state says what a client authenticates with, how old that is, and until when what it
// had before is good.
func (c *credential) state(now time.Time) string {
	kind := "secret"
	switch {
	case c.Certificate != nil:
		kind = "certificate (" + c.Certificate.Method() + ")"
	case c.JWKS != nil:
		kind = "keys"
	case c.External:
		return "of the token issuer"
	case c.JWKSURI != "":
		kind = "keys at " + c.JWKSURI
	}
	since := c.Created
	if !c.Rotated.IsZero() {
		since = c.Rotated
	}
	text := fmt.Sprintf("%s, %d days old", kind, int(now.Sub(since).Hours()/24))
	if c.OldUntil.After(now) {
		text += ", the one before until " + c.OldUntil.Format(time.DateTime)
	}
	return text
}
