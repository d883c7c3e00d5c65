package receive

import (
	"context"
	_ "embed"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// consoleRules say which signals end sessions of a console.
//
//go:embed console.yaml
var consoleRules []byte

// consoleEvents are the types that consoleRules are about.
func consoleEvents() []string {
	return []string{
		"session-revoked", "sessions-revoked", "tokens-revoked", "account-disabled", "account-purged", "account-credential-change-required",
		"credential-compromise", "identifier-recycled", "credential-change", "token-claims-change", "risk-level-change",
	}
}

// consoleIssuer is what the provider is called here.
const consoleIssuer = "provider"

// ForConsole returns the configuration of a daemon within another process, which ends
// sessions of a console by what one transmitter says: it keeps a poll stream there, its
// one hook is the gate, and it needs no listener. It is complete. cfg has the folder or
// the Redis, which is shared with all processes of the same console, and what concerns
// outbound calls; of is the issuer without a name, events and delivery. Without Redis
// revocations are in memory, as the console's sessions are.
//
// Error: a ConfigError.
func ForConsole(cfg Config, of Issuer, fault func(key, format string, args ...any) error) (Config, error) {
	kept := "sessions: {store: memory}"
	if cfg.RedisSettings.Set() {
		kept = "sessions: {store: redis}"
		// A console's own part of the same Redis, whose keys an ACL of its prefix covers.
		setDefault(&cfg.RedisPrefix, redisdb.DefaultPrefix)
		cfg.RedisPrefix += ":console"
	}
	// An ID token tells its user and session: a device or a tenant beside them, as CAEP's own
	// examples have, narrows nothing here.
	doc, err := settings.Parse("console", []byte(kept+"\nhooks: {gate: {type: gate, ignore: ['*']}}"), nil)
	if err != nil {
		return Config{}, &ConfigError{err}
	}
	of.Name, of.Mode, of.Events, of.Delivery = consoleIssuer, ModeDiscovered, consoleEvents(), Delivery{Method: MethodPoll}
	if of.Algorithms == nil {
		of.Algorithms = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	}
	cfg.Issuers, cfg.Sessions = []Issuer{of}, doc.At("sessions")
	cfg.Hooks = map[string]settings.Node{gateHook: doc.At("hooks").At(gateHook)}
	cfg.rules = policy.Source{Name: "console.yaml", YAML: consoleRules}
	return cfg.Complete(fault)
}

// ProviderIssuer returns the iss by which the OpenID Provider of the console tells of
// sessions.
func (cfg Config) ProviderIssuer() string {
	for _, is := range cfg.Issuers {
		if is.Name == cfg.ConsoleSignals {
			return is.Issuer
		}
	}
	return cfg.ConsoleProvider
}

// sameConsole reports whether people sign in to the console as before.
func (cfg Config) sameConsole(other Config) bool {
	return reflect.DeepEqual(cfg.ConsoleSettings, other.ConsoleSettings) && cfg.ConsoleSignals == other.ConsoleSignals &&
		slices.Equal(cfg.ConsoleAllow, other.ConsoleAllow) && cfg.ConsoleCA == other.ConsoleCA
}

// ConsoleGate returns a gate for sessions of the console, by the daemon's revocations.
// Error: the daemon has none.
func (d *Daemon) ConsoleGate() (*sessions.Gate, error) {
	if d.gate == nil {
		return nil, fmt.Errorf("%w: there are no revocations: the section sessions says where they are kept", sessions.ErrInvalid)
	}
	return sessions.NewGate(sessions.Config{Revocations: d.gate.revocations, Fail: sessions.FailClosed})
}

// Deaf says, for people to read, why what the transmitter with this iss says of sessions
// is not heard; "": it is. meant: it is to be by the configuration, so that it is a fault.
func (d *Daemon) Deaf(ctx context.Context, iss string) (why string, meant bool) {
	h := d.Health(ctx)
	at := slices.IndexFunc(h.Issuers, func(is IssuerHealth) bool { return is.Issuer == iss })
	if at < 0 {
		return "None of the issuers is the OpenID Provider that people sign in with (" + iss + "): sessions of this console do not end by its signals.", false
	}
	if h.DryRun {
		return "Dry run: what the OpenID Provider says ends no session of this console.", false
	}
	is := h.Issuers[at]
	all := is.Problems
	if h.Gate != "" {
		all = append(all, h.Gate)
	}
	if is.Delivery == MethodPoll && !is.Elsewhere && is.Refused.After(is.Received) {
		all = append(all, "the last that came was refused ("+string(is.RefusedCode)+")")
	}
	if is.Stream != nil && slices.Contains(is.Stream.NotDelivered, caep.SessionRevokedType) {
		all = append(all, "its stream does not have "+caep.SessionRevokedType)
	}
	if len(all) == 0 && is.Standing != keeper.Failing {
		return "", true
	}
	return "Signals of the OpenID Provider are not heard now: a session of this console that it ends goes on until it ends by itself. " + strings.Join(all, "; "), true
}
