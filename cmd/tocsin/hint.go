package main

import (
	"crypto/x509"
	"errors"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// hint is what to do next about an error of a command whose words do not say it; "":
// nothing is known.
func hint(command *kong.Context, err error) string {
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) && has(command, "ca") {
		return "If you trust that server, name the authority of its certificate: --ca FILE (one that tocsin serve made is ca.pem in its data folder)."
	}
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Member == "type" && command.Selected().Name == "emit" {
		return "tocsin event types lists the names that are known."
	}
	return ""
}

// has reports whether a command has a flag.
func has(command *kong.Context, flag string) bool {
	for _, f := range command.Flags() {
		if f.Name == flag {
			return true
		}
	}
	return false
}
