package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/transmitters"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

type conformanceCmd struct {
	Transmitter conformanceTransmitterCmd `cmd:"" help:"See what of the specifications a transmitter keeps."`
	Receiver    conformanceReceiverCmd    `cmd:"" help:"See what of the specifications a receiver keeps, by transmitters that do not."`
}

// reportFlags say what of a suite is run, and where its report goes.
type reportFlags struct {
	Profile string        `help:"What is tested: ssf, caep-interop, risc or all (default: ${default})." default:"ssf" enum:"ssf,caep-interop,risc,all"`
	Only    []string      `help:"Decide these requirements alone." placeholder:"ID"`
	Timeout time.Duration `help:"Time for the whole run (default: ${default})." default:"15m"`
	JSON    bool          `help:"Print the report as JSON; progress goes to standard error." name:"json"`
	JUnit   string        `help:"Write the report as JUnit XML, for CI." name:"junit" placeholder:"FILE"`
	HTML    string        `help:"Write the report as one HTML page." name:"html" placeholder:"FILE"`
}

// options returns what of the suite is run.
func (f reportFlags) options(std streamsIO) (conformance.Options, error) {
	profile, err := conformance.ProfileNamed(f.Profile)
	if err != nil {
		return conformance.Options{}, usage("--profile: %v", err)
	}
	out := std.out
	if f.JSON {
		out = std.err
	}
	return conformance.Options{Profile: profile, Only: f.Only, Timeout: f.Timeout, Progress: conformance.TextProgress(out)}, nil
}

// write writes the report wherever it is wanted. The error says that the peer does not
// conform, or that a file could not be written.
func (f reportFlags) write(std streamsIO, report *conformance.Report) error {
	var errs []error
	if f.JSON {
		errs = append(errs, printJSON(std.out, report))
	} else {
		errs = append(errs, report.WriteText(std.out))
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{f.JUnit, report.WriteJUnit}, {f.HTML, report.WriteHTML}} {
		if file.name != "" {
			errs = append(errs, writeReport(file.name, file.write))
		}
	}
	switch {
	case report.Interrupted:
		errs = append(errs, errors.New("the run was interrupted"))
	case !report.OK():
		errs = append(errs, fmt.Errorf("%s does not conform: %s", report.Peer, report.Summary))
	}
	return errors.Join(errs...)
}

func writeReport(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

type conformanceTransmitterCmd struct {
	Issuer      string `arg:"" help:"Issuer URL of the transmitter."`
	MetadataURL string `help:"Where its metadata is, if not where the specification says." placeholder:"URL"`

	Token        string `help:"Access token of a receiver; better given as TOCSIN_TOKEN." placeholder:"TOKEN"`
	ClientID     string `help:"client_id, for tokens of the token endpoint."`
	ClientSecret string `help:"client_secret; better given as TOCSIN_CLIENT_SECRET."`
	ClientCert   string `help:"Certificate shown to the transmitter, PEM (mutual TLS); a client without a secret is known by it." placeholder:"FILE"`
	ClientKey    string `help:"Key of the certificate, PEM." placeholder:"FILE"`
	TokenURL     string `help:"Token endpoint; default: from the transmitter's authorization server metadata." placeholder:"URL"`
	Scope        string `help:"Scopes to ask for." default:"ssf.read ssf.manage"`
	OtherToken   string `help:"Access token of another receiver, to see that the two are kept apart; better given as TOCSIN_OTHER_TOKEN." placeholder:"TOKEN"`

	CA               string `help:"CA of the transmitter, PEM, beside the system's." name:"ca" placeholder:"FILE"`
	InsecureLoopback bool   `help:"Allow plain http to loopback, and pushes to this suite by it."`
	AllowPrivate     bool   `help:"Allow a transmitter on a private address." default:"true" negatable:""`

	Delivery   string `help:"Methods of delivery to test: push, poll or both (default: ${default})." default:"both" enum:"push,poll,both"`
	Listen     string `help:"Address to take pushes on (default: ${default})." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	PublicURL  string `help:"Where the transmitter reaches that address; default: the address itself." placeholder:"URL"`
	ListenCert string `help:"Certificate chain of the address, PEM; without it something before it must speak https." placeholder:"FILE" and:"listen-tls"`
	ListenKey  string `help:"Key of the certificate, PEM." placeholder:"FILE" and:"listen-tls"`

	TriggerCmd           string `help:"Shell command that makes the transmitter tell of an event: $SSF_EVENT_TYPE, $SSF_SUBJECT and $SSF_EVENT_DATA say which." placeholder:"CMD" xor:"trigger"`
	TriggerURL           string `help:"URL that does so: it is sent {\"type\", \"subject\", \"data\"}, as POST /v1/events of Tocsin takes it." placeholder:"URL" xor:"trigger"`
	TriggerAuthorization string `help:"Authorization header for the URL; better given as TOCSIN_TRIGGER_AUTHORIZATION." placeholder:"VALUE"`

	Wait               time.Duration `help:"How long a SET may take (default: ${default})." default:"10s"`
	Quiet              time.Duration `help:"How long nothing must come where nothing may (default: ${default})." default:"2s"`
	DeleteStaleStreams bool          `help:"Delete the streams that the receiver has before the suite begins."`

	reportFlags
}

// Help shows an example.
func (conformanceTransmitterCmd) Help() string {
	return "Example:\n  TOCSIN_TOKEN=… tocsin conformance transmitter https://ssf.example --delivery poll --profile caep-interop --html report.html\n" +
		"  tocsin conformance transmitter https://ssf.example --client-id suite --client-secret … \\\n" +
		"    --listen :8080 --public-url https://tunnel.example --trigger-cmd ./make-event.sh --junit junit.xml\n\n" +
		"The suite makes streams of its own and deletes them; it touches no other unless told so. Exit code 1 says that a MUST is not kept."
}

// Run runs the suite and prints what it found.
func (c conformanceTransmitterCmd) Run(ctx context.Context, std streamsIO) error {
	options, err := c.options(std)
	if err != nil {
		return err
	}
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	report, err := transmitters.Run(ctx, cfg, options)
	if err != nil {
		return usage("%v", err)
	}
	return c.write(std, report)
}

// longPolls is how much longer than a SET may take an answer can be held back.
const longPolls = 30 * time.Second

func (c conformanceTransmitterCmd) config(ctx context.Context) (transmitters.Config, error) {
	policy := guard.Policy{InsecureLoopback: c.InsecureLoopback, Timeout: c.Wait + longPolls}
	if c.AllowPrivate {
		policy.Allow = guard.PrivateRanges() // the address comes from the one who types the command
	}
	if c.CA != "" {
		pool, err := caPool(c.CA)
		if err != nil {
			return transmitters.Config{}, err
		}
		policy.RootCAs = pool
	}
	if err := c.peer().certificate(&policy); err != nil {
		return transmitters.Config{}, err
	}
	if _, err := guard.CheckURL(c.Issuer, policy); err != nil {
		return transmitters.Config{}, usage("the issuer %s: %v", c.Issuer, err)
	}
	cfg := transmitters.Config{
		Issuer: c.Issuer, MetadataURL: c.MetadataURL, HTTP: guard.NewClient(policy),
		Push: c.Delivery != "poll", Poll: c.Delivery != "push",
		Wait: c.Wait, Quiet: c.Quiet, DeleteStale: c.DeleteStaleStreams, InsecureLoopback: c.InsecureLoopback,
	}
	if err := c.credentials(ctx, &cfg); err != nil {
		return cfg, err
	}
	c.trigger(&cfg)
	if cfg.Push {
		return cfg, c.listen(ctx, &cfg)
	}
	return cfg, nil
}

// peer is as whom the suite comes.
func (c conformanceTransmitterCmd) peer() peerFlags {
	return peerFlags{
		Issuer: c.Issuer, Token: c.Token, ClientID: c.ClientID, ClientSecret: c.ClientSecret,
		ClientCert: c.ClientCert, ClientKey: c.ClientKey, TokenURL: c.TokenURL, Scope: c.Scope,
	}
}

// credentials fills in where tokens come from.
func (c conformanceTransmitterCmd) credentials(ctx context.Context, cfg *transmitters.Config) error {
	as := c.peer()
	token, err := as.token(ctx, cfg.HTTP)
	if err != nil {
		return err
	}
	cfg.Token = token
	if c.Token == "" {
		cfg.Scoped = func(ctx context.Context, scopes string) (string, error) {
			narrow := as
			narrow.Scope = scopes
			token, err := narrow.token(ctx, cfg.HTTP)
			if err != nil {
				return "", err
			}
			return token(ctx)
		}
	}
	if c.OtherToken != "" {
		cfg.Other = func(context.Context) (string, error) { return c.OtherToken, nil }
	}
	return nil
}

// listen opens where pushes are taken.
func (c conformanceTransmitterCmd) listen(ctx context.Context, cfg *transmitters.Config) error {
	secure := c.ListenCert != ""
	if c.PublicURL == "" && !secure && !c.InsecureLoopback {
		return usage("pushes go to https: give --public-url (something before --listen that speaks https), or --listen-cert and --listen-key, or --delivery poll")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return usage("--listen: %v", err)
	}
	scheme := "http"
	if secure {
		scheme = "https"
		pair, err := tls.LoadX509KeyPair(c.ListenCert, c.ListenKey)
		if err != nil {
			return errors.Join(usage("--listen-cert, --listen-key: %v", err), listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	cfg.Listener, cfg.PublicURL = listener, c.PublicURL
	if cfg.PublicURL == "" {
		cfg.PublicURL = scheme + "://" + listener.Addr().String()
	}
	return nil
}
