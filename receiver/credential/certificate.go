package credential

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// thumbprint is that of a certificate (RFC 8705 §3.1); zero: there is none.
type thumbprint [sha256.Size]byte

// thumbprintOf returns that of the certificate that get returns; zero if get is nil.
func thumbprintOf(get func() (*tls.Certificate, error)) (thumbprint, error) {
	if get == nil {
		return thumbprint{}, nil
	}
	cert, err := get()
	if err != nil {
		return thumbprint{}, fmt.Errorf("credential: Config.Certificate: %w", err)
	}
	if cert == nil || len(cert.Certificate) == 0 {
		return thumbprint{}, errors.New("credential: Config.Certificate: there is none")
	}
	return sha256.Sum256(cert.Certificate[0]), nil
}

// byCertificate reports whether the client is known by its certificate alone.
func (cfg Config) byCertificate() bool {
	return cfg.Certificate != nil && cfg.ClientSecret == "" && cfg.ClientSecretFile == "" && cfg.ClientKeyFile == ""
}

// shown adds to a refusal of a client that is known by its certificate which one it was
// and what to do; it returns other errors as they are. A certificate is no secret.
func (cfg Config) shown(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || !cfg.byCertificate() || refused.ErrorCode != "invalid_client" && refused.ErrorCode != "unauthorized_client" {
		return told(err)
	}
	cert, certErr := cfg.Certificate()
	if certErr != nil || cert.Leaf == nil {
		return told(err)
	}
	what := fmt.Sprintf("the certificate of %.200q, serial %x, good until %s", cert.Leaf.Subject, cert.Leaf.SerialNumber, cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	if time.Now().After(cert.Leaf.NotAfter) {
		return fmt.Errorf("%w: %s, has expired: renew it", told(err), what)
	}
	return fmt.Errorf("%w: %s, is not one by which the client %.100q is known there: have its name or key registered at the transmitter, and its authority trusted, or put the right certificate into the file", told(err), what, cfg.ClientID)
}
