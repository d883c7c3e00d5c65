package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// certLook is how often files of a certificate are looked at.
	certLook = 10 * time.Second
	// maxCertFile bounds one of them, in bytes.
	maxCertFile = 1 << 20
)

// certFiles is a certificate in files, which is read again when they change: whoever
// renews it only replaces them. Connections that there are go on as they began.
type certFiles struct {
	cert, key string
	logger    *slog.Logger

	mu      sync.Mutex
	pair    tls.Certificate
	looked  time.Time
	seen    [2][]byte // what was read last, whether it is of use or not
	verdict error     // on that; nil: it is in force
	told    string    // what the log was told last; "": that all is well
}

// read reads the files and, if they have changed, puts them into force.
func (c *certFiles) read() error {
	var files [2][]byte
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if info.Size() > maxCertFile {
			return fmt.Errorf("%s is longer than %d bytes", name, maxCertFile)
		}
		if files[i], err = os.ReadFile(name); err != nil {
			return err
		}
	}
	if c.seen[0] == nil || !bytes.Equal(files[0], c.seen[0]) || !bytes.Equal(files[1], c.seen[1]) {
		c.seen, c.verdict = files, c.use(files)
	}
	return c.verdict
}

// use puts a pair into force. One that has expired does not take the place of one that
// is good; at a start it is better than none, and loud.
func (c *certFiles) use(files [2][]byte) error {
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return err
	}
	now, end := time.Now(), pair.Leaf.NotAfter
	switch expired := now.After(end); {
	case expired && c.pair.Leaf != nil && now.Before(c.pair.Leaf.NotAfter):
		return fmt.Errorf("the certificate in %s has expired on %s", c.cert, end.UTC().Format(time.RFC3339))
	case expired:
		c.logger.Error("THE CERTIFICATE HAS EXPIRED", "file", c.cert, "not_after", end.UTC())
	case c.pair.Leaf != nil:
		c.logger.Info("a new certificate is served", "file", c.cert, "not_after", end.UTC())
	}
	c.pair = pair
	return nil
}

// get returns the certificate (tls.Config.GetCertificate). Files that cannot be used,
// such as half of a pair that is being replaced, leave the one before in force; the
// log tells of it, once for each fault.
func (c *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certLook {
		c.looked = now
		c.look()
	}
	pair := c.pair
	return &pair, nil
}

// look reads the files again if they have changed.
func (c *certFiles) look() {
	err := c.read()
	if err == nil {
		c.told = ""
		return
	}
	if text := err.Error(); text != c.told {
		c.told = text
		c.logger.Error("THE CERTIFICATE'S FILES CANNOT BE USED, the certificate before is still served",
			"err", err, "not_after", c.pair.Leaf.NotAfter.UTC())
	}
}

// tlsConfig is how every listener of ours speaks TLS: 1.2 with forward secrecy and
// authenticated encryption, or 1.3.
func tlsConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good and not to be chosen
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: get,
	}
}
