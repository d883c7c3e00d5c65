package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// Main is main, for scripts that run the program as a process.
func Main() { main() }

// Run, Loopback and CertificateHosts are what their names say.
var (
	Run              = run
	Loopback         = loopback
	CertificateHosts = certificateHosts
)

// NewServer is a server of the command, as it is set up for everybody.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	return newServer(h, usualTimes(), logger)
}

// HastyDoor serves h on l as a listener of the command's is, but everything must be
// done in a fraction of the time: 1/part.
func HastyDoor(l net.Listener, h http.Handler, settings config.EdgeSettings, secure *tls.Config, part int, logger *slog.Logger) *http.Server {
	d := newDoors(settings, logger)
	for _, t := range []*time.Duration{&d.times.header, &d.times.read, &d.times.write, &d.times.idle} {
		*t /= time.Duration(part)
	}
	s := d.site("public", l, h, secure)
	go func() { _ = serveOn(s.server, s.listener) }() // ends with the server
	return s.server
}

// CertFiles returns what reads a certificate's files, and makes the next look at them
// due.
func CertFiles(cert, key string, logger *slog.Logger) (secure *tls.Config, look func(), err error) {
	var later atomic.Int64
	pair, err := certfile.Open(certfile.Config{
		Cert: cert, Key: key, Logger: logger, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
	})
	return tlsConfig(pair.Served), func() { later.Add(int64(certfile.Look)) }, err
}

// CertExpiry is what the metric of a certificate tells.
var CertExpiry = collectorOf

// SetVersion does what the linker does for a release.
func SetVersion(v string) { version = v }

// Leaves returns every command that does something, as its words.
func Leaves() ([]string, error) {
	settings, err := config.Load("", nil)
	if err != nil {
		return nil, err
	}
	parser, err := newParser(io.Discard, io.Discard, settings, func(int) {})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, leaf := range parser.Model.Leaves(true) {
		out = append(out, leaf.Path())
	}
	return out, nil
}

// Parse reads a command line and runs nothing.
func Parse(args []string) (*kong.Context, int) { return parse(args, nil, io.Discard, io.Discard) }

// Serve runs a transmitter and a site on l as the command serve does.
func Serve(ctx context.Context, t *transmitter.Transmitter, l net.Listener, h http.Handler, drain time.Duration) error {
	s := serveCmd{ShutdownTimeout: drain}
	return s.serve(ctx, t, []site{{&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, l}}, slog.New(slog.DiscardHandler))
}

// ServeConfig returns what `serve` with these flags opens, served on addr.
func ServeConfig(args []string, addr net.Addr) (node.Config, error) {
	var all cli
	parser, err := kong.New(&all, kong.Vars{"version": ""})
	if err != nil {
		return node.Config{}, err
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		return node.Config{}, err
	}
	return all.Serve.config(addr, slog.New(slog.DiscardHandler))
}

// NewRedisWords returns what the client of Redis speaks to, by another clock.
func NewRedisWords(now func() time.Time) *redisWords { return &redisWords{now: now} }

// ClientCAs reads the file of clients' authorities, and returns what returns them.
func ClientCAs(file string, logger *slog.Logger) (get func() *x509.CertPool, err error) {
	c := &clientCAs{file: file, logger: logger}
	return c.get, c.read()
}
