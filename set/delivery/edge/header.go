package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hstsLife is how long a browser shall come by https alone: a year.
const hstsLife = "max-age=31536000"

// apiPolicy lets a browser that is shown an answer load nothing for it and show it in
// no other page. A page of ours has a policy of its own.
const apiPolicy = "default-src 'none'; frame-ancestors 'none'"

// header writes the headers of every answer. A handler may write others over them: what
// may be cached, and a page's policy.
func header(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", apiPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil && !local(r.Host) {
		h.Set("Strict-Transport-Security", hstsLife)
	}
}

// local reports whether host is of this machine: there a browser that is told to use
// https alone would no longer reach what else runs on it.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}
