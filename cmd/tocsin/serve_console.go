package main

import (
	"bytes"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

const (
	// maxProviderSecret bounds the secret that is read from a file.
	maxProviderSecret = 4 << 10
	// providerTime bounds one call of the OpenID Provider: a person waits for it.
	providerTime = 10 * time.Second
)

// consoleFlags say who may sign in to the console besides those with an admin token.
type consoleFlags struct {
	ConsoleURL         string            `help:"Where browsers reach the admin listener; default: its address." placeholder:"URL" name:"console-url" group:"Console:"`
	ConsoleProvider    string            `help:"OpenID Provider that people sign in with to the console; it is called as --token-ca and --token-allow say." placeholder:"URL" group:"Console:"`
	ConsoleClient      string            `help:"client_id there; its redirect URI is /console/oidc/callback at --console-url." placeholder:"ID" group:"Console:"`
	ConsoleSecret      string            `help:"Its secret: @FILE, or the text." placeholder:"@FILE" group:"Console:"`
	ConsoleScope       []string          `help:"Scopes to ask for besides openid." default:"email,profile" group:"Console:"`
	ConsoleGroupsClaim string            `help:"Claim of the ID token with the groups of a person." default:"groups" group:"Console:"`
	ConsoleRole        map[string]string `help:"What a group may do: viewer, operator or admin; repeatable, a map in the file. Without a role nobody is let in." placeholder:"GROUP=ROLE" group:"Console:"`
}

// provider returns who signs people in; nil: nobody does.
func (f consoleFlags) provider(policy guard.Policy) (*console.Provider, error) {
	if f.ConsoleProvider == "" {
		if f.ConsoleClient != "" || f.ConsoleSecret != "" || f.ConsoleRole != nil {
			return nil, usage("--console-provider is missing: without it nobody signs in by the other settings of the console")
		}
		return nil, nil
	}
	if f.ConsoleClient == "" || f.ConsoleSecret == "" {
		return nil, usage("--console-client and --console-secret are missing: the client that --console-provider knows this console by")
	}
	if len(f.ConsoleRole) == 0 {
		return nil, usage("--console-role is missing: without one nobody is let in")
	}
	roles := make(map[string]console.Role, len(f.ConsoleRole))
	for group, name := range f.ConsoleRole {
		role, ok := console.RoleNamed(name)
		if !ok {
			return nil, usage("--console-role %s=%s: a role is viewer, operator or admin", group, name)
		}
		roles[group] = role
	}
	secret := []byte(f.ConsoleSecret)
	if file, ok := strings.CutPrefix(f.ConsoleSecret, "@"); ok {
		var err error
		if secret, err = readFile(file, maxProviderSecret); err != nil {
			return nil, err
		}
	}
	policy.Timeout = providerTime
	return &console.Provider{
		Issuer: f.ConsoleProvider, ClientID: f.ConsoleClient, ClientSecret: string(bytes.TrimSpace(secret)),
		Scopes: f.ConsoleScope, GroupsClaim: f.ConsoleGroupsClaim, Roles: roles, HTTP: guard.NewClient(policy),
	}, nil
}

// consoleURL is where browsers reach the admin listener at address.
func (f consoleFlags) consoleURL(address string) string {
	if f.ConsoleURL == "" || address == "" {
		return address
	}
	return strings.TrimSuffix(f.ConsoleURL, "/")
}
