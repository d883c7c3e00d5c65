package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/conformance/receivers"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// pushTime bounds one push to the receiver under test.
const pushTime = 15 * time.Second

type conformanceReceiverCmd struct {
	Listen           string `help:"Address to serve the suite's transmitters on (default: ${default})." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	IssuerURL        string `help:"Where the receiver reaches that address, without a path; default: the address itself." placeholder:"URL"`
	TLSCert          string `help:"Certificate chain of the address, PEM; without it a CA in the data folder signs one." placeholder:"FILE" name:"tls-cert"`
	TLSKey           string `help:"Key of the certificate, PEM." placeholder:"FILE" name:"tls-key"`
	InsecureLoopback bool   `help:"Serve plain http on loopback, and push to it."`
	Data             string `help:"Folder for the CA, and for what receivers write that are started (default: ${default})." default:"./tocsin-conformance" placeholder:"DIR"`

	Delivery string `help:"Methods of delivery to test: push, poll or both (default: ${default})." default:"both" enum:"push,poll,both"`
	Audience string `help:"The aud of the receiver's streams (default: ${default})." default:"https://receiver.example" placeholder:"AUD"`
	PushCA   string `help:"CA of the push endpoint, PEM, beside the system's and our own." name:"push-ca" placeholder:"FILE"`

	ReceiverCmd   string        `help:"Shell command that starts the receiver and stays; $SSF_ISSUER, $SSF_TOKEN and others say for whom (docs/conformance.md)." placeholder:"CMD" xor:"receiver"`
	Arrive        time.Duration `help:"How long a receiver may take to come that the suite does not start (default: ${default})." default:"5m"`
	Endpoint      string        `help:"Push to this URL, of a receiver that does not use the stream API." placeholder:"URL" xor:"receiver"`
	Authorization string        `help:"Authorization header for that URL; better given as TOCSIN_AUTHORIZATION." placeholder:"VALUE"`

	ObserveCmd string `help:"Shell command that prints how often the receiver acted upon the SET $SSF_JTI." placeholder:"CMD" xor:"observe"`
	ObserveURL string `help:"URL that tells the same, asked with ?jti=." placeholder:"URL" xor:"observe"`

	Wait  time.Duration `help:"How long an answer or a request may take that is due (default: ${default})." default:"10s"`
	Quiet time.Duration `help:"How long nothing must come where nothing may (default: ${default})." default:"2s"`

	reportFlags
}

// Help shows an example.
func (conformanceReceiverCmd) Help() string {
	return "Example:\n  tocsin conformance receiver --receiver-cmd ./start-receiver.sh --html report.html\n" +
		"  tocsin conformance receiver --listen :8443 --issuer-url https://suite.example:8443 --tls-cert c.pem --tls-key k.pem --delivery poll\n" +
		"  TOCSIN_AUTHORIZATION='Bearer …' tocsin conformance receiver --delivery push --endpoint https://app.example/events\n\n" +
		"The suite serves transmitters and prints what a receiver needs to use them, or starts it. Exit code 1 says that a MUST is not kept."
}

// Run runs the suite and prints what it found.
func (c conformanceReceiverCmd) Run(ctx context.Context, std streamsIO) error {
	options, err := c.options(std)
	if err != nil {
		return err
	}
	cfg, err := c.config(ctx, std)
	if err != nil {
		return err
	}
	report, err := receivers.Run(ctx, cfg, options)
	if err != nil {
		return usage("%v", err)
	}
	return c.write(std, report)
}

func (c conformanceReceiverCmd) config(ctx context.Context, std streamsIO) (receivers.Config, error) {
	if c.Endpoint != "" && c.Delivery == "poll" {
		return receivers.Config{}, usage("--endpoint is for push: leave out --delivery poll")
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return receivers.Config{}, err
	}
	f := front{listen: c.Listen, cert: c.TLSCert, key: c.TLSKey, insecureLoopback: c.InsecureLoopback}
	listener, err := f.open(ctx)
	if err != nil {
		return receivers.Config{}, err
	}
	cfg := receivers.Config{
		Listener: listener, Base: c.IssuerURL, Push: c.Delivery != "poll", Poll: c.Delivery != "push" && c.Endpoint == "",
		Audience: c.Audience, Endpoint: c.Endpoint, Authorization: c.Authorization, Wait: c.Wait, Quiet: c.Quiet, Arrive: c.Arrive,
	}
	if cfg.Base == "" {
		cfg.Base = f.url(listener.Addr())
	}
	ca, err := c.secure(ctx, std, f, &cfg)
	if err != nil {
		return cfg, errors.Join(err, listener.Close())
	}
	if err := c.pusher(&cfg, ca); err != nil {
		return cfg, errors.Join(err, listener.Close())
	}
	if c.ReceiverCmd != "" {
		started, err := newStarted(c, cfg.Base, ca, std.err)
		if err != nil {
			return cfg, errors.Join(err, listener.Close())
		}
		cfg.Start = started.start
		c.observe(&cfg, started.folder)
		return cfg, nil
	}
	cfg.Invite = func(i receivers.Invitation) { invite(std.err, i, ca) }
	c.observe(&cfg, func(string) string { return "" })
	return cfg, nil
}

// secure makes the listener one of https, unless it is plain, and opens another that
// nobody can trust. ca is the file of our own CA; "": none.
func (c conformanceReceiverCmd) secure(ctx context.Context, std streamsIO, f front, cfg *receivers.Config) (ca string, err error) {
	hosts := certificateHosts(cfg.Listener.Addr(), cfg.Base, "")
	settings, ca, err := f.tls(c.Data, hosts, newLogger(std.err, ""))
	if err != nil || settings == nil {
		return "", err
	}
	at, err := url.Parse(cfg.Base)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return "", usage("--issuer-url %s is no https URL", cfg.Base)
	}
	host, _, err := net.SplitHostPort(cfg.Listener.Addr().String())
	if err != nil {
		return "", err
	}
	strange, err := os.MkdirTemp(c.Data, "stranger-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(strange) // its authority is nobody's
	pair, _, err := localca.Certificate(strange, hosts, nil)
	if err != nil {
		return "", err
	}
	other, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(other.Addr().String())
	if err != nil {
		return "", errors.Join(err, other.Close())
	}
	cfg.Listener = tls.NewListener(cfg.Listener, settings)
	cfg.Untrusted = tls.NewListener(other, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	cfg.UntrustedBase = "https://" + net.JoinHostPort(at.Hostname(), port)
	if ca != "" {
		ca, err = filepath.Abs(ca)
	}
	return ca, err
}

// pusher makes the client of pushes. The address of the push endpoint comes from the
// receiver under test, which whoever types the command runs.
func (c conformanceReceiverCmd) pusher(cfg *receivers.Config, ca string) error {
	policy := guard.Policy{InsecureLoopback: c.InsecureLoopback, Allow: guard.PrivateRanges(), Timeout: pushTime}
	for _, file := range []string{ca, c.PushCA} {
		if file == "" {
			continue
		}
		if policy.RootCAs == nil {
			pool, err := caPool(file)
			if err != nil {
				return err
			}
			policy.RootCAs = pool
			continue
		}
		if err := addCA(policy.RootCAs, file); err != nil {
			return err
		}
	}
	cfg.HTTP = guard.NewClient(policy)
	if c.Endpoint == "" {
		return nil
	}
	if _, err := guard.CheckURL(c.Endpoint, policy); err != nil {
		return usage("--endpoint %s: %v", c.Endpoint, err)
	}
	return nil
}

// addCA adds the certificates of a file to a pool.
func addCA(pool *x509.CertPool, file string) error {
	raw, err := readFile(file, maxCAFile)
	if err != nil {
		return fmt.Errorf("reading certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(raw) {
		return fmt.Errorf("%s holds no PEM certificate", file)
	}
	return nil
}
