package main

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

const (
	// maxProviderSecret bounds the secret that is read from a file.
	maxProviderSecret = 4 << 10
	// providerTime bounds one call of the OpenID Provider: a person waits for it.
	providerTime = 10 * time.Second
)

// provider returns who signs people in to the console of serve; nil: nobody does.
func (s serveCmd) provider(policy guard.Policy) (*console.Provider, error) {
	c := s.ConsoleSettings
	if file, ok := strings.CutPrefix(c.ConsoleSecret, "@"); ok {
		secret, err := readFile(file, maxProviderSecret)
		if err != nil {
			return nil, err
		}
		c.ConsoleSecret = string(bytes.TrimSpace(secret))
	}
	return providerOf(c, policy)
}

// providerOf returns who signs people in by settings that have the secret itself.
func providerOf(c config.ConsoleSettings, policy guard.Policy) (*console.Provider, error) {
	if flag, why := c.Fault(); flag != "" {
		return nil, usage("--%s: %s", flag, why)
	}
	if c.ConsoleProvider == "" {
		return nil, nil
	}
	roles := make(map[string]console.Role, len(c.ConsoleRole))
	for group, name := range c.ConsoleRole {
		roles[group], _ = console.RoleNamed(name) // Fault has looked
	}
	policy.Timeout = providerTime
	return &console.Provider{
		Issuer: c.ConsoleProvider, ClientID: c.ConsoleClient, ClientSecret: c.ConsoleSecret,
		Scopes: c.Scopes(), GroupsClaim: c.ConsoleGroupsClaim, Roles: roles, HTTP: guard.NewClient(policy),
	}, nil
}

// receiverProvider returns who signs people in to the console of a receiver, whose
// sessions end by the signals that it hears anyway; nil: nobody does.
func receiverProvider(cfg receive.Config, daemon *receive.Daemon) (*console.Provider, error) {
	policy := guard.Policy{Allow: cfg.ConsoleAllow, InsecureLoopback: cfg.InsecureLoopback}
	if cfg.ConsoleCA != "" {
		pool, err := caPool(cfg.ConsoleCA)
		if err != nil {
			return nil, err
		}
		policy.RootCAs = pool
	}
	provider, err := providerOf(cfg.ConsoleSettings, policy)
	if provider == nil {
		return nil, err
	}
	gate, err := daemon.ConsoleGate()
	if err != nil {
		return nil, err
	}
	iss := cfg.ProviderIssuer()
	provider.Signals = &console.Signals{Gate: gate, Issuers: []string{iss}, Deaf: func(ctx context.Context) (string, bool) { return daemon.Deaf(ctx, iss) }}
	return provider, nil
}

// consoleURL is where browsers reach the admin listener at address.
func consoleURL(c config.ConsoleSettings, address string) string {
	if c.ConsoleURL == "" || address == "" {
		return address
	}
	return strings.TrimSuffix(c.ConsoleURL, "/")
}
