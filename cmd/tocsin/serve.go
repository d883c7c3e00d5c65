package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// serveCmd runs the transmitter.
type serveCmd struct {
	Listen      string `help:"Address to serve on." default:"127.0.0.1:8443" placeholder:"HOST:PORT"`
	Issuer      string `help:"Issuer URL; default: https:// and the address served on." placeholder:"URL"`
	Data        string `help:"Data folder." default:"./tocsin-data" placeholder:"DIR"`
	TLSCert     string `help:"Certificate chain, PEM; without it a CA in the data folder signs one." placeholder:"FILE" name:"tls-cert"`
	TLSKey      string `help:"Key of the certificate, PEM." placeholder:"FILE" name:"tls-key"`
	AdminListen string `help:"Address of health, metrics and the admin API; \"off\" for none." default:"127.0.0.1:0" placeholder:"HOST:PORT"`

	PushCA    string   `help:"CAs of push receivers, PEM, beside the system's." placeholder:"FILE" name:"push-ca"`
	PushAllow []string `help:"Address ranges that pushes may reach although they are not public." placeholder:"CIDR"`

	DefaultSubjects         string        `help:"Subjects of a new stream: ALL or NONE." default:"ALL" enum:"ALL,NONE"`
	MinVerificationInterval time.Duration `help:"Least time between two verification requests." default:"0s"`
	InactivityTimeout       time.Duration `help:"Pause streams without activity for so long; 0: never." default:"0s"`
	OneStream               bool          `help:"Answer 409 to a second stream of an application."`
	MaxStreams              int           `help:"Streams of an application." default:"100"`
	MaxSubjects             int           `help:"Subjects of a stream." default:"1000000"`
	MaxQueue                int           `help:"SETs on one queue; a stream that reaches it is paused." default:"1000000"`
	Algorithm               string        `help:"Algorithm of new signing keys: RS256, PS256, ES256 or EdDSA; default: the current key's, at first RS256." default:"" enum:",RS256,PS256,ES256,EdDSA"`
	TokenLifetime           time.Duration `help:"Life of an access token, at most 60m." default:"60m"`

	PushWindow   int             `help:"SETs in flight per stream." default:"32"`
	PushTimeout  time.Duration   `help:"Time for one push." default:"15s"`
	PushSchedule []time.Duration `help:"Pauses after the first, second, … failure in a row." placeholder:"5s,30s,…"`
	PushGiveUp   time.Duration   `help:"Pause a stream without one success for so long." default:"120h"`
	PushRefusals int             `help:"Pause a stream after so many refused SETs in a row." default:"20"`
	LongPoll     time.Duration   `help:"How long a poll waits for SETs." default:"30s"`
	Redeliver    time.Duration   `help:"Poll an unacknowledged SET again after so long." default:"60s"`
	Expiry       time.Duration   `help:"Undelivered SETs become dead letters after so long." default:"168h"`

	InsecureLoopback bool          `help:"Serve plain http on loopback, and push to loopback. For trials and tests alone."`
	Conformance      bool          `help:"Settings that conformance suites expect: verification at any rate."`
	ShutdownTimeout  time.Duration `help:"Deadline of a graceful end." default:"20s"`
	LogLevel         string        `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// Help shows an example.
func (serveCmd) Help() string {
	return "Example:\n  tocsin serve --data ./tocsin-data --listen 127.0.0.1:8443\n" +
		"It makes its signing key, and a CA of its own for https, where there are none."
}

// Run serves until ctx ends.
func (s serveCmd) Run(ctx context.Context, std streamsIO) error {
	logger := newLogger(std.err, s.LogLevel)
	slog.SetDefault(logger)
	if s.InsecureLoopback && !loopback(s.Listen) {
		return usage("--insecure-loopback serves plain http on loopback alone, and --listen %s is not; leave one of them out", s.Listen)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.Listen, err)
	}
	defer listener.Close() //nolint:errcheck // the server closes it
	cfg, err := s.config(listener.Addr(), logger)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer n.Close() //nolint:errcheck // closed and checked below on the ordinary way
	server, hint, err := s.server(listener.Addr(), n.Transmitter, logger)
	if err != nil {
		return err
	}
	admin, err := s.admin(ctx, n.Transmitter, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "tocsin: ready %s %s\n", cfg.Transmitter.Issuer, admin.address)
	s.welcome(std, cfg.Transmitter.Issuer, hint)
	return errors.Join(s.serve(ctx, n.Transmitter, server, listener, admin), n.Close())
}

// serve runs all parts and ends them in order: refuse, drain, save.
func (s serveCmd) serve(ctx context.Context, t *transmitter.Transmitter, server *http.Server, l net.Listener, admin *adminServer) error {
	running, stopRun := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRun()
	runDone := make(chan error, 1)
	go func() { runDone <- t.Run(running) }()
	served := make(chan error, 1)
	go func() { served <- serveOn(server, l) }()
	admin.start()

	var failed error
	select {
	case <-ctx.Done():
		slog.Info("shutting down")
	case failed = <-served:
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ShutdownTimeout)
	defer cancel()
	t.Refuse()
	errs := []error{failed, server.Shutdown(deadline)}
	stopRun()
	select {
	case err := <-runDone:
		errs = append(errs, err)
	case <-deadline.Done():
		errs = append(errs, errors.New("deliveries did not end in time; they are repeated at the next start"))
	}
	return errors.Join(append(errs, admin.shutdown(deadline))...)
}

func serveOn(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s serveCmd) config(addr net.Addr, logger *slog.Logger) (node.Config, error) {
	scheme := "https"
	if s.InsecureLoopback {
		scheme = "http"
	}
	if s.Issuer == "" {
		s.Issuer = scheme + "://" + addr.String()
	}
	policy := guard.Policy{InsecureLoopback: s.InsecureLoopback}
	for _, cidr := range s.PushAllow {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return node.Config{}, usage("--push-allow %s is not an address range such as 10.0.0.0/8", cidr)
		}
		policy.Allow = append(policy.Allow, prefix)
	}
	if s.PushCA != "" {
		pool, err := caPool(s.PushCA)
		if err != nil {
			return node.Config{}, err
		}
		policy.RootCAs = pool
	}
	if s.Conformance {
		s.MinVerificationInterval = 0
	}
	return node.Config{
		Dir: s.Data, Algorithm: jose.Algorithm(s.Algorithm), MaxDepth: s.MaxQueue,
		Transmitter: transmitter.Config{
			Issuer: s.Issuer, DefaultSubjects: streams.DefaultSubjects(s.DefaultSubjects),
			MinVerificationInterval: s.MinVerificationInterval, InactivityTimeout: s.InactivityTimeout,
			OneStream: s.OneStream, MaxStreams: s.MaxStreams, MaxSubjects: s.MaxSubjects, TokenLifetime: s.TokenLifetime,
			Push: policy, InsecureLoopback: s.InsecureLoopback, PushWindow: s.PushWindow, PushTimeout: s.PushTimeout,
			PushSchedule: s.PushSchedule, PushGiveUp: s.PushGiveUp, PushRefusals: s.PushRefusals,
			LongPoll: s.LongPoll, Redeliver: s.Redeliver, Expiry: s.Expiry, Logger: logger, Crash: crash,
		},
	}, nil
}

// Limits of the servers; a poll's own wait is within none of them.
const (
	readHeaderTime = 10 * time.Second
	readTime       = 30 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTime, ReadTimeout: readTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// server returns the public server and, if its certificate is of our own CA,
// how a client trusts it.
func (s serveCmd) server(addr net.Addr, t *transmitter.Transmitter, logger *slog.Logger) (*http.Server, string, error) {
	server := newServer(t.Handler(), logger)
	if s.InsecureLoopback {
		return server, "", nil
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TLSCert != "" || s.TLSKey != "" {
		pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		if err != nil {
			return nil, "", fmt.Errorf("reading the certificate: %w", err)
		}
		server.TLSConfig.Certificates = []tls.Certificate{pair}
		return server, "", nil
	}
	cert, ca, err := localca.Certificate(s.Data, certificateHosts(addr, s.Issuer))
	if err != nil {
		return nil, "", err
	}
	server.TLSConfig.Certificates = []tls.Certificate{cert}
	return server, "--cacert " + ca + " ", nil
}

func (s serveCmd) welcome(std streamsIO, issuer, trust string) {
	fmt.Fprintf(std.err, "Metadata:   curl %s%s\n", trust, metadataURL(issuer))
	fmt.Fprintf(std.err, "Next:       tocsin client add --data %s --id my-app --audience https://app.example --scope \"ssf.manage ssf.read\"\n", s.Data)
}

func caPool(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

// adminServer serves operators: on the Unix socket, and by token on TCP.
type adminServer struct {
	address string // of the TCP listener, or of the socket
	socket  string
	parts   []adminPart
	done    chan error
}

type adminPart struct {
	server   *http.Server
	listener net.Listener
}

func (s serveCmd) admin(ctx context.Context, t *transmitter.Transmitter, logger *slog.Logger) (*adminServer, error) {
	a := &adminServer{socket: filepath.Join(s.Data, adminapi.SocketFile)}
	// We hold the folder's lock: a socket that is there is a dead server's.
	if err := os.Remove(a.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	socket, err := listenPrivately(ctx, a.socket)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	a.parts = append(a.parts, adminPart{newServer(t.SocketHandler(), logger), socket})
	a.address = a.socket
	if s.AdminListen != "off" && s.AdminListen != "" {
		if !loopback(s.AdminListen) {
			logger.Warn("the admin listener is reachable from other machines and speaks plain http; put it behind TLS", "address", s.AdminListen)
		}
		tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.AdminListen)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the admin listener: %w", err), socket.Close())
		}
		a.parts = append(a.parts, adminPart{newServer(t.AdminHandler(), logger), tcp})
		a.address = tcp.Addr().String()
	}
	a.done = make(chan error, len(a.parts))
	return a, nil
}

func (a *adminServer) start() {
	for _, p := range a.parts {
		go func() { a.done <- serveOn(p.server, p.listener) }()
	}
}

func (a *adminServer) shutdown(ctx context.Context) error {
	var errs []error
	for _, p := range a.parts {
		errs = append(errs, p.server.Shutdown(ctx))
	}
	for range a.parts {
		errs = append(errs, <-a.done)
	}
	return errors.Join(errs...)
}
