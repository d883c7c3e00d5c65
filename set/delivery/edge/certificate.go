package edge

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// Headers in which a proxy that ends TLS says whose certificate it was shown (RFC 9440).
const (
	headerCert  = "Client-Cert"
	headerChain = "Client-Cert-Chain"
)

const (
	// maxCertBytes bounds a certificate in a header, as it is written.
	maxCertBytes = 24 << 10
	// maxChain bounds the certificates beside the client's.
	maxChain = 8
)

// Certificates returns those that the sender of r has shown to possess, its own first,
// then those that lead from there to an authority; nil: none. They are those of the TLS
// connection, or what a trusted proxy says ([Config.ClientCert]) if r came through
// [Handler]. A trusted proxy's own are nobody's: all whom it speaks for would have them.
// Nobody has judged who signed them, or when they are good.
func Certificates(r *http.Request) []*x509.Certificate {
	if req := From(r.Context()); req != nil {
		return req.certificates()
	}
	return shownBy(r)
}

// shownBy are the certificates of the connection.
func shownBy(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// certificates returns what [Certificates] returns, and takes the headers away, so that
// nobody behind believes them. Where a proxy speaks for others, its own certificate is
// nobody's.
func (cfg *Config) certificates(r *http.Request) func() []*x509.Certificate {
	cert, chain := r.Header.Values(headerCert), r.Header.Values(headerChain)
	r.Header.Del(headerCert)
	r.Header.Del(headerChain)
	switch {
	case !speaks(r, cfg.Trusted):
		return func() []*x509.Certificate { return shownBy(r) }
	case !cfg.ClientCert:
		return func() []*x509.Certificate { return nil }
	}
	return sync.OnceValue(func() []*x509.Certificate {
		all, err := parseCertificates(cert, chain)
		if err != nil {
			cfg.Logger.WarnContext(r.Context(), "a proxy's Client-Cert cannot be read, the request goes without a certificate", slog.Any("err", err))
		}
		return all
	})
}

// speaks reports whether the connection is that of a proxy that is believed.
func speaks(r *http.Request, trusted []netip.Prefix) bool { return within(trusted, peer(r)) }

var errCertificate = errors.New("want a certificate as a byte sequence, :base64 of DER: (RFC 9440)")

// parseCertificates reads Client-Cert, one byte sequence, and Client-Cert-Chain, a list
// of them.
func parseCertificates(cert, chain []string) ([]*x509.Certificate, error) {
	if len(cert) == 0 {
		return nil, nil
	}
	texts := []string{cert[0]}
	if list := strings.Join(chain, ","); strings.TrimSpace(list) != "" {
		texts = append(texts, strings.Split(list, ",")...)
	}
	if len(cert) > 1 || len(texts) > 1+maxChain {
		return nil, errCertificate
	}
	var all []*x509.Certificate
	for _, text := range texts {
		one, err := parseCertificate(strings.Trim(text, " \t"))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// parseCertificate reads one byte sequence (RFC 8941 §3.3.5) without parameters.
func parseCertificate(text string) (*x509.Certificate, error) {
	if len(text) < len("::") || len(text) > maxCertBytes || text[0] != ':' || text[len(text)-1] != ':' || strings.ContainsAny(text, "\r\n") {
		return nil, errCertificate
	}
	der, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text[1:len(text)-1], "="))
	if err != nil {
		return nil, errCertificate
	}
	one, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errCertificate
	}
	return one, nil
}
