package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// times bound in time what a client may take for itself. Requests that may last
// longer, polls that wait and backups, lift those of reading and writing themselves.
type times struct {
	header time.Duration // of a TLS handshake, and of the head of a request
	read   time.Duration // of a whole request
	write  time.Duration // of an answer: a client that reads nothing is cut
	idle   time.Duration // between two requests
}

func usualTimes() times {
	return times{header: 10 * time.Second, read: 30 * time.Second, write: 60 * time.Second, idle: 2 * time.Minute}
}

// Bounds of the servers in size.
const (
	maxHeaderBytes = 32 << 10
	maxStreams     = 250 // requests at once on one connection of HTTP/2
)

// Times in which a connection of HTTP/2 must show that somebody is there.
const (
	pingAfter   = 30 * time.Second
	pingTime    = 15 * time.Second
	writeByteIn = 30 * time.Second
)

func newServer(h http.Handler, t times, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: t.header, ReadTimeout: t.read, WriteTimeout: t.write, IdleTimeout: t.idle,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTime, WriteByteTimeout: writeByteIn,
		},
	}
}

// doors are the listeners of a command. Every one of them is made here, so that all
// have the same bounds.
type doors struct {
	settings config.EdgeSettings
	times    times
	logger   *slog.Logger
	refused  *prometheus.CounterVec // connections, by listener and bound

	clientCert bool // trusted proxies tell of clients' certificates
}

func newDoors(settings config.EdgeSettings, logger *slog.Logger) *doors {
	return &doors{
		settings: settings, times: usualTimes(), logger: logger,
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_connections_refused_total", Help: "Connections that were closed at once because there were too many, by listener and bound.",
		}, []string{"listener", "bound"}),
	}
}

// collectors are the metrics of the doors and of their certificate, if there is one, which
// an ACME server gives if certificates is not nil.
func (d *doors) collectors(secure *tls.Config, certificates *acmecert.Manager) []prometheus.Collector {
	all := []prometheus.Collector{d.refused}
	switch {
	case certificates != nil:
		all = append(all, certificates.Metrics(), certCollector{certificates.First})
	case secure != nil:
		all = append(all, collectorOf(secure))
	}
	return all
}

// site returns h served on l, by https if secure is not nil. name is that of the
// listener in logs and metrics.
func (d *doors) site(name string, l net.Listener, h http.Handler, secure *tls.Config) site {
	for _, bound := range []string{edge.RefusedTotal, edge.RefusedAddress} {
		d.refused.WithLabelValues(name, bound)
	}
	all, perAddress := d.settings.Conns()
	l = edge.Bound(l, edge.Bounds{
		Conns: all, ConnsPerAddress: perAddress, Trusted: d.settings.TrustedProxy, Listener: name, Logger: d.logger,
		Refused: func(why string) { d.refused.WithLabelValues(name, why).Inc() },
	})
	server := newServer(edge.Handler(h, edge.Config{
		Listener: name, Trusted: d.settings.TrustedProxy, ClientCert: d.clientCert, Quiet: []string{"/healthz", "/readyz", "/metrics"}, Logger: d.logger,
	}), d.times, d.logger)
	server.ConnContext = edge.ConnContext // who asks over a Unix socket
	if secure != nil {
		server.TLSConfig = secure.Clone()
	}
	return site{server, l}
}
