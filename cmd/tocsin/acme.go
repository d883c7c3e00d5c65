package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// openACME returns who keeps the certificates that an ACME server gives; nil if none does.
// The settings were checked. It calls nobody yet.
func openACME(a config.ACMESettings, data string, v *vault.Vault, logger *slog.Logger) (*acmecert.Manager, error) {
	if !a.ACME() {
		return nil, nil
	}
	names, err := a.Names()
	if err != nil {
		return nil, err
	}
	policy := guard.Policy{Allow: a.ACMEAllow}
	if policy.RootCAs, err = acmeRoots(a); err != nil {
		return nil, err
	}
	binding, err := a.Binding()
	if err != nil {
		return nil, err
	}
	return acmecert.New(acmecert.Config{
		Domains: names, Directory: a.ACMEDirectory, AcceptTerms: a.ACMEAcceptTerms, Email: a.ACMEEmail, Binding: binding,
		HTTP: a.ACMEHTTP != "", Dir: filepath.Join(data, acmecert.Folder), Vault: v, Client: guard.NewClient(policy), Logger: logger,
	})
}

// acmeRoots are the authorities that the ACME server's own certificate may be of; nil: the
// system's.
func acmeRoots(a config.ACMESettings) (*x509.CertPool, error) {
	if a.ACMECA == "" {
		return nil, nil
	}
	return caPool(a.ACMECA)
}

// checkACME refuses what does not go together.
func (s serveCmd) checkACME() error {
	key, err := s.CheckACME(config.Beside{
		TLSCert: s.TLSCert, InsecureLoopback: s.InsecureLoopback, Redis: s.Set(), URL: s.Issuer, URLKey: "issuer",
	})
	if err != nil {
		return usage("--%s: %v", strings.ReplaceAll(key, "_", "-"), err)
	}
	return nil
}

// acmeSite is the listener that answers HTTP-01 challenges; none if there is to be none.
func acmeSite(ctx context.Context, address string, m *acmecert.Manager, d *doors) ([]site, error) {
	if m == nil || address == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("answering challenges on %s (--acme-http): %w", address, err)
	}
	return []site{d.site("acme", l, m.Handler(), nil)}, nil
}

// certified is a part whose certificates are obtained and renewed while it runs.
type certified struct {
	part
	certificates *acmecert.Manager // nil: they come from elsewhere
}

// Run runs the part.
func (c certified) Run(ctx context.Context) error {
	if c.certificates == nil {
		return c.part.Run(ctx)
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- c.certificates.Run(keeping) }()
	err := c.part.Run(ctx)
	stop()
	return errors.Join(err, <-ended)
}
