package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

type sourceTypesCmd struct {
	dataFlags
	printFlags
	Name string `arg:"" help:"Name of a source of OneLogin whose API is called."`
	Out  string `help:"Write a rules file that names and describes the types, for --rules." placeholder:"FILE"`
}

// Help shows an example.
func (sourceTypesCmd) Help() string {
	return "Example:\n  tocsin source types onelogin\n  tocsin source types onelogin --out onelogin-types.yaml\n" +
		"The file goes to --rules of serve and changes no mapping. Ask again when the vendor has new types, and restart the server."
}

// typesHead stands above what is written.
const typesHead = "# Types of events, as the vendor told them. Written by: tocsin source types\n"

// Run asks the vendor and prints the types, or writes the file.
func (c sourceTypesCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var told struct {
			Types []mapping.Type `json:"types"`
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/sources/"+url.PathEscape(c.Name)+"/types", nil, &told); err != nil {
			return err
		}
		if c.Out != "" {
			if err := writeTypes(c.Out, told.Types); err != nil {
				return err
			}
		}
		return c.print(std.out, told.Types, "TYPE NAME DESCRIPTION", func(w io.Writer) {
			for _, t := range told.Types {
				fmt.Fprintf(w, "%s\t%s\t%s\n", t.ID, line(t.Name), line(t.Description))
			}
		})
	})
}

// line is a text without breaks and tabs.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// writeTypes writes a rules file of types, once it is known that it can be read.
func writeTypes(name string, types []mapping.Type) error {
	text, err := mapping.TypesFile(mapping.FormatOneLogin, types)
	if err != nil {
		return err
	}
	text = append([]byte(typesHead), text...)
	if _, err := mapping.New(mapping.Config{Rules: []mapping.RulesFile{{Name: name, YAML: text}}}); err != nil {
		return fmt.Errorf("what the vendor told makes no rules: %w", err)
	}
	return wholefile.Replace(name, text, 0o600)
}
