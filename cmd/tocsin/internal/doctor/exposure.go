package doctor

import (
	"net"
	"net/netip"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/profile"
)

// wideBits is the length of a prefix that opens so much that it guards nothing.
const (
	wideBits4 = 7
	wideBits6 = 6
)

// Allowed looks at address ranges that may be called although they are not public.
func Allowed(r *Report, setting, of string, ranges []netip.Prefix) {
	for _, p := range ranges {
		least := wideBits4
		if p.Addr().Is6() && !p.Addr().Is4In6() {
			least = wideBits6
		}
		if p.Bits() <= least {
			r.Fail("insecure."+setting, of, "name the ranges of your own servers alone", "%s is nearly everything: who names an address can have our own network called", p)
		}
	}
}

// Public reports whether a host is one that others than this machine come by.
func Public(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(host)
	return host != "" && host != "localhost" && (err != nil || !ip.IsLoopback())
}

// HostOf is the host of a URL without its port.
func HostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Loosened looks at what of a receiver's configuration is less than safe.
func Loosened(r *Report, cfg receive.Config) {
	before := r.Count(OK) - len(r.Findings)
	if cfg.InsecureLoopback {
		r.Warn("insecure.loopback", "", "take insecure_loopback out, for anything but trials", "plain http is served on loopback, and issuers are taken there")
	}
	proxies(r, cfg.TrustedProxy)
	for i := range cfg.Issuers {
		is := &cfg.Issuers[i]
		Allowed(r, "allow", is.Name, is.Allow)
		for _, name := range is.Tolerances {
			r.Warn("insecure.tolerance", is.Name, "take it out if the sender does without by now; a profile names what is needed (docs/tolerances.md)", "the check that %s lets pass is not made", name)
		}
		if p, err := profile.Lookup(is.Profile); err == nil {
			r.OK("profile", is.Name, "read as %s sends", p.Title)
		}
	}
	var gate struct {
		Fail string
	}
	if err := cfg.Gate.Only("fail").Decode(&gate); err == nil && gate.Fail == "open" {
		r.Warn("insecure.gate", "", "gate: {fail: closed}, where that is more than users can bear", "while the store of sessions is away, ended sessions are let through")
	}
	var tokens struct {
		TrustUnverifiedJWT bool `yaml:"trust_unverified_jwt"`
	}
	if err := cfg.Gate.At("check").At("tokens").Only("trust_unverified_jwt").Decode(&tokens); err == nil && tokens.TrustUnverifiedJWT {
		r.Warn("insecure.tokens", "", "gate.check.tokens.issuers, unless nobody but a gateway that verified the very token can reach the endpoint", "bearer tokens are taken without their signature")
	}
	if r.Count(OK)-len(r.Findings) == before {
		r.OK("insecure", "", "no setting is looser than it need be")
	}
}
