package main

import (
	"context"
	"net/http"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// keyRewrapCmd changes what private keys and secrets are encrypted under.
type keyRewrapCmd struct {
	dataFlags
	printFlags
	NewKeyPassphraseFile string `help:"File with the new passphrase." placeholder:"FILE" group:"Keys:" xor:"new-key-secret"`
	NewKeyFile           string `help:"File with the new key of 32 random bytes." placeholder:"FILE" group:"Keys:" xor:"new-key-secret"`
}

// Help shows an example.
func (keyRewrapCmd) Help() string {
	return "Example:\n  tocsin key rewrap --key-passphrase-file old.txt --new-key-passphrase-file new.txt\n" +
		"The server goes on; its next start needs the new one. Copies made before open with the old one: if that leaked, rotate the keys, too."
}

// Run changes it.
func (c keyRewrapCmd) Run(ctx context.Context, std streamsIO) error {
	logger := newLogger(std.err, "warn")
	_, from, err := c.Files().Read(logger)
	if err != nil {
		return err
	}
	_, to, err := config.SecretFiles{
		PassphraseFlag: "--new-key-passphrase-file", Passphrase: c.NewKeyPassphraseFile,
		KeyFlag: "--new-key-file", Key: c.NewKeyFile,
	}.Read(logger)
	if err != nil {
		return err
	}
	data := c.dataFlags
	data.KeySettings = config.KeySettings{} // it is not needed to open the folder, and may be wrong
	err = data.with(ctx, false, func(api *adminapi.Client) error {
		return api.Do(ctx, http.MethodPost, "/admin/keys/rewrap", map[string]any{"from": from, "to": to}, nil)
	})
	if err != nil {
		return err
	}
	return c.tell(std.out, map[string]bool{"rewrapped": true}, "private keys and secrets are encrypted under the new one; the next start needs it")
}
