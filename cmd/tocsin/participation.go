package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type consentParticipationCmd struct {
	dataFlags
	printFlags
	applicationFlag
	Subject string `help:"Subject identifier, or an array of them, as JSON." required:"" placeholder:"JSON"`
}

// Help shows an example.
func (consentParticipationCmd) Help() string {
	return "Example:\n  tocsin consent participation" + decisionExample
}

// participation is a state as the admin API shows it.
type participation struct {
	Application string     `json:"application"`
	State       string     `json:"state"`
	Since       *time.Time `json:"since,omitempty"`
}

// Run prints the state.
func (c consentParticipationCmd) Run(ctx context.Context, std streamsIO) error {
	query := c.query()
	query.Set("subject", c.Subject)
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var p participation
		if err := api.Do(ctx, http.MethodGet, "/admin/participation?"+query.Encode(), nil, &p); err != nil {
			return err
		}
		return c.print(std.out, p, "STATE SINCE", func(w io.Writer) {
			since := "-"
			if p.Since != nil {
				since = p.Since.Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\n", p.State, since)
		})
	})
}
