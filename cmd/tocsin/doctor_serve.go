package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

type doctorServeCmd struct {
	serveCmd
	doctorFlags
}

// Help shows an example.
func (doctorServeCmd) Help() string {
	return "Example:\n  tocsin doctor serve --issuer https://ssf.example.com --tls-cert cert.pem --tls-key key.pem\n" +
		"It takes the flags, environment and file of tocsin serve, and listens nowhere.\n" + doctorHelp
}

// Run looks at the settings and what they name, and at the server that runs with them.
func (c doctorServeCmd) Run(ctx context.Context, std streamsIO) error {
	return c.look(ctx, std, func(ctx context.Context, r *doctor.Report) error {
		cfg, err := c.settings()
		if err != nil {
			doctor.Settings(r, "serve", std.config, err)
			return nil
		}
		doctor.Settings(r, "serve", std.config, nil)
		c.loose().Look(r)
		doctor.Front{
			Cert: c.TLSCert, Key: c.TLSKey, ACME: c.ACMEDomain, Plain: c.InsecureLoopback, Data: c.Data, Names: []string{doctor.HostOf(cfg.Transmitter.Issuer)}, Admin: c.AdminListen,
		}.Look(r, time.Now())
		c.secrets(r)
		var held []string
		if cfg.Signer != "" {
			held = doctor.Signer(ctx, r, cfg.Signer)
		}
		doctor.Folder(r, c.Data, doctor.DiskOf)
		if c.RedisSettings.Set() {
			doctor.Redis(ctx, r, c.DB(quiet()), time.Now)
		}
		c.tokenServer(ctx, r)
		return c.running(ctx, r, cfg, held)
	})
}

// settings are what serve would open.
func (c doctorServeCmd) settings() (node.Config, error) {
	if err := errors.Join(c.checkAdmin(), c.checkACME()); err != nil {
		return node.Config{}, err
	}
	addr, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return node.Config{}, usage("--listen %s: %v", c.Listen, err)
	}
	if c.InsecureLoopback && (c.TLSCert != "" || !addr.IP.IsLoopback()) {
		return node.Config{}, usage("--insecure-loopback serves plain http on loopback alone, and without a certificate")
	}
	cfg, err := c.config(addr, quiet())
	if err != nil {
		return cfg, err
	}
	errs := []error{cfg.Check()}
	if cfg.Redis != nil {
		errs = append(errs, c.DB(quiet()).Check())
	}
	_, err = c.provider(cfg.Transmitter.Tokens)
	_, _, signals := c.signals(cfg.Transmitter.Tokens)
	errs = append(errs, err, signals, c.TraceSettings.Check(caPool))
	return cfg, errors.Join(errs...)
}

// loose is what of the settings is less than safe.
func (c doctorServeCmd) loose() doctor.Loose {
	l := doctor.Loose{
		InsecureLoopback: c.InsecureLoopback, TokenAnyType: c.TokenAnyType, RedisVolatile: c.RedisVolatile, Conformance: c.Conformance, TrustedProxy: c.TrustedProxy,
	}
	l.PushAllow, _ = prefixes("--push-allow", c.PushAllow) // the settings were taken, so they can be read
	l.TokenAllow, _ = prefixes("--token-allow", c.TokenAllow)
	return l
}

// secrets looks at the files with secrets, and at what is encrypted with them.
func (c doctorServeCmd) secrets(r *doctor.Report) {
	files := c.KeySettings.Files()
	doctor.Secrets(r, files.Passphrase, files.Key)
	doctor.Sealed(r, c.Data, files.Named(), true)
}

// tokenServer tries the authorization server whose tokens are taken.
func (c doctorServeCmd) tokenServer(ctx context.Context, r *doctor.Report) {
	if c.TokenIssuer == "" {
		return
	}
	policy, err := c.tokenFlags.policy()
	if err != nil {
		return // the settings have told
	}
	policy.InsecureLoopback = c.InsecureLoopback
	doctor.TokenIssuer(ctx, r, c.TokenIssuer, policy, time.Now)
}

// running asks the server that runs on the folder, and comes to it as others do.
func (c doctorServeCmd) running(ctx context.Context, r *doctor.Report, cfg node.Config, held []string) error {
	api := adminapi.Server(ctx, c.Data)
	if api == nil {
		doctor.NotRunning(r, c.Data, "server", "keys, streams and receivers")
		return nil
	}
	doctor.Published(ctx, r, cfg.Transmitter.Issuer, c.ownPolicy(), time.Now)
	err := doctor.Transmitter{
		API: api, Data: c.Data, Push: cfg.Transmitter.Push, KnownPush: true, RotateEvery: cfg.Rotation.Every, Held: held, Now: time.Now,
	}.Look(ctx, r)
	return errors.Join(err, api.Close())
}

// ownPolicy lets us come to our own issuer, wherever it is.
func (c doctorServeCmd) ownPolicy() guard.Policy {
	p := guard.Policy{InsecureLoopback: c.InsecureLoopback, Allow: guard.PrivateRanges()}
	if c.ACME() {
		p.RootCAs, _ = acmeRoots(c.ACMESettings) // an internal server often is of the authority that it signs for
		return p
	}
	if c.TLSCert == "" && !c.InsecureLoopback {
		if pool, err := caPool(filepath.Join(c.Data, localca.CertFile)); err == nil {
			p.RootCAs = pool
		} else {
			p.RootCAs, _ = x509.SystemCertPool()
		}
	}
	return p
}
