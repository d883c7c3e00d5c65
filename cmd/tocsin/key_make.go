package main

import (
	"context"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

type keyMakeCmd struct {
	File      string `arg:"" help:"New file for it."`
	Algorithm string `help:"RS256, PS256, ES256 or EdDSA (default: ${default})." default:"RS256" enum:"RS256,PS256,ES256,EdDSA"`
	config.KeySettings
	jsonFlag
}

// Help shows an example.
func (keyMakeCmd) Help() string {
	return "Example:\n  tocsin key make signer-key.json --algorithm ES256 --key-passphrase-file passphrase\n" +
		"It makes the key of a signer (tocsin signer --key), in a file that its owner alone can read, in clear without a passphrase or key file. It prints the public half."
}

// Run makes it.
func (c keyMakeCmd) Run(ctx context.Context, std streamsIO) error {
	secret, err := c.Secret(newLogger(std.err, "warn"))
	if err != nil {
		return err
	}
	key, err := jose.Generate(jose.Algorithm(c.Algorithm))
	if err != nil {
		return err
	}
	if err := keyfile.Write(ctx, c.File, key, secret); err != nil {
		return err
	}
	return printJSON(std.out, key.Public())
}
