package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

// mtlsFlags say whether clients may come with certificates (mutual TLS, RFC 8705).
type mtlsFlags struct {
	MTLS             bool   `help:"Ask clients for a certificate; who has none is served as before." name:"mtls" group:"Mutual TLS:"`
	ClientCA         string `help:"Authorities of clients' certificates, PEM, and no others: clients are known by the names that these vouch for (client add --tls-…). Read again when it changes. Implies --mtls." name:"client-ca" placeholder:"FILE" group:"Mutual TLS:"`
	ClientCertHeader bool   `help:"Believe the Client-Cert header (RFC 9440) of --trusted-proxy, which ends TLS and must drop what a client sends under that name." group:"Mutual TLS:"`
	MTLSURL          string `help:"Where the token endpoint is reached with a certificate, in place of --issuer (RFC 8705, mtls_endpoint_aliases); default: there." name:"mtls-url" placeholder:"URL" group:"Mutual TLS:"`
}

// asks reports whether our own listeners ask for certificates.
func (f mtlsFlags) asks() bool { return f.MTLS || f.ClientCA != "" }

// checkMTLS refuses what cannot be meant.
func (s serveCmd) checkMTLS() error {
	switch {
	case s.ClientCertHeader && len(s.TrustedProxy) == 0:
		return usage("--client-cert-header believes --trusted-proxy, which is missing")
	case s.ClientCA != "" && s.InsecureLoopback && !s.ClientCertHeader:
		return usage("--client-ca asks for certificates in TLS, and --insecure-loopback serves without; where a proxy ends TLS: --client-cert-header")
	case s.MTLS && s.InsecureLoopback:
		return usage("--mtls asks for certificates in TLS, and --insecure-loopback serves without; leave one of them out")
	case s.MTLSURL != "" && !s.asks() && !s.ClientCertHeader:
		return usage("--mtls-url is for clients with certificates: give --mtls, --client-ca or --client-cert-header")
	}
	if s.MTLSURL == "" {
		return nil
	}
	if u, err := url.Parse(s.MTLSURL); err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return usage("--mtls-url %s is not an https URL without query and fragment", s.MTLSURL)
	}
	return nil
}

// mtls puts the settings into cfg.
func (s serveCmd) mtls(cfg *transmitter.Config, logger *slog.Logger) error {
	if err := s.checkMTLS(); err != nil {
		return err
	}
	cfg.Certificates, cfg.CertificateURL = s.asks() || s.ClientCertHeader, s.MTLSURL
	if s.ClientCA == "" {
		return nil
	}
	authorities := &clientCAs{file: s.ClientCA, logger: logger}
	if err := authorities.read(); err != nil {
		return fmt.Errorf("reading --client-ca: %w", err)
	}
	cfg.ClientCAs = authorities.get
	return nil
}

// ask has a listener ask for certificates. Any is let through: who vouches for it is looked
// at where it is used, each time, since a connection and what resumes it outlive that.
func (f mtlsFlags) ask(secure *tls.Config) {
	if f.asks() && secure != nil {
		secure.ClientAuth = tls.RequestClientCert
	}
}

// clientCAs are authorities in a file, which is read again when it changes.
type clientCAs struct {
	file   string
	logger *slog.Logger

	mu     sync.Mutex
	pool   *x509.CertPool
	looked time.Time
	seen   []byte // what was read last, whether it is of use or not
	told   string // what the log was told last; "": that all is well
}

// get returns the authorities. A file that cannot be used leaves those before in force.
func (c *clientCAs) get() *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certfile.Look {
		c.looked = now
		switch err := c.read(); {
		case err == nil:
			c.told = ""
		case err.Error() != c.told:
			c.told = err.Error()
			c.logger.Error("THE FILE OF CLIENTS' AUTHORITIES CANNOT BE USED, those before are still trusted", "err", err)
		}
	}
	return c.pool
}

// read reads the file and, if it has changed, puts it into force.
func (c *clientCAs) read() error {
	raw, err := readFile(c.file, maxCAFile)
	if err != nil || c.pool != nil && bytes.Equal(raw, c.seen) {
		return err
	}
	pool, err := certificatesIn(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.file, err)
	}
	if c.pool != nil {
		c.logger.Info("other authorities of clients' certificates are trusted", "file", c.file)
	}
	c.pool, c.seen = pool, raw
	return nil
}

// certificatesIn reads a file of certificates, and nothing that is none.
func certificatesIn(raw []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("has a block %.40q, want certificates alone", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("holds no PEM certificate")
	}
	return pool, nil
}
