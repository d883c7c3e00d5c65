package config

import (
	"fmt"
	"slices"
)

// ConsoleSettings say who may sign in to the console besides those with an admin token or
// a link, by the same words for every command that has one (docs/console.md).
type ConsoleSettings struct {
	ConsoleURL         string            `help:"Where browsers reach the admin listener; default: its address." placeholder:"URL" name:"console-url" yaml:"console_url" group:"Console:"`
	ConsoleProvider    string            `help:"OpenID Provider that people sign in with to the console; it is called as --token-ca and --token-allow say." placeholder:"URL" group:"Console:"`
	ConsoleClient      string            `help:"client_id there; its redirect URI is /console/oidc/callback at --console-url." placeholder:"ID" group:"Console:"`
	ConsoleSecret      string            `help:"Its secret: @FILE, or the text." placeholder:"@FILE" group:"Console:"`
	ConsoleScope       []string          `help:"Scopes to ask for besides openid (default: email,profile)." placeholder:"SCOPE" group:"Console:"`
	ConsoleGroupsClaim string            `help:"Claim of the ID token with the groups of a person (default: groups)." placeholder:"CLAIM" group:"Console:"`
	ConsoleRole        map[string]string `help:"What a group may do: viewer, operator or admin; repeatable, a map in the file. Without a role nobody is let in." placeholder:"GROUP=ROLE" group:"Console:"`
}

// Scopes are those to ask for besides openid.
func (c ConsoleSettings) Scopes() []string {
	if c.ConsoleScope == nil {
		return []string{"email", "profile"}
	}
	return c.ConsoleScope
}

// Fault says which setting cannot be used, by the name of its flag without dashes before
// it, and why; "": all can.
func (c ConsoleSettings) Fault() (flag, why string) {
	if c.ConsoleProvider == "" {
		if c.ConsoleClient != "" || c.ConsoleSecret != "" || c.ConsoleRole != nil {
			return "console-provider", "it is missing: without it nobody signs in by the other settings of the console"
		}
		return "", ""
	}
	const client = "it is missing: the client that the provider of the console's sign-in knows this console by, and its secret"
	switch {
	case c.ConsoleClient == "":
		return "console-client", client
	case c.ConsoleSecret == "":
		return "console-secret", client
	case len(c.ConsoleRole) == 0:
		return "console-role", "it is missing: without one nobody is let in"
	}
	for group, role := range c.ConsoleRole {
		if !slices.Contains([]string{"viewer", "operator", "admin"}, role) {
			return "console-role", fmt.Sprintf("%s=%s: a role is viewer, operator or admin", group, role)
		}
	}
	return "", ""
}
