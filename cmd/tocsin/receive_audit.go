package main

import (
	"context"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

type receiveAuditCmd struct {
	receiveStoreFlags
	printFlags
	Act    string    `help:"Acts of this name alone, such as dead_letter.drop." placeholder:"NAME"`
	By     string    `help:"Acts of this user of the machine alone, as uid:1000, of who signed in with an OpenID Provider as person:NAME, with the admin token as \"admin token\", or of SIGHUP as node:NAME." placeholder:"WHO"`
	Object string    `help:"Acts on what has this id: a dead letter's jti, an issuer, a node." placeholder:"ID"`
	Since  time.Time `help:"Acts from this time on (RFC 3339)." placeholder:"TIME"`
	Until  time.Time `help:"Acts before this time (RFC 3339)." placeholder:"TIME"`
	Limit  int       `help:"At most so many, the newest (default: ${default})." default:"100" placeholder:"N"`
}

// Help shows an example.
func (receiveAuditCmd) Help() string {
	return "Example:\n  tocsin receive audit --act dead_letter.drop --json\n" +
		"Configurations that were read, dead letters sent again or dropped, sign-ins to the console: the newest first, of a year at most."
}

// Run prints the acts, newest first.
func (c receiveAuditCmd) Run(ctx context.Context, std streamsIO) error {
	wanted := wantedActs{c.Act, c.By, c.Object, c.Since, c.Until, c.Limit}
	if err := wanted.check(); err != nil {
		return err
	}
	return c.with(ctx, std, func(api *adminapi.Client) error { return wanted.print(ctx, api, c.printFlags, std.out) })
}
