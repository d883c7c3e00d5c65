package main

import (
	"context"
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

// admin opens the listeners of the admin server; we hold the folder's lock.
func (s serveCmd) admin(ctx context.Context, t *transmitter.Transmitter, logger *slog.Logger) (*adminServer, error) {
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
	if !loopback(s.AdminListen) {
		logger.Warn("the admin listener is reachable from other machines and speaks plain http; put it behind TLS", "address", s.AdminListen)
	}
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.AdminListen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the admin listener on %s (--admin-listen): %w", s.AdminListen, err), socket.Close())
	}
	a.sites = append(a.sites, site{newServer(t.AdminHandler(), logger), tcp})
	a.address = tcp.Addr().String()
	return a, nil
}
