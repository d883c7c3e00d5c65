package doctor

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// Settings notes whether a command, serve or receive, takes its settings; err: why not.
func Settings(r *Report, command, file string, err error) {
	if err != nil {
		r.Fail("settings", file, "correct it; tocsin "+command+" --help, docs/reference/configuration.md", "tocsin %s does not start with these settings: %v", command, err)
		return
	}
	r.OK("settings", file, "tocsin %s takes these settings", command)
}

// NotRunning notes that nobody runs on a folder, so that what is left out was not asked for.
func NotRunning(r *Report, dir, who, out string) {
	r.OK("running", dir, "no %s runs on it: %s were not asked for", who, out)
}

// Loose is what of the settings of serve is less than safe.
type Loose struct {
	InsecureLoopback, TokenAnyType, RedisVolatile, Conformance bool
	// TrustedProxy are the addresses whose X-Forwarded-For is believed.
	TrustedProxy []netip.Prefix
	// PushAllow and TokenAllow are addresses that may be called although they are not
	// public.
	PushAllow, TokenAllow []netip.Prefix
}

// Look notes what of it is.
func (l Loose) Look(r *Report) {
	before := len(r.Findings)
	for _, one := range []struct {
		given         bool
		flag, meaning string
	}{
		{l.InsecureLoopback, "insecure-loopback", "plain http is served, and pushes go to loopback: for trials alone"},
		{l.TokenAnyType, "token-any-type", "tokens of the issuer pass that were made for something else than access"},
		{l.RedisVolatile, "redis-volatile", "what was acknowledged is lost when the server of Redis restarts"},
	} {
		if one.given {
			r.Warn("insecure."+one.flag, "", "take --"+one.flag+" out, where accounts are real", "%s", one.meaning)
		}
	}
	proxies(r, l.TrustedProxy)
	if l.Conformance {
		r.Fail("insecure.conformance", "", "take --conformance out", "made-up events are sent to whoever asks for a verification: real sessions of real users end")
	}
	Allowed(r, "push-allow", "", l.PushAllow)
	Allowed(r, "token-allow", "", l.TokenAllow)
	if len(r.Findings) == before {
		r.OK("insecure", "", "no setting is looser than it need be")
	}
}

// proxies notes whether everybody is believed about addresses.
func proxies(r *Report, trusted []netip.Prefix) {
	if slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		r.Warn("insecure.trusted-proxy", "", "name your proxies alone", "X-Forwarded-For is believed of anybody: limits and logs tell addresses that callers invent")
	}
}

// Front is what a listener is served with.
type Front struct {
	Cert, Key string   // files; empty: a certificate of the authority in the data folder
	ACME      []string // names whose certificates an ACME server gives
	Plain     bool     // http
	Data      string
	Names     []string // hosts by which others come
	Admin     string   // address of the admin listener, on the same certificate; empty: none
}

// Look looks at the certificate.
func (f Front) Look(r *Report, now time.Time) {
	names := slices.Clone(f.Names)
	if host, _, err := net.SplitHostPort(f.Admin); err == nil && Public(host) {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	switch {
	case f.Plain:
	case len(f.ACME) > 0:
		acmeNames(r, f.Data, f.ACME, names, now)
	case f.Cert != "":
		Certificate(r, f.Cert, f.Key, names, now)
	case slices.ContainsFunc(names, Public):
		r.Warn("tls.own", "", "tls-cert and tls-key of an authority that others trust, or give them "+filepath.Join(f.Data, localca.CertFile), "certificates are signed by an authority of this folder, which nobody else knows: others refuse them")
	default:
		r.OK("tls.own", "", "on loopback, with certificates of an authority of this folder")
	}
}

// Rules builds the hooks and rules of a receiver, and runs their tests.
func Rules(r *Report, cfg receive.Config) {
	found, err := receive.Check(cfg)
	switch {
	case err != nil:
		r.Fail("rules", "", "correct it: tocsin receive check", "hooks or rules cannot be built: %v", err)
	case found.Failed() > 0:
		r.Fail("rules", "", "tocsin receive check tells what was expected", "%d of %d tests of rules failed", found.Failed(), len(found.Tests))
	default:
		r.OK("rules", "", "%d issuers, %d hooks, %d rules, %d tests of them", len(found.Issuers), len(found.Hooks), len(found.Rules), len(found.Tests))
	}
}

// printable makes one line of what others may have said: no control character of theirs
// reaches the terminal of whoever reads it.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return ' '
		}
		return c
	}, text)
}
