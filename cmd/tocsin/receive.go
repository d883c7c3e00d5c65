package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/telemetry"
)

// receiveCmd is the receiver as a daemon, and what is asked of it. `tocsin receive`
// alone, with flags or a file, runs it.
type receiveCmd struct {
	Daemon     receiveRunCmd        `cmd:"" name:"run" default:"withargs" help:"Run the receiver (what tocsin receive does by itself)."`
	Health     receiveHealthCmd     `cmd:"" help:"Show how a running receiver is."`
	Reload     receiveReloadCmd     `cmd:"" help:"Make a running receiver read its configuration again, as SIGHUP does."`
	Explain    receiveExplainCmd    `cmd:"" help:"Say what would be done about a SET, and why."`
	Check      receiveCheckCmd      `cmd:"" help:"Check a configuration, and run the tests of its rules."`
	Journal    receiveJournalCmd    `cmd:"" help:"Show what hooks did: which signal ended which sessions."`
	Audit      receiveAuditCmd      `cmd:"" help:"List what operators did: who, from where, what, what became of it."`
	Deadletter receiveDeadletterCmd `cmd:"" help:"List, retry and drop events whose hooks gave up."`
}

// Help shows an example.
func (receiveCmd) Help() string {
	return "Example:\n  tocsin receive --config receive.yaml\nIts flags: tocsin receive run --help"
}

// isConfigError reports whether err says that a receiver's configuration is wrong.
func isConfigError(err error) bool {
	_, ok := errors.AsType[*receive.ConfigError](err)
	return ok
}

// receiveFlags say what is received, from whom: by a file, or by flags for one issuer.
type receiveFlags struct {
	Listen           string         `help:"Address of the push endpoints (default: 127.0.0.1:8444)." placeholder:"HOST:PORT"`
	PublicURL        string         `help:"How transmitters reach it; default: the address." placeholder:"URL" name:"public-url"`
	TLSCert          string         `help:"Certificate chain, PEM; without it a CA in the data folder signs one." placeholder:"FILE" name:"tls-cert"`
	TLSKey           string         `help:"Key of the certificate, PEM." placeholder:"FILE" name:"tls-key"`
	Data             string         `help:"The receiver's own folder (default: ./tocsin-receive)." placeholder:"DIR"`
	AdminListen      string         `help:"Address of health and metrics; \"off\" for none (default: 127.0.0.1:0)." placeholder:"HOST:PORT"`
	InsecureLoopback bool           `help:"Serve plain http on loopback, and take issuers there. For trials and tests alone."`
	DryRun           bool           `help:"Report what would be done about events, and do nothing."`
	ShutdownTimeout  *time.Duration `help:"Deadline of a graceful end (default: 20s)."`
	Script           string         `help:"Run the steps of this file, print a report, and end: 0 if all passed." placeholder:"FILE"`
	LogLevel         string         `help:"debug, info, warn or error (default: info)." enum:",debug,info,warn,error" default:""`

	config.RedisSettings
	config.ACMESettings
	config.EdgeSettings
	telemetry.TraceSettings

	Issuer       string         `help:"Issuer URL of one transmitter, in place of a file." placeholder:"URL" group:"One issuer without a file:"`
	Audience     []string       `help:"The aud that means this receiver." placeholder:"AUD" group:"One issuer without a file:"`
	Delivery     string         `help:"push or poll (default: push)." enum:",push,poll" default:"" group:"One issuer without a file:"`
	Token        string         `help:"Access token; better given as TOCSIN_TOKEN." placeholder:"TOKEN" group:"One issuer without a file:"`
	TokenFile    string         `help:"File with the access token." placeholder:"FILE" group:"One issuer without a file:"`
	ClientID     string         `help:"client_id, for a token of the token endpoint." group:"One issuer without a file:"`
	ClientSecret string         `help:"client_secret; better given as TOCSIN_CLIENT_SECRET." group:"One issuer without a file:"`
	ClientCert   string         `help:"Certificate shown to the transmitter, PEM (mutual TLS); a client without a secret is known by it." placeholder:"FILE" group:"One issuer without a file:"`
	ClientKey    string         `help:"Key of the certificate, PEM." placeholder:"FILE" group:"One issuer without a file:"`
	TokenURL     string         `help:"Token endpoint; default: from the metadata of the authorization server." placeholder:"URL" group:"One issuer without a file:"`
	MetadataURL  string         `help:"Where the transmitter's metadata is, if not at its well-known place." placeholder:"URL" group:"One issuer without a file:"`
	JWKSURL      string         `help:"Where its keys are: there is no metadata and no stream API." placeholder:"URL" name:"jwks-url" group:"One issuer without a file:"`
	KeyFile      string         `help:"Its keys, a JWK set: there is no metadata and no stream API." placeholder:"FILE" onlygiven:"" group:"One issuer without a file:"`
	Profile      string         `help:"Older forms that are read, by the name of who sends them." placeholder:"NAME" group:"One issuer without a file:"`
	Events       []string       `help:"Event types to ask for; default: all of CAEP and RISC." placeholder:"TYPE" group:"One issuer without a file:"`
	CA           string         `help:"CA of the transmitter, PEM, beside the system's." name:"ca" placeholder:"FILE" group:"One issuer without a file:"`
	Allow        []netip.Prefix `help:"Address ranges of the transmitter's servers that are not public." placeholder:"CIDR" group:"One issuer without a file:"`
}

// soloName is what the one issuer of flags is called.
const soloName = "issuer"

// load reads the configuration: the file that --config names with the flags over it,
// or the flags alone.
func (f receiveFlags) load(std streamsIO) (receive.Config, error) {
	if std.config != "" {
		if f.Issuer != "" {
			return receive.Config{}, usage("--issuer is for a receiver without a file; with --config name it in the file")
		}
		if alone := f.alone(); alone != nil {
			return receive.Config{}, usage("%s: for a receiver without a file; with --config say it in the file", strings.Join(alone, ", "))
		}
		cfg, err := receive.Read(std.config, std.env, f.over)
		if err != nil {
			return receive.Config{}, err
		}
		return cfg, nil
	}
	if f.Issuer == "" {
		return receive.Config{}, usage("name a file with --config, or a transmitter with --issuer")
	}
	var cfg receive.Config
	f.over(&cfg)
	cfg.Issuers = []receive.Issuer{f.solo()}
	return cfg.Complete(receive.Flags)
}

// alone names the flags about the one issuer that were given; those about credentials
// and its CA are left out, whose environment twins serve other commands, too.
func (f receiveFlags) alone() (names []string) {
	for _, one := range []struct {
		name  string
		given bool
	}{
		{"--audience", f.Audience != nil},
		{"--delivery", f.Delivery != ""},
		{"--metadata-url", f.MetadataURL != ""},
		{"--jwks-url", f.JWKSURL != ""},
		{"--key-file", f.KeyFile != ""},
		{"--profile", f.Profile != ""},
		{"--events", f.Events != nil},
		{"--allow", f.Allow != nil},
	} {
		if one.given {
			names = append(names, one.name)
		}
	}
	return names
}

// over puts the flags that were given over cfg.
func (f receiveFlags) over(cfg *receive.Config) {
	for _, one := range []struct {
		to    *string
		value string
	}{
		{&cfg.Listen, f.Listen},
		{&cfg.PublicURL, f.PublicURL},
		{&cfg.TLSCert, f.TLSCert},
		{&cfg.TLSKey, f.TLSKey},
		{&cfg.Data, f.Data},
		{&cfg.AdminListen, f.AdminListen},
		{&cfg.LogLevel, f.LogLevel},
	} {
		if one.value != "" {
			*one.to = one.value
		}
	}
	f.RedisSettings.Over(&cfg.RedisSettings)
	f.ACMESettings.Over(&cfg.ACMESettings)
	f.EdgeSettings.Over(&cfg.EdgeSettings)
	f.TraceSettings.Over(&cfg.TraceSettings)
	cfg.InsecureLoopback = cfg.InsecureLoopback || f.InsecureLoopback
	cfg.DryRun = cfg.DryRun || f.DryRun
	if f.ShutdownTimeout != nil {
		cfg.ShutdownTimeout = *f.ShutdownTimeout
	}
}

// solo returns the one issuer of the flags.
func (f receiveFlags) solo() receive.Issuer {
	is := receive.Issuer{
		Name: soloName, Issuer: f.Issuer, Audience: f.Audience, MetadataURL: f.MetadataURL, JWKSURL: f.JWKSURL,
		KeyFile: f.KeyFile, Profile: f.Profile, Events: f.Events, CA: f.CA, Allow: f.Allow,
		Delivery: receive.Delivery{Method: f.Delivery},
	}
	switch {
	case f.ClientID != "":
		is.Credentials.Client = receive.Client{ID: f.ClientID, Secret: f.ClientSecret, TokenURL: f.TokenURL}
	case f.TokenFile != "":
		is.Credentials.TokenFile = f.TokenFile
	default:
		is.Credentials.Token = f.Token
	}
	is.Credentials.CertificateFile, is.Credentials.CertificateKeyFile = f.ClientCert, f.ClientKey
	return is
}

type receiveRunCmd struct{ receiveFlags }

// Help shows an example.
func (receiveRunCmd) Help() string {
	return "Examples:\n  tocsin receive --config receive.yaml\n" +
		"  TOCSIN_TOKEN=… tocsin receive --issuer https://idp.example --audience https://app.example --delivery poll\n" +
		"  TOCSIN_REDIS=rediss://… tocsin receive --config receive.yaml\n" +
		"  tocsin receive --script steps.yaml\n" +
		"It takes SETs by push and poll, keeps them, and runs hooks behind. SIGHUP makes it read its file again.\n" +
		"With a Redis several of them share the work."
}

// Run receives until ctx ends.
func (c receiveRunCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Script != "" {
		return c.script(ctx, std)
	}
	cfg, err := c.load(std)
	if err != nil {
		return err
	}
	logger := newLogger(std.err, cfg.LogLevel)
	slog.SetDefault(logger)
	f := front{listen: cfg.Listen, cert: cfg.TLSCert, key: cfg.TLSKey, insecureLoopback: cfg.InsecureLoopback}
	if err := checkReceiveAdmin(cfg); err != nil {
		return err
	}
	listener, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer listener.Close() // the server closes it
	if cfg.PublicURL == "" {
		if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			return usage("--listen %s is every address of this machine: name with --public-url the one that transmitters use", cfg.Listen)
		}
	}
	traces, endTraces, err := telemetry.Open(ctx, cfg.TraceSettings, "receive", release(), caPool, logger)
	if err != nil {
		return usage("%v", err)
	}
	defer endTraces()
	var kept *figures.Keeper
	daemon, err := receive.Open(ctx, cfg, receive.Options{
		Address: f.url(listener.Addr()), Node: nodeName(), Logger: logger, Traces: traces, Crash: crash,
		Figures: func(of string) (any, bool) { return kept.Document(of) },
	})
	if err != nil {
		return err
	}
	defer daemon.Close() // closed and checked below on the ordinary way
	kept = openFigures(cfg.Data, daemon.Gatherer(), figures.Receiver(), logger)
	certificates, err := openACME(cfg.ACMESettings, cfg.Data, nil, logger)
	if err != nil {
		return err
	}
	f.acme = certificates
	secure, ca, err := f.tls(cfg.Data, certificateHosts(listener.Addr(), cfg.PublicURL, cfg.AdminListen), logger)
	if err != nil {
		return err
	}
	d := newDoors(cfg.EdgeSettings, logger)
	if err := daemon.Collect(append(d.collectors(secure, certificates), processCollectors("receive", cfg.Data, daemon.Redis(), logger)...)...); err != nil {
		return err
	}
	reload := func(ctx context.Context) error {
		next, err := c.load(std)
		if err != nil {
			daemon.NoteReload(ctx, err)
			return err
		}
		return daemon.Reload(ctx, next)
	}
	adminTLS := secure
	if cfg.AdminToken == "" {
		adminTLS = nil // off loopback nobody would be asked who he is
	}
	var admin *adminServer
	provider, err := receiverProvider(cfg, daemon)
	if err != nil {
		return err
	}
	pages, err := console.ForReceiver(daemon, reload, f.url(listener.Addr()), cfg.AdminToken, provider, func() string { return consoleURL(cfg.ConsoleSettings, admin.url) }, logger)
	if err != nil {
		return err
	}
	if err := daemon.Collect(pages); err != nil {
		return err
	}
	admin, err = openAdmin(ctx, adminConfig{
		data: cfg.Data, listen: cfg.AdminListen, secure: adminTLS, lacking: "certificate or no token",
		onSocket: pages.SocketHandler(daemon.SocketHandler(reload)), onTCP: pages.Beside(daemon.AdminHandler(cfg.AdminToken)),
	}, d)
	if err != nil {
		return err
	}
	for _, one := range admin.sites {
		one.server.RegisterOnShutdown(pages.EndLive)
	}
	sites := append([]site{d.site("push", listener, daemon.Handler(), secure)}, admin.sites...)
	if gate := daemon.CheckListen(); gate != "" {
		door, err := checkListener(ctx, gate)
		if err != nil {
			return err
		}
		var onDoor *tls.Config
		// By the address that is really listened on: a name may lead anywhere.
		if door.Addr().Network() == "tcp" && !loopback(door.Addr().String()) {
			if secure == nil {
				return errors.Join(usage("gate.check.listen %s is not loopback, and with --insecure-loopback there is no certificate to serve it with", gate), door.Close())
			}
			onDoor = secure
		}
		sites = append(sites, d.site("gate", door, daemon.CheckHandler(), onDoor))
	}
	challenged, err := acmeSite(ctx, cfg.ACMEHTTP, certificates, d)
	if err != nil {
		return err
	}
	sites = append(sites, challenged...)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	fmt.Fprintf(std.out, "tocsin: ready %s %s\n", f.url(listener.Addr()), admin.address)
	if ca != "" {
		fmt.Fprintf(std.err, "Certificates of this receiver are signed by %s\n", ca)
	}
	return errors.Join(
		runSites(ctx, certified{consoled{figured{reloading{daemon, hangups, reload}, kept}, pages, nil}, certificates}, sites, cfg.ShutdownTimeout, logger),
		os.Remove(admin.socket), daemon.Close(),
	)
}

// nodeName is what this process is called among those that share a Redis: its machine's
// name, or "" where the system has none.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// checkListener opens the listener of the check endpoint: an address, or the path of a
// Unix socket, which takes the place of one that is there and that nobody answers on.
func checkListener(ctx context.Context, address string) (net.Listener, error) {
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
		if conn, err := (&net.Dialer{}).DialContext(ctx, network, address); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("the check endpoint on %s (gate.check.listen): somebody serves there", address)
		}
		if info, err := os.Stat(address); err == nil && info.Mode().Type() == os.ModeSocket {
			_ = os.Remove(address)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("the check endpoint on %s (gate.check.listen): %w", address, err)
	}
	return l, nil
}

// reloading is the daemon with a reload at each hang-up.
type reloading struct {
	*receive.Daemon
	hangups <-chan os.Signal
	reload  func(context.Context) error
}

// Run runs the daemon until ctx ends.
func (r reloading) Run(ctx context.Context) error {
	watching := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(watching)
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.hangups:
				_ = r.ReloadBySignal(ctx, r.reload) // it is logged, and told by health
			}
		}
	}()
	err := r.Daemon.Run(ctx)
	cancel()
	<-watching
	return err
}

// checkReceiveAdmin refuses what would send health and tokens over a network in the
// clear, or to anybody.
func checkReceiveAdmin(cfg receive.Config) error {
	switch {
	case cfg.AdminListen == "off" || loopback(cfg.AdminListen):
		return nil
	case cfg.InsecureLoopback:
		return usage("--admin-listen %s is not loopback, and with --insecure-loopback there is no certificate to serve it with; leave one of them out", cfg.AdminListen)
	case cfg.AdminToken == "":
		return usage("--admin-listen %s is not loopback: name with admin_token_file in the configuration the token that it wants", cfg.AdminListen)
	}
	return nil
}
