package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
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
			r.Fail("settings", "", "correct it; tocsin serve --help, docs/reference/configuration.md", "tocsin serve does not start with these settings: %v", err)
			return nil
		}
		r.OK("settings", "", "tocsin serve takes these settings")
		issuer := cfg.Transmitter.Issuer
		c.loosened(r)
		certificate(r, c.front(), c.Data, []string{doctor.HostOf(issuer)}, c.AdminListen)
		c.secrets(r)
		doctor.Folder(r, c.Data, doctor.DiskOf)
		if c.RedisSettings.Set() {
			doctor.Redis(ctx, r, c.DB(quiet()), time.Now)
		}
		c.tokenServer(ctx, r)
		return c.running(ctx, r, cfg)
	})
}

// settings are what serve would open.
func (c doctorServeCmd) settings() (node.Config, error) {
	if err := c.checkAdmin(); err != nil {
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
	if err == nil && cfg.Redis != nil {
		err = c.DB(quiet()).Check()
	}
	return cfg, err
}

// loosened looks at what of the settings is less than safe.
func (c doctorServeCmd) loosened(r *doctor.Report) {
	before := len(r.Findings)
	for _, one := range []struct {
		given         bool
		flag, meaning string
	}{
		{c.InsecureLoopback, "insecure-loopback", "plain http is served, and pushes go to loopback: for trials alone"},
		{c.TokenAnyType, "token-any-type", "tokens of the issuer pass that were made for something else than access"},
		{c.RedisVolatile, "redis-volatile", "what was acknowledged is lost when the server of Redis restarts"},
		{slices.ContainsFunc(c.TrustedProxy, func(p netip.Prefix) bool { return p.Bits() == 0 }), "trusted-proxy", "X-Forwarded-For is believed of anybody: limits and logs tell addresses that callers invent"},
	} {
		if one.given {
			r.Warn("insecure."+one.flag, "", "take --"+one.flag+" out, where accounts are real", "%s", one.meaning)
		}
	}
	if c.Conformance {
		r.Fail("insecure.conformance", "", "take --conformance out", "made-up events are sent to whoever asks for a verification: real sessions of real users end")
	}
	for setting, ranges := range map[string][]string{"push-allow": c.PushAllow, "token-allow": c.TokenAllow} {
		if list, err := prefixes("--"+setting, ranges); err == nil {
			doctor.Allowed(r, setting, "", list)
		}
	}
	if len(r.Findings) == before {
		r.OK("insecure", "", "no setting is looser than it need be")
	}
}

// certificate looks at what a listener is served with: files, or a certificate of our own
// authority in dir.
func certificate(r *doctor.Report, f front, dir string, names []string, admin string) {
	if host, _, err := net.SplitHostPort(admin); err == nil && doctor.Public(host) {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	switch {
	case f.insecureLoopback:
	case f.cert != "":
		doctor.Certificate(r, f.cert, f.key, names, time.Now())
	case slices.ContainsFunc(names, doctor.Public):
		r.Warn("tls.own", "", "tls-cert and tls-key of an authority that others trust, or give them "+filepath.Join(dir, localca.CertFile), "certificates are signed by an authority of this folder, which nobody else knows: others refuse them")
	default:
		r.OK("tls.own", "", "on loopback, with certificates of an authority of this folder")
	}
}

// secrets looks at the files with secrets, and at what is encrypted with them.
func (c doctorServeCmd) secrets(r *doctor.Report) {
	files := c.KeySettings.Files()
	for _, name := range []string{files.Passphrase, files.Key} {
		if name != "" {
			doctor.SecretFile(r, "keys.secret", name)
		}
	}
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
func (c doctorServeCmd) running(ctx context.Context, r *doctor.Report, cfg node.Config) error {
	api := adminapi.Server(ctx, c.Data)
	if api == nil {
		r.OK("running", c.Data, "no server runs on it: keys, streams and receivers were not asked for")
		return nil
	}
	doctor.Published(ctx, r, cfg.Transmitter.Issuer, c.ownPolicy(), time.Now)
	err := doctor.Transmitter{
		API: api, Data: c.Data, Push: cfg.Transmitter.Push, KnownPush: true, RotateEvery: cfg.Rotation.Every, Now: time.Now,
	}.Look(ctx, r)
	return errors.Join(err, api.Close())
}

// ownPolicy lets us come to our own issuer, wherever it is.
func (c doctorServeCmd) ownPolicy() guard.Policy {
	p := guard.Policy{InsecureLoopback: c.InsecureLoopback, Allow: guard.PrivateRanges()}
	if c.TLSCert == "" && !c.InsecureLoopback {
		if pool, err := caPool(filepath.Join(c.Data, localca.CertFile)); err == nil {
			p.RootCAs = pool
		} else {
			p.RootCAs, _ = x509.SystemCertPool()
		}
	}
	return p
}
