package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type backupCmd struct {
	dataFlags
	printFlags
	To string `help:"Folder of the copy: new, or empty." required:"" placeholder:"DIR"`
}

// Help shows an example.
func (backupCmd) Help() string {
	return "Example:\n  tocsin backup --data ./tocsin-data --to /var/backups/tocsin-2026-11-23\n" +
		"The copy holds the private signing keys, and the CA that serve made, encrypted if they are. Start a server on it with --data."
}

// Run copies the folder.
func (c backupCmd) Run(ctx context.Context, std streamsIO) error {
	to, err := filepath.Abs(c.To)
	if err != nil {
		return err
	}
	err = c.with(ctx, false, func(api *adminapi.Client) error {
		err := api.Do(ctx, http.MethodPost, "/admin/backup", map[string]string{"dir": to}, nil)
		var refused *adminapi.Error
		if errors.As(err, &refused) && refused.Description != "" {
			return errors.New(refused.Description) // it names the folder itself
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.tell(std.out, map[string]string{"from": c.Data, "to": to}, fmt.Sprintf("copied %s to %s", c.Data, to))
}
