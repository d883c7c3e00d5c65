package receive

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/certfile"
)

// certificateSource returns the certificate that is in force; nil: there is none.
type certificateSource = func() (*tls.Certificate, error)

// certificate opens what the issuer's servers are shown; nil: nothing is configured.
func (is Issuer) certificate(logger *slog.Logger) (certificateSource, error) {
	c := is.Credentials
	if c.CertificateFile == "" {
		return nil, nil //nolint:nilnil // none is configured
	}
	pair, err := certfile.Open(certfile.Config{Cert: c.CertificateFile, Key: c.CertificateKeyFile, Private: true, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("credentials: certificate_file, certificate_key_file: %w", err)
	}
	return pair.Get, nil
}
