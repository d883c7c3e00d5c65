package main

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certLook is how often files of a certificate are looked at.
const certLook = 10 * time.Second

// certFiles is a certificate in files, which is read again when they change: whoever
// renews it only replaces them.
type certFiles struct {
	cert, key string

	mu      sync.Mutex
	pair    tls.Certificate
	looked  time.Time
	changed [2]time.Time // of both files, when they were read
}

// read reads the files.
func (c *certFiles) read() error {
	changed, err := c.times()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair, c.changed = pair, changed
	}
	return err
}

func (c *certFiles) times() (times [2]time.Time, err error) {
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return times, err
		}
		times[i] = info.ModTime()
	}
	return times, nil
}

// get returns the certificate (tls.Config.GetCertificate). Files that cannot be used,
// such as half of a pair that is being replaced, leave the one before in force.
func (c *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certLook {
		c.looked = now
		if changed, err := c.times(); err == nil && changed != c.changed {
			_ = c.read() // tried again at the next look
		}
	}
	pair := c.pair
	return &pair, nil
}
