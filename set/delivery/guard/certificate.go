package guard

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// certified sends https with the certificate of a client. Each certificate has connections
// of its own: one that was opened with the certificate before would go on to show that.
type certified struct {
	get  func() (*tls.Certificate, error)
	base *http.Transport // each certificate's is as this one, which connects to nobody

	mu        sync.Mutex
	shown     [][]byte // the chain that transport shows, DER
	transport *http.Transport
}

// RoundTrip sends req with the certificate that is in force now.
func (c *certified) RoundTrip(req *http.Request) (*http.Response, error) {
	t, err := c.current()
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper closes the body whatever happens
		}
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return t.RoundTrip(req)
}

// current returns the transport of the certificate in force. What is under way with the
// one before ends as it began; its connections are closed when they are idle.
func (c *certified) current() (*http.Transport, error) {
	cert, err := c.get()
	if err != nil {
		return nil, err
	}
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, errors.New("there is none")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil && slices.EqualFunc(cert.Certificate, c.shown, bytes.Equal) {
		return c.transport, nil
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport, c.shown = c.base.Clone(), cert.Certificate
	// It is shown whatever authorities a server names: who it is for is the operator's to
	// say, and a server that does not like it says so.
	c.transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return cert, nil
	}
	return c.transport, nil
}

// CloseIdleConnections closes those of the certificate in force.
func (c *certified) CloseIdleConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}
