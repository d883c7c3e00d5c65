package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// loopback reports whether an address to listen on is of this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// maxCAFile bounds a file with certificates; the system's own bundles are
// smaller.
const maxCAFile = 4 << 20

// caPool returns the system's certificates and those of a PEM file.
func caPool(file string) (*x509.CertPool, error) {
	raw, err := readFile(file, maxCAFile)
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

// certificateHosts are the names a certificate of our own is good for.
func certificateHosts(addr net.Addr, issuer, admin string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	add := func(host string) {
		ip, err := netip.ParseAddr(host)
		if host != "" && !slices.Contains(hosts, host) && (err != nil || !ip.IsUnspecified()) {
			hosts = append(hosts, host)
		}
	}
	for _, address := range []string{addr.String(), admin} {
		if host, _, err := net.SplitHostPort(address); err == nil {
			add(host)
		}
	}
	if u, err := url.Parse(issuer); err == nil {
		add(u.Hostname())
	}
	if name, err := os.Hostname(); err == nil {
		add(name)
	}
	return hosts
}

func metadataURL(issuer string) string {
	u, err := wellknown.URL(issuer)
	if err != nil {
		return issuer
	}
	return u
}

func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // kong has checked it
	return slog.New(edge.LogHandler(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})))
}
