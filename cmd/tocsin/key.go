package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type keyCmd struct {
	List           keyListCmd           `cmd:"" help:"List the signing keys."`
	Rotate         keyRotateCmd         `cmd:"" help:"Make a new key that signs from now on, also in the running server."`
	Retire         keyRetireCmd         `cmd:"" help:"Take an old key out of the JWKS for good."`
	Make           keyMakeCmd           `cmd:"" help:"Make a key for a signer, in a file."`
	MakeDecryption keyMakeDecryptionCmd `cmd:"" help:"Make a key of a receiver, to which its SETs are encrypted, in a file."`
	Rewrap         keyRewrapCmd         `cmd:"" help:"Encrypt private keys and secrets under another passphrase or key."`
}

type keyListCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (keyListCmd) Help() string { return "Example:\n  tocsin key list" }

// Run lists them.
func (c keyListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var list []struct {
			ID        string    `json:"kid"`
			Algorithm string    `json:"alg"`
			Created   time.Time `json:"created,omitzero"`
			LastUsed  time.Time `json:"last_used,omitzero"`
			Current   bool      `json:"current"`
			Next      bool      `json:"next,omitempty"`
			Elsewhere bool      `json:"elsewhere,omitempty"`
			Announced bool      `json:"announced,omitempty"`
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/keys", nil, &list); err != nil {
			return err
		}
		return c.print(std.out, list, "KID ALG CURRENT LAST_USED HELD", func(w io.Writer) {
			for _, k := range list {
				current := strconv.FormatBool(k.Current)
				used, held := k.LastUsed.Format(time.DateTime), "here"
				switch {
				case k.Next:
					current = "next"
				case k.Announced:
					current, used = "announced", "never"
				}
				if k.Elsewhere {
					held = "signer"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, current, used, held)
			}
		})
	})
}

type keyRotateCmd struct {
	dataFlags
	jsonFlag
	Here bool `help:"To a key that is made and kept here although a signer holds keys: where it is lost, or no longer wanted."`
}

// Help shows an example.
func (keyRotateCmd) Help() string {
	return "Example:\n  tocsin key rotate --data ./tocsin-data\nThe old key stays in the JWKS until it is retired; one that was published to sign next is discarded.\nWhere a signer holds the keys, the first one that it announces and that was never used signs from now on."
}

// Run rotates and prints the new key's id.
func (c keyRotateCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made struct {
			ID string `json:"kid"`
		}
		if err := api.Do(ctx, http.MethodPost, "/admin/keys/rotate", map[string]bool{"here": c.Here}, &made); err != nil {
			return err
		}
		return printJSON(std.out, made)
	})
}

type keyRetireCmd struct {
	dataFlags
	ID    string `arg:"" name:"kid" help:"The key's id."`
	Force bool   `help:"Also within 24 hours of its last signature: SETs in flight can then no longer be verified."`
}

// Help shows an example.
func (keyRetireCmd) Help() string {
	return "Example:\n  tocsin key retire 0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAt"
}

// Run retires it.
func (c keyRetireCmd) Run(ctx context.Context) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodPost, "/admin/keys/"+url.PathEscape(c.ID)+"/retire", map[string]bool{"force": c.Force}, nil)
	})
}
