package receive

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/redissessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
)

// Stores of sessions and revocations.
const (
	storeMemory = "memory" // forgotten at a restart
	storeSQLite = "sqlite" // in the data folder
	storeRedis  = "redis"  // shared by nodes
)

// sessionsFile is the store of sessions in the data folder.
const sessionsFile = "sessions.db"

// sessionSettings are the section sessions.
type sessionSettings struct {
	// Store is storeMemory, storeSQLite or storeRedis; empty: storeSQLite, or storeRedis
	// where all is in Redis.
	Store string
	// URL, Cluster and Prefix are those of redissessions.Config; without a URL it is the
	// Redis where all is.
	URL, Prefix string
	Cluster     bool
	// Lifetime and MaxSessions are those of sessions.IndexConfig, Retention and
	// MaxMarks of sessions.RevocationsConfig.
	Lifetime, Retention   time.Duration
	MaxSessions, MaxMarks int
}

// gateSettings are the section gate.
type gateSettings struct {
	// Fail is closed or open. Required.
	Fail sessions.FailMode
	// MaxLag is that of sessions.Config.
	MaxLag time.Duration
	// Check is the check endpoint for proxies; its Listen is required with it.
	Check *check.Config
	// Allow are address ranges that the servers of the issuers in Check.Tokens may have
	// although they are not public. CA is a PEM file with their authorities, beside the
	// system's.
	Allow []netip.Prefix
	CA    string `yaml:"ca"`
}

// gateParts are the sessions that the daemon knows, and the gate that enforces what
// was revoked. Nil: there are none.
type gateParts struct {
	index       sessions.Lookup
	revocations sessions.Revocations
	gate        *sessions.Gate
	check       *check.Handler // nil: none
	decisions   decisions
	settings    gateSettings
	run         func(context.Context) error // nil: nothing to run
	close       func() error
}

// gated reports whether cfg has sessions or a gate, or people who sign in to a console
// whose sessions end as others do.
func (cfg Config) gated() bool {
	return cfg.Sessions.Present() || cfg.Gate.Present() || cfg.ConsoleProvider != ""
}

// readGate decodes both sections and checks what can be checked without a store.
func readGate(cfg Config) (s sessionSettings, g gateSettings, err error) {
	if err := cfg.Sessions.Decode(&s); err != nil {
		return s, g, err
	}
	if err := cfg.Gate.Decode(&g); err != nil {
		return s, g, err
	}
	all := cfg.RedisSettings.Set()
	if all {
		setDefault(&s.Store, storeRedis)
	}
	setDefault(&s.Store, storeSQLite)
	switch {
	case s.Store != storeMemory && s.Store != storeSQLite && s.Store != storeRedis:
		return s, g, cfg.Sessions.At("store").Fault("want memory, sqlite or redis")
	case s.Store != storeRedis && all:
		return s, g, cfg.Sessions.At("store").Fault("with redis they are kept there, for all processes; leave store out")
	case s.Store == storeRedis && s.URL == "" && all:
		if s.Prefix != "" || s.Cluster {
			return s, g, cfg.Sessions.Fault("prefix and cluster are of another Redis than that of redis; name its url, or leave them out")
		}
	case s.Store == storeRedis && s.URL == "":
		return s, g, cfg.Sessions.Fault("url is missing: where Redis is")
	case s.Store != storeRedis && (s.URL != "" || s.Prefix != "" || s.Cluster):
		return s, g, cfg.Sessions.Fault("url, prefix and cluster are of the store redis")
	case cfg.Gate.Present() && g.Fail == "":
		return s, g, cfg.Gate.Fault("fail is missing, and has no default: closed refuses sessions of which it cannot be told whether they are good, open lets them through")
	case (g.Allow != nil || g.CA != "") && (g.Check == nil || g.Check.Tokens == nil):
		return s, g, cfg.Gate.Fault("allow and ca are of the servers of check.tokens, which is missing")
	case g.Check != nil && g.Check.Listen == "":
		return s, g, cfg.Gate.At("check").Fault("listen is missing: where proxies ask")
	}
	return s, g, nil
}

// openGate opens the store of sessions and builds the gate.
func openGate(ctx context.Context, cfg Config, store *Store, logger *slog.Logger, observe func(string, int, time.Duration), answered func(int, time.Duration)) (*gateParts, error) {
	if !cfg.gated() {
		return nil, nil
	}
	s, g, err := readGate(cfg)
	if err != nil {
		return nil, &ConfigError{err}
	}
	p := &gateParts{settings: g, close: func() error { return nil }}
	if err := p.openStore(ctx, cfg, s, store.redis, logger, observe); err != nil {
		return nil, err
	}
	if err := p.build(cfg, answered); err != nil {
		_ = p.close() // nothing is in it
		return nil, &ConfigError{err}
	}
	return p, nil
}

func (p *gateParts) openStore(ctx context.Context, cfg Config, s sessionSettings, shared *redisParts, logger *slog.Logger, observe func(string, int, time.Duration)) error {
	index := sessions.IndexConfig{MaxSessions: s.MaxSessions, Lifetime: s.Lifetime}
	revocations := sessions.RevocationsConfig{Retention: s.Retention, MaxMarks: s.MaxMarks}
	switch s.Store {
	case storeMemory:
		memory, err := sessions.NewMemory(index)
		if err != nil {
			return &ConfigError{cfg.Sessions.Fault("%v", err)}
		}
		marks, err := sessions.NewMemoryRevocations(revocations)
		if err != nil {
			return &ConfigError{cfg.Sessions.Fault("%v", err)}
		}
		p.index, p.revocations = memory, marks
	case storeRedis:
		c := redissessions.Config{URL: s.URL, Cluster: s.Cluster, Prefix: s.Prefix, Index: index, Revocations: revocations, Logger: logger}
		if s.URL == "" {
			c.DB = shared.db
		}
		store, err := redissessions.New(c)
		if err != nil {
			return &ConfigError{cfg.Sessions.Fault("%v", err)}
		}
		p.index, p.revocations, p.run, p.close = store, store, store.Run, store.Close
	default:
		store, err := sqlitesessions.Open(ctx, sqlitesessions.Config{
			Path: filepath.Join(cfg.Data, sessionsFile), Index: index, Revocations: revocations,
			Observe: func(n int, d time.Duration) { observe("sessions", n, d) },
		})
		if err != nil {
			return fmt.Errorf("opening the sessions of %s: %w", cfg.Data, err)
		}
		p.index, p.revocations, p.close = store, store, store.Close
	}
	return nil
}

// build makes the gate and its check endpoint.
func (p *gateParts) build(cfg Config, answered func(int, time.Duration)) (err error) {
	if !cfg.Gate.Present() {
		return nil
	}
	p.gate, err = sessions.NewGate(sessions.Config{Revocations: p.revocations, Fail: p.settings.Fail, MaxLag: p.settings.MaxLag})
	if err != nil {
		return cfg.Gate.Fault("%v", err)
	}
	if p.settings.Check == nil {
		return nil
	}
	c := *p.settings.Check
	c.Gate, c.Index, c.Observe, c.Decided = p.gate, p.index, answered, p.decisions.add
	if c.Cookie == "" {
		c.Index = nil
	}
	if c.Tokens != nil {
		tokens, servers := *c.Tokens, Issuer{Allow: p.settings.Allow, CA: within(filepath.Dir(cfg.Gate.File()), p.settings.CA)}
		if tokens.HTTP, err = httpClient(cfg, servers, nil, nil); err != nil {
			return cfg.Gate.Fault("%v", err)
		}
		c.Tokens = &tokens
	}
	if p.check, err = check.New(c); err != nil {
		return cfg.Gate.At("check").Fault("%v", err)
	}
	return nil
}

// dryGate builds the parts in memory, to be looked at alone; it opens nothing.
func dryGate(cfg Config) (*gateParts, error) {
	if !cfg.gated() {
		return nil, nil
	}
	_, g, err := readGate(cfg)
	if err != nil {
		return nil, err
	}
	memory, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		return nil, err
	}
	marks, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		return nil, err
	}
	p := &gateParts{index: memory, revocations: marks, settings: g}
	return p, p.build(cfg, nil)
}

// gateHookSettings are those of the hook that closes the gate, as gate.Config has them.
type gateHookSettings struct {
	Ignore    []string
	AnyIssuer bool
}

// hook returns the hook that closes the gate.
func (p *gateParts) hook(s gateHookSettings) (*gate.Hook, error) {
	return gate.New(gate.Config{Revocations: p.revocations, Index: p.index, Ignore: s.Ignore, AnyIssuer: s.AnyIssuer})
}

// CheckListen returns where the check endpoint is to be served; "" if there is none.
func (d *Daemon) CheckListen() string {
	if d.gate == nil || d.gate.check == nil {
		return ""
	}
	return d.gate.settings.Check.Listen
}

// CheckHandler serves the check endpoint and, for those who show its token, the
// logins that the index is told of.
func (d *Daemon) CheckHandler() http.Handler {
	logins, token := http.NewServeMux(), d.gate.settings.Check.Token
	if token != "" {
		d.gate.logins(logins, func(h http.Handler) http.Handler { return shown(check.TokenHeader, token, h) })
	}
	return checkRoutes(d.gate.check, logins)
}

// checkRoutes hands requests on by their path as it came: what the logins do not have is
// the check's. An http.ServeMux alone would answer a path with "//" or ".." in it with a
// redirect, and the path is that of somebody else's request.
func checkRoutes(check http.Handler, logins *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) == r.URL.Path {
			if _, pattern := logins.Handler(r); pattern != "" {
				logins.ServeHTTP(w, r)
				return
			}
		}
		check.ServeHTTP(w, r)
	})
}

// sameSection reports whether two sections say the same.
func sameSection(a, b settings.Node) bool { return a.String() == b.String() }
