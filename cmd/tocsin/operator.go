package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// dataFlags are of commands that speak to the server of a data folder, or
// open the folder if none runs on it.
type dataFlags struct {
	config.RedisSettings
	config.KeySettings
	config.SignerSettings
	Data string `help:"Data folder; the server that runs on it is asked, else it is opened (default: ${default})." default:"./tocsin-data" placeholder:"DIR"`
}

// offlineIssuer stands for the issuer where a folder is opened without a
// server: nothing is served or signed under it.
const offlineIssuer = "https://offline.invalid"

// patience is how long a command waits for a folder that another process holds.
const patience = 5 * time.Second

// with calls fn with a client of the folder's admin API. make says whether a
// folder that is not there is made.
func (d dataFlags) with(ctx context.Context, make bool, fn func(*adminapi.Client) error) error {
	shared := d.RedisSettings.Shared(newLogger(io.Discard, "error"))
	if !make && shared == nil && !node.Known(d.Data) {
		return fmt.Errorf("there is no data folder %s; name it with --data", d.Data)
	}
	dir, err := filepath.Abs(d.Data)
	if err != nil {
		return err
	}
	secret, err := d.KeySettings.Secret(newLogger(io.Discard, "error"))
	if err != nil {
		return err
	}
	signer, err := d.SignerPath()
	if err != nil {
		return usage("%v", err)
	}
	client, err := adminapi.Open(ctx, node.Config{Dir: dir, Signer: signer, Redis: shared, Secret: secret, Offline: true, Transmitter: transmitter.Config{Issuer: offlineIssuer}}, patience)
	if err != nil {
		return err
	}
	return errors.Join(fn(client), client.Close())
}

// printFlags choose how data is printed.
type printFlags struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// jsonFlag is of commands that print JSON alone.
type jsonFlag struct {
	JSON bool `help:"Print JSON; it is what this command prints in any case." name:"json"`
}

// print prints v as JSON, or as the table that rows makes.
func (p printFlags) print(out io.Writer, v any, header string, rows func(w io.Writer)) error {
	if p.JSON {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	rows(w)
	return w.Flush()
}

// tell prints one line: text, or v as JSON.
func (p printFlags) tell(out io.Writer, v any, text string) error {
	if p.JSON {
		return json.NewEncoder(out).Encode(v)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// algorithm reads the name of an algorithm.
func algorithm(name string) (jose.Algorithm, error) {
	alg, err := jose.ParseAlgorithm(name)
	if err != nil {
		return "", usage("%v", err)
	}
	return alg, nil
}
