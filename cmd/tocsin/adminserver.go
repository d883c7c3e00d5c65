package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// adminServer serves operators: on the Unix socket, and by token on TCP.
type adminServer struct {
	address string // of the TCP listener, or of the socket
	socket  string
	sites   []site
}

// checkAdmin refuses what would send admin tokens over a network in the clear.
func (s serveCmd) checkAdmin() error {
	if s.AdminListen == "off" || loopback(s.AdminListen) || !s.InsecureLoopback {
		return nil
	}
	return usage("--admin-listen %s is not loopback, and with --insecure-loopback there is no certificate to serve it with; leave one of them out", s.AdminListen)
}

// admin opens the listeners of the admin server; we hold the folder's lock.
// Off loopback it is served with the certificate of the public server, secure.
func (s serveCmd) admin(ctx context.Context, t *transmitter.Transmitter, secure *tls.Config, logger *slog.Logger) (*adminServer, error) {
	a := &adminServer{socket: filepath.Join(s.Data, adminapi.SocketFile)}
	socket, err := adminapi.Listen(ctx, s.Data)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	a.sites = append(a.sites, site{newServer(t.SocketHandler(), logger), socket})
	a.address = a.socket
	if s.AdminListen == "off" {
		return a, nil
	}
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.AdminListen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the admin listener on %s (--admin-listen): %w", s.AdminListen, err), socket.Close())
	}
	server := newServer(t.AdminHandler(), logger)
	// By the address that is really listened on: a name may lead anywhere.
	if !loopback(tcp.Addr().String()) {
		if secure == nil {
			return nil, errors.Join(usage("--admin-listen %s is not loopback, and there is no certificate to serve it with", s.AdminListen), tcp.Close(), socket.Close())
		}
		server.TLSConfig = secure.Clone()
	}
	a.sites = append(a.sites, site{server, tcp})
	a.address = tcp.Addr().String()
	return a, nil
}
