package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// front is where a server of ours is reached.
type front struct {
	listen           string
	cert, key        string            // files; empty: a CA of our own signs a certificate
	acme             *acmecert.Manager // or an ACME server gives them; nil: none does
	insecureLoopback bool
	vault            *vault.Vault // encrypts the CA's key; nil: it is in clear
}

// open opens the listener. Plain http is for loopback alone, by the address that is
// really listened on.
func (f front) open(ctx context.Context) (net.Listener, error) {
	refused := usage("--insecure-loopback serves plain http on loopback alone, and --listen %s is not; leave one of them out", f.listen)
	if f.insecureLoopback {
		if f.cert != "" {
			return nil, usage("--insecure-loopback serves plain http and --tls-cert https; leave one of them out")
		}
		if !loopback(f.listen) {
			return nil, refused
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return nil, fmt.Errorf("serving on %s (--listen): %w", f.listen, err)
	}
	if f.insecureLoopback && !loopback(listener.Addr().String()) {
		return nil, errors.Join(refused, listener.Close())
	}
	return listener, nil
}

// url returns the address of a listener as a URL.
func (f front) url(addr net.Addr) string {
	if f.insecureLoopback {
		return "http://" + addr.String()
	}
	return "https://" + addr.String()
}

// tls returns how the listener is served, nil for plain http, and the certificate of
// our own CA in dir if that signs for hosts.
func (f front) tls(dir string, hosts []string, logger *slog.Logger) (secure *tls.Config, ca string, err error) {
	if f.insecureLoopback {
		return nil, "", nil
	}
	if f.acme != nil {
		secure = tlsConfig(f.acme.GetCertificate)
		secure.NextProtos = f.acme.Protocols()
		return secure, "", nil
	}
	if f.cert != "" || f.key != "" {
		files, err := certfile.Open(certfile.Config{Cert: f.cert, Key: f.key, Logger: logger})
		if err != nil {
			return nil, "", fmt.Errorf("reading the certificate: %w", err)
		}
		return tlsConfig(files.Served), "", nil
	}
	get, ca, err := localca.Renewed(dir, hosts, f.vault)
	return tlsConfig(get), ca, err
}

// site is a server with the listener it serves.
type site struct {
	server   *http.Server
	listener net.Listener
}

// part is what works behind sites: Run works until its context ends, Refuse says that
// this is near.
type part interface {
	Run(ctx context.Context) error
	Refuse()
}

// runSites runs p and sites until ctx or one of them ends, and then ends them in
// order: refuse, drain, save, within the deadline.
func runSites(ctx context.Context, p part, sites []site, deadline time.Duration, logger *slog.Logger) error {
	running, stopRun := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRun()
	ended := make(chan error, 1+len(sites))
	go func() { ended <- p.Run(running) }()
	for _, one := range sites {
		go func() { ended <- serveOn(one.server, one.listener) }()
	}
	left := cap(ended)
	var errs []error
	select {
	case <-ctx.Done():
		logger.Info("shutting down")
	case err := <-ended:
		left--
		errs = append(errs, fmt.Errorf("a part ended by itself: %w", err))
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	p.Refuse()
	for _, one := range sites {
		if err := one.server.Shutdown(limited); err != nil {
			errs = append(errs, errors.New("requests did not end in time"), one.server.Close())
		}
	}
	stopRun()
	for ; left > 0; left-- {
		select {
		case err := <-ended:
			errs = append(errs, err)
		case <-limited.Done():
			return errors.Join(append(errs, errors.New("what was under way did not end in time; it is repeated at the next start"))...)
		}
	}
	return errors.Join(errs...)
}

func serveOn(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
