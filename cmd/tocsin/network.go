package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"

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

// listenPrivately opens a Unix socket that only this user can connect to: it
// is made in a folder that nobody else can enter and then moved.
func listenPrivately(ctx context.Context, path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".socket-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an empty folder left behind harms nobody
	made := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", made)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	if err := os.Chmod(made, 0o600); err != nil {
		return nil, err
	}
	return l, os.Rename(made, path)
}

// certificateHosts are the names a certificate of our own is good for.
func certificateHosts(addr net.Addr, issuer string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	add := func(host string) {
		ip, err := netip.ParseAddr(host)
		if host != "" && !slices.Contains(hosts, host) && (err != nil || !ip.IsUnspecified()) {
			hosts = append(hosts, host)
		}
	}
	if host, _, err := net.SplitHostPort(addr.String()); err == nil {
		add(host)
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
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}))
}
