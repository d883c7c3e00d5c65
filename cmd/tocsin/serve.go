package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/telemetry"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// minKeyMemory is the least of --key-memory.
const minKeyMemory = time.Hour

// serveCmd runs the transmitter.
type serveCmd struct {
	Listen      string `help:"Address to serve on (default: ${default})." default:"127.0.0.1:8443" placeholder:"HOST:PORT"`
	Issuer      string `help:"Issuer URL; default: https:// and the address served on." placeholder:"URL"`
	Data        string `help:"Data folder (default: ${default})." default:"./tocsin-data" placeholder:"DIR"`
	TLSCert     string `help:"Certificate chain, PEM; without it a CA in the data folder signs one." placeholder:"FILE" name:"tls-cert" and:"tls"`
	TLSKey      string `help:"Key of the certificate, PEM." placeholder:"FILE" name:"tls-key" and:"tls"`
	AdminListen string `help:"Address of health, metrics and the admin API, https if it is not loopback; \"off\" for none (default: ${default})." default:"127.0.0.1:0" placeholder:"HOST:PORT"`

	PushCA    string   `help:"CAs of push receivers, PEM, beside the system's." placeholder:"FILE" name:"push-ca"`
	PushAllow []string `help:"Address ranges that pushes may reach although they are not public." placeholder:"CIDR"`

	DefaultSubjects         string        `help:"Subjects of a new stream: ALL or NONE." default:"ALL" enum:"ALL,NONE"`
	MinVerificationInterval time.Duration `help:"Least time between two verification requests." default:"0s"`
	InactivityTimeout       time.Duration `help:"Pause streams without activity for so long; 0: never." default:"0s"`
	OneStream               bool          `help:"Answer 409 to a second stream of an application."`
	MaxStreams              int           `help:"Streams of an application." default:"100"`
	MaxSubjects             int           `help:"Subjects of a stream." default:"1000000"`
	MaxQueue                int           `help:"SETs on one queue, dead letters counted; a stream that reaches it is paused." default:"1000000"`
	Algorithm               string        `help:"Algorithm of new signing keys: RS256, PS256, ES256 or EdDSA; default: the current key's, at first RS256." default:"" enum:",RS256,PS256,ES256,EdDSA"`
	TokenLifetime           time.Duration `help:"Life of an access token, at most 60m." default:"60m"`

	Rules []string `help:"Rules file that says what becomes of vendors' records, laid over the built-in ones; repeatable." placeholder:"FILE"`

	PushWindow   int             `help:"SETs in flight per stream." default:"32"`
	PushTimeout  time.Duration   `help:"Time for one push." default:"15s"`
	PushSchedule []time.Duration `help:"Pauses after the first, second, … failure in a row; the last one goes on." default:"5s,30s,2m,10m,30m,1h,2h,4h,6h"`
	PushGiveUp   time.Duration   `help:"Pause a stream without one success for so long." default:"120h"`
	PushRefusals int             `help:"Pause a stream after so many refused SETs in a row." default:"20"`
	LongPoll     time.Duration   `help:"How long a poll waits for SETs." default:"30s"`
	Redeliver    time.Duration   `help:"Poll an unacknowledged SET again after so long." default:"60s"`
	Expiry       time.Duration   `help:"Undelivered SETs become dead letters after so long." default:"168h"`

	SearchTime  time.Duration `help:"Time for one search." default:"2s"`
	AnnotateFor time.Duration `help:"How long after its recording an event may be annotated." default:"744h"`
	KeyMemory   time.Duration `help:"How long a source's id of an event is known again, so that an event sent twice is kept once; at least 1h, the same at all nodes." default:"720h"`
	Retention   time.Duration `help:"Erase events of this age; 0: never. What waits for delivery or is on legal hold stays." default:"0s"`

	FormerMetadata bool `help:"Serve the metadata under the drafts' paths, too: sse-configuration and risc-configuration."`

	PublicLog bool     `help:"Let anybody read the log's checkpoint and tiles: hashes, and how many records there are."`
	Witness   []string `help:"Verifier key of a witness whose cosignatures of the log are taken." placeholder:"KEY"`

	config.ACMESettings
	config.EdgeSettings
	telemetry.TraceSettings
	tokenFlags
	config.ConsoleSettings
	mtlsFlags
	signalFlags
	RateClient config.Limit `help:"Requests a second of one client or source, \"off\" for any number (default: 10000)." placeholder:"N" group:"Limits:"`

	config.KeySettings
	config.RotationSettings
	config.SignerSettings

	config.RedisSettings
	TakeBack bool `help:"Go on with a data folder that was moved to Redis (tocsin migrate), or is being moved there, as it was: what happened in Redis since is not in it." group:"Redis:"`

	InsecureLoopback bool          `help:"Serve plain http on loopback, and push to loopback. For trials and tests alone."`
	Conformance      bool          `help:"For conformance suites alone: verification at any rate, and one event of each type for a stream 10 s after it acknowledged a verification that it asked for."`
	ShutdownTimeout  time.Duration `help:"Deadline of a graceful end." default:"20s"`
	LogLevel         string        `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// Help shows an example.
func (serveCmd) Help() string {
	return "Example:\n  tocsin serve --data ./tocsin-data --listen 127.0.0.1:8443\n" +
		"It makes its signing key, and a CA of its own for https, where there are none.\n\n" +
		"Several machines:\n  tocsin serve --redis rediss://redis.example:6379 --issuer https://ssf.example.com --listen :8443"
}

// Run serves until ctx ends.
func (s serveCmd) Run(ctx context.Context, std streamsIO) error {
	logger := newLogger(std.err, s.LogLevel)
	slog.SetDefault(logger)
	if err := errors.Join(s.checkAdmin(), s.checkACME()); err != nil {
		return err
	}
	listener, err := s.front().open(ctx)
	if err != nil {
		return err
	}
	defer listener.Close() // the server closes it
	cfg, err := s.config(listener.Addr(), logger)
	if err != nil {
		return err
	}
	var kept *figures.Keeper
	cfg.Transmitter.Figures = func(of string) (any, bool) { return kept.Document(of) }
	traces, endTraces, err := telemetry.Open(ctx, s.TraceSettings, "serve", release(), caPool, logger)
	if err != nil {
		return usage("%v", err)
	}
	defer endTraces()
	cfg.Transmitter.Traces = traces
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer n.Close() // closed and checked below on the ordinary way
	certificates, err := openACME(s.ACMESettings, s.Data, n.Vault, logger)
	if err != nil {
		return err
	}
	secure, hint, err := s.tls(listener.Addr(), n.Vault, certificates, logger)
	if err != nil {
		return err
	}
	s.ask(secure)
	kept = openFigures(s.Data, n.Transmitter.Gatherer(), figures.Transmitter(), logger)
	d := newDoors(s.EdgeSettings, logger)
	d.clientCert = s.ClientCertHeader
	collectors := append(d.collectors(secure, certificates), processCollectors("serve", s.Data, n.Redis, logger)...)
	if n.Signer != nil {
		collectors = append(collectors, n.Signer.Metrics())
	}
	if err := n.Transmitter.Collect(collectors...); err != nil {
		return err
	}
	var admin *adminServer
	provider, err := s.provider(cfg.Transmitter.Tokens)
	if err != nil {
		return err
	}
	signals, err := s.openSignals(ctx, cfg.Transmitter.Tokens, logger)
	if err != nil {
		return err
	}
	defer signals.Close() // closed and checked below on the ordinary way
	if signals != nil {
		if provider.Signals, err = signals.signals(); err != nil {
			return err
		}
	}
	pages, err := console.ForTransmitter(n.Transmitter, cfg.Transmitter.Issuer, provider, func() string { return consoleURL(s.ConsoleSettings, admin.url) }, logger)
	if err != nil {
		return err
	}
	if err := n.Transmitter.Collect(pages); err != nil {
		return err
	}
	admin, err = openAdmin(ctx, adminConfig{
		data: s.Data, listen: s.AdminListen, secure: secure, lacking: "certificate",
		onSocket: pages.SocketHandler(n.Transmitter.SocketHandler()), onTCP: pages.Beside(n.Transmitter.AdminHandler()),
	}, d)
	if err != nil {
		return err
	}
	challenged, err := acmeSite(ctx, s.ACMEHTTP, certificates, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "tocsin: ready %s %s\n", cfg.Transmitter.Issuer, admin.address)
	s.welcome(std, cfg.Transmitter.Issuer, hint)
	sites := append([]site{d.site("public", listener, n.Transmitter.Handler(), secure)}, append(admin.sites, challenged...)...)
	for _, one := range admin.sites {
		one.server.RegisterOnShutdown(pages.EndLive)
	}
	return errors.Join(s.serve(ctx, certified{consoled{figured{n, kept}, pages, signals}, certificates}, sites, logger), os.Remove(admin.socket), signals.Close(), n.Close())
}

// serve runs all parts until ctx or one of them ends, and then ends them in
// order: refuse, drain, save.
func (s serveCmd) serve(ctx context.Context, p part, sites []site, logger *slog.Logger) error {
	return runSites(ctx, p, sites, s.ShutdownTimeout, logger)
}

// exerciseAfter lets the verification tests of the OpenID Foundation's suite pass, which
// takes every SET for a verification, before other events come.
const exerciseAfter = 10 * time.Second

func (s serveCmd) exercise() time.Duration {
	if !s.Conformance {
		return 0
	}
	return exerciseAfter
}

func (s serveCmd) config(addr net.Addr, logger *slog.Logger) (node.Config, error) {
	scheme := "https"
	if s.InsecureLoopback {
		scheme = "http"
	}
	if s.Issuer == "" {
		if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			return node.Config{}, usage("--listen %s is every address of this machine: name with --issuer the one that others use", s.Listen)
		}
		s.Issuer = scheme + "://" + addr.String()
	}
	policy := guard.Policy{InsecureLoopback: s.InsecureLoopback}
	var err error
	if policy.Allow, err = prefixes("--push-allow", s.PushAllow); err != nil {
		return node.Config{}, err
	}
	if s.PushCA != "" {
		pool, err := caPool(s.PushCA)
		if err != nil {
			return node.Config{}, err
		}
		policy.RootCAs = pool
	}
	if s.Conformance {
		logger.Warn("--conformance: made-up events are sent to streams that ask for a verification; never use it where accounts are real")
		s.MinVerificationInterval = 0
	}
	if s.KeyMemory < minKeyMemory {
		return node.Config{}, usage("--key-memory: got %v, want at least %v: sources send again what was not answered", s.KeyMemory, minKeyMemory)
	}
	if s.TakeBack && s.Set() {
		return node.Config{}, usage("--take-back goes on in the folder, without --redis")
	}
	tokens, err := s.tokenFlags.policy()
	if err != nil {
		return node.Config{}, err
	}
	tokenIssuer, err := s.tokenFlags.external()
	if err != nil {
		return node.Config{}, err
	}
	rules, err := readRules(s.Rules)
	if err != nil {
		return node.Config{}, err
	}
	secret, err := s.KeySettings.Secret(logger)
	if err != nil {
		return node.Config{}, err
	}
	signerPath, err := s.SignerPath()
	if err != nil {
		return node.Config{}, usage("%v", err)
	}
	cfg := node.Config{
		Dir: s.Data, Signer: signerPath, Redis: s.RedisSettings.Served(logger), TakeBack: s.TakeBack, Secret: secret, Rotation: s.rotation(), Algorithm: jose.Algorithm(s.Algorithm), MaxDepth: s.MaxQueue, KeyMemory: s.KeyMemory, Witnesses: s.Witness,
		Transmitter: transmitter.Config{
			Conformance: s.exercise(),
			Issuer:      s.Issuer, DefaultSubjects: streams.DefaultSubjects(s.DefaultSubjects),
			MinVerificationInterval: s.MinVerificationInterval, InactivityTimeout: s.InactivityTimeout,
			OneStream: s.OneStream, MaxStreams: s.MaxStreams, MaxSubjects: s.MaxSubjects, TokenLifetime: s.TokenLifetime,
			Push: policy, Tokens: tokens, TokenIssuer: tokenIssuer, InsecureLoopback: s.InsecureLoopback, PushWindow: s.PushWindow, PushTimeout: s.PushTimeout,
			PushSchedule: s.PushSchedule, PushGiveUp: s.PushGiveUp, PushRefusals: s.PushRefusals,
			Mapping: mapping.Config{Rules: rules}, LongPoll: s.LongPoll, Redeliver: s.Redeliver, Expiry: s.Expiry,
			RateClient: s.RateClient.Or(config.DefaultRateClient), RateAddress: s.RateAddress.Or(config.DefaultRateAddress),
			Retention: s.Retention, SearchTime: s.SearchTime, AnnotateFor: s.AnnotateFor, PublicLog: s.PublicLog, FormerMetadata: s.FormerMetadata,
			Logger: logger, Crash: crash,
		},
	}
	return cfg, s.mtls(&cfg.Transmitter, logger)
}

// rotation is the schedule of the signing keys.
func (s serveCmd) rotation() node.Rotation {
	return node.Rotation{Every: time.Duration(s.RotateEvery), Ahead: time.Duration(s.RotateAhead), Retire: time.Duration(s.RetireAfter)}
}

// tls returns how the public listener is served and, if its certificate is of our own
// CA, how a client trusts it.
func (s serveCmd) tls(addr net.Addr, v *vault.Vault, certificates *acmecert.Manager, logger *slog.Logger) (*tls.Config, string, error) {
	sealed, err := localca.Seal(s.Data, v)
	if err != nil {
		return nil, "", err
	}
	if sealed {
		logger.Warn("the CA's key was stored in clear and is encrypted now; copies made before have it in clear")
	}
	f := s.front()
	f.vault, f.acme = v, certificates
	secure, ca, err := f.tls(s.Data, certificateHosts(addr, s.Issuer, s.AdminListen), logger)
	if ca != "" {
		ca = "--cacert " + ca + " "
	}
	return secure, ca, err
}

// front is where the transmitter is served.
func (s serveCmd) front() front {
	return front{listen: s.Listen, cert: s.TLSCert, key: s.TLSKey, insecureLoopback: s.InsecureLoopback}
}

func (s serveCmd) welcome(std streamsIO, issuer, trust string) {
	fmt.Fprintf(std.err, "Metadata:   curl %s%s\n", trust, metadataURL(issuer))
	fmt.Fprintf(std.err, "Console:    tocsin console --data %s\n", s.Data)
	fmt.Fprintf(std.err, "Next:       tocsin client add --data %s --id my-app --audience https://app.example --scope \"ssf.manage ssf.read\"\n", s.Data)
}
