// Package gatehouse puts the gate of the daemon together: a store of revocations and
// sessions, the hook that feeds it, and the endpoints that proxies and applications ask.
package gatehouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/redissessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
)

// File is the store's file in the data folder.
const File = "sessions.db"

// Types of stores.
const (
	StoreSQLite = "sqlite"
	StoreRedis  = "redis"
	StoreMemory = "memory"
)

// Paths of the endpoints. What is below PathCheck is the check, too.
const (
	PathCheck    = "/check"
	PathSessions = "/sessions"
)

// shutdown is how long requests go on when the gate ends.
const shutdown = 5 * time.Second

// Config is the section gate of the daemon's file.
type Config struct {
	// Fail is what becomes of sessions while the state is not known, closed or open;
	// required (sessions.Config).
	Fail sessions.FailMode
	// MaxLag is how old the state of a Redis may be (sessions.Config).
	MaxLag time.Duration
	// Store is where revocations and sessions are kept.
	Store Store
	// Retention is how long revocations are kept, at least the longest life of a
	// session; Lifetime how long a session is whose end is not known; MaxMarks and
	// MaxSessions bound what is in memory. Zero: the defaults of package sessions.
	Retention, Lifetime   time.Duration
	MaxMarks, MaxSessions int

	// Listen is the address of the endpoints: host:port, or the path of a Unix socket;
	// empty: none. Beyond loopback it wants Token, TLSCert and TLSKey.
	Listen          string
	Token           string
	TLSCert, TLSKey string

	// Cookie, Tokens, Headers, Anonymous and ResponseHeaders are those of check.Config.
	Cookie          string
	Tokens          *check.Tokens
	Headers         *check.Headers
	Anonymous       bool
	ResponseHeaders bool
}

// Store says where a gate keeps what it knows.
type Store struct {
	// Type is sqlite, a file in the data folder; redis, for several daemons and
	// applications; or memory, which a restart forgets. Empty: sqlite.
	Type string
	// URL, Cluster and Prefix are those of redissessions.Config.
	URL     string
	Cluster bool
	Prefix  string
}

// Env is what a gate gets besides its settings.
type Env struct {
	// Dir is the data folder, which the caller has locked.
	Dir string
	// HTTP fetches keys for Tokens; nil: a guarded client for public addresses.
	HTTP *http.Client
	// Observe, if set, is told of each answer of the check.
	Observe func(status int, took time.Duration)
	Logger  *slog.Logger
}

// store is what all stores are.
type store interface {
	sessions.Lookup
	sessions.Revocations
}

// House is the gate of a daemon.
type House struct {
	cfg    Config
	log    *slog.Logger
	store  store
	gate   *sessions.Gate
	hook   *gate.Hook
	server *http.Server
	follow func(context.Context) error // of a store that others write to, or nil
	close  func() error
}

// Open opens the store of cfg and puts all together; it starts nothing. The error names
// everything that is wrong in cfg.
func Open(ctx context.Context, cfg Config, env Env) (_ *House, err error) {
	h := &House{cfg: cfg, log: env.Logger, close: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := h.open(ctx, env.Dir); err != nil {
		return nil, err
	}
	var errs []error
	h.gate, err = sessions.NewGate(sessions.Config{Revocations: h.store, Fail: cfg.Fail, MaxLag: cfg.MaxLag})
	errs = append(errs, err)
	h.hook, err = gate.New(gate.Config{Revocations: h.store, Index: h.store})
	errs = append(errs, err)
	errs = append(errs, h.serve(env))
	return h, errors.Join(errs...)
}

// open opens the store.
func (h *House) open(ctx context.Context, dir string) error {
	index := sessions.IndexConfig{Lifetime: h.cfg.Lifetime, MaxSessions: h.cfg.MaxSessions}
	revocations := sessions.RevocationsConfig{Retention: h.cfg.Retention, MaxMarks: h.cfg.MaxMarks}
	if h.cfg.Store.Type != StoreRedis && (h.cfg.Store.URL != "" || h.cfg.Store.Prefix != "" || h.cfg.Store.Cluster) {
		return errors.New("store: url, cluster and prefix are of the type redis alone")
	}
	switch h.cfg.Store.Type {
	case "", StoreSQLite:
		s, err := sqlitesessions.Open(ctx, sqlitesessions.Config{Path: filepath.Join(dir, File), Index: index, Revocations: revocations})
		if err != nil {
			return err
		}
		h.store, h.close = s, s.Close
	case StoreRedis:
		s, err := redissessions.New(redissessions.Config{
			URL: h.cfg.Store.URL, Cluster: h.cfg.Store.Cluster, Prefix: h.cfg.Store.Prefix,
			Index: index, Revocations: revocations, Logger: h.log,
		})
		if err != nil {
			return err
		}
		h.store, h.close, h.follow = s, s.Close, s.Run
	case StoreMemory:
		i, indexErr := sessions.NewMemory(index)
		r, revocationsErr := sessions.NewMemoryRevocations(revocations)
		if err := errors.Join(indexErr, revocationsErr); err != nil {
			return err
		}
		h.store = struct {
			*sessions.Memory
			*sessions.MemoryRevocations
		}{i, r}
	default:
		return fmt.Errorf("store: type is %q, want %s, %s or %s", h.cfg.Store.Type, StoreSQLite, StoreRedis, StoreMemory)
	}
	return nil
}

// serve builds the endpoints, if there is where to listen.
func (h *House) serve(env Env) error {
	c := h.cfg
	if c.Listen == "" {
		if c.Token != "" || c.Cookie != "" || c.Tokens != nil || c.Headers != nil || c.Anonymous || c.ResponseHeaders {
			return errors.New("listen is needed where cookie, tokens, headers, token, anonymous or response_headers is set")
		}
		return nil
	}
	var errs []error
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("tls_cert and tls_key belong together"))
	}
	if !loopback(c.Listen) && c.TLSCert == "" {
		errs = append(errs, fmt.Errorf("listen is %q: beyond loopback it wants tls_cert and tls_key", c.Listen))
	}
	checks := check.Config{
		Gate: h.gate, Listen: c.Listen, Token: c.Token, Cookie: c.Cookie, Headers: c.Headers, Anonymous: c.Anonymous,
		ResponseHeaders: c.ResponseHeaders, Observe: env.Observe,
	}
	if c.Cookie != "" {
		checks.Index = h.store
	}
	if c.Tokens != nil {
		tokens := *c.Tokens
		tokens.HTTP = env.HTTP
		checks.Tokens = &tokens
	}
	endpoint, err := check.New(checks)
	errs = append(errs, err)
	register, err := check.NewRegister(check.RegisterConfig{Index: h.store, Listen: c.Listen, Token: c.Token})
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(PathCheck, endpoint)
	mux.Handle(PathCheck+"/", endpoint)
	mux.Handle(PathSessions, register)
	h.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 128 << 10, // a token is in them
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// loopback reports whether addr is reached from this machine alone.
func loopback(addr string) bool {
	if strings.HasPrefix(addr, "/") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Hook closes the gate on what events say.
func (h *House) Hook() hooks.Hook { return h.hook }

// Index has the sessions that applications told of.
func (h *House) Index() sessions.Lookup { return h.store }

// Ready returns nil if what the gate knows is known as of now.
func (h *House) Ready() error { return h.gate.Ready() }

// Handler serves the endpoints; nil without an address.
func (h *House) Handler() http.Handler {
	if h.server == nil {
		return nil
	}
	return h.server.Handler
}

// Listen opens the address of the endpoints; nil without one.
func (h *House) Listen(ctx context.Context) (net.Listener, error) {
	if h.server == nil {
		return nil, nil
	}
	network := "tcp"
	if strings.HasPrefix(h.cfg.Listen, "/") {
		network = "unix"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, h.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("the gate's listener (gate.listen): %w", err)
	}
	if network == "tcp" && h.cfg.TLSCert == "" && !loopback(l.Addr().String()) { // a name may lead anywhere
		return nil, errors.Join(fmt.Errorf("gate.listen %q is not loopback", h.cfg.Listen), l.Close())
	}
	if h.cfg.TLSCert == "" {
		return l, nil
	}
	cert, err := tls.LoadX509KeyPair(h.cfg.TLSCert, h.cfg.TLSKey)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gate.tls_cert: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), nil
}

// Run follows the store and serves at l, which may be nil, until ctx ends; requests that
// run then may go on for a moment. An error is the end of a part by itself.
func (h *House) Run(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended, parts := make(chan error, 2), 0
	if h.follow != nil {
		parts++
		go func() { ended <- h.follow(ctx) }()
	}
	if l != nil {
		parts++
		go func() { ended <- h.server.Serve(l) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		parts--
	}
	cancel()
	if l != nil {
		soon, done := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
		defer done()
		_ = h.server.Shutdown(soon)
	}
	for range parts {
		if other := <-ended; err == nil && !errors.Is(other, http.ErrServerClosed) {
			err = other
		}
	}
	return err
}

// Close closes the store.
func (h *House) Close() error { return h.close() }
