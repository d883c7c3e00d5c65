package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// adminServer serves operators: on the Unix socket, and by token on TCP.
type adminServer struct {
	address string // of the TCP listener, or of the socket
	socket  string
	url     string // of the TCP listener, for browsers; "": there is none
	sites   []site
}

// checkAdmin refuses what would send admin tokens over a network in the clear.
func (s serveCmd) checkAdmin() error {
	if s.AdminListen == "off" || loopback(s.AdminListen) || !s.InsecureLoopback {
		return nil
	}
	return usage("--admin-listen %s is not loopback, and with --insecure-loopback there is no certificate to serve it with; leave one of them out", s.AdminListen)
}

// adminConfig says what an admin server is, and where.
type adminConfig struct {
	data    string      // folder of the socket; its lock is held
	listen  string      // address of the TCP listener, "off" for none
	secure  *tls.Config // what it is served with off loopback; nil: not at all
	lacking string      // what there is none of then

	onSocket, onTCP http.Handler
}

// openAdmin opens the listeners of an admin server.
func openAdmin(ctx context.Context, cfg adminConfig, d *doors) (*adminServer, error) {
	a := &adminServer{socket: filepath.Join(cfg.data, adminapi.SocketFile)}
	socket, err := adminapi.Listen(ctx, cfg.data)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	a.sites = append(a.sites, d.site("socket", socket, cfg.onSocket, nil))
	a.address = a.socket
	if cfg.listen == "off" {
		return a, nil
	}
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the admin listener on %s (--admin-listen): %w", cfg.listen, err), socket.Close())
	}
	var secure *tls.Config
	// By the address that is really listened on: a name may lead anywhere.
	if !loopback(tcp.Addr().String()) {
		if cfg.secure == nil {
			return nil, errors.Join(usage("--admin-listen %s is not loopback, and there is no %s to serve it with", cfg.listen, cfg.lacking), tcp.Close(), socket.Close())
		}
		secure = cfg.secure
	}
	a.sites = append(a.sites, d.site("admin", tcp, cfg.onTCP, secure))
	a.address = tcp.Addr().String()
	a.url = "http://" + a.address
	if secure != nil {
		a.url = "https://" + a.address
	}
	return a, nil
}
