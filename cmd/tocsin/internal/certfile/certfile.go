// Package certfile keeps a certificate and its key in files, of a server or of a client,
// which are read again when they change: whoever renews it only replaces them.
package certfile

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
)

const (
	// Look is how often the files are looked at.
	Look = 10 * time.Second

	maxFile = 1 << 20 // bytes of one of them
)

// Config says where a pair is.
type Config struct {
	// Cert is a PEM chain, its first certificate that of the key in Key. Both are
	// required.
	Cert, Key string
	// Private refuses a key that others than its owner may read (keyfile.Secret).
	Private bool
	Logger  *slog.Logger     // gets what becomes of the files; nil: nobody
	Now     func() time.Time // the clock; nil: time.Now
}

// Pair is a certificate in files. Connections that there are go on as they began. Safe
// for concurrent use.
type Pair struct {
	cfg Config

	mu      sync.Mutex
	pair    tls.Certificate
	looked  time.Time
	seen    [2][]byte // what was read last, whether it is of use or not
	verdict error     // on that; nil: it is in force
	told    string    // what the log was told last; "": that all is well
}

// Open reads the files of cfg for the first time. No error shows anything of a key.
func Open(cfg Config) (*Pair, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Pair{cfg: cfg}
	p.looked = cfg.Now()
	return p, p.read()
}

// Get returns the certificate. Files that cannot be used, such as half of a pair that is
// being replaced, leave the one before in force; the log tells of it, once for each fault.
// There is no error after that of [Open].
func (p *Pair) Get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.cfg.Now(); now.Sub(p.looked) >= Look {
		p.looked = now
		p.look()
	}
	pair := p.pair
	return &pair, nil
}

// Served is [Pair.Get] as tls.Config.GetCertificate has it.
func (p *Pair) Served(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.Get() }

// look reads the files again if they have changed.
func (p *Pair) look() {
	err := p.read()
	if err == nil {
		p.told = ""
		return
	}
	if text := err.Error(); text != p.told {
		p.told = text
		p.cfg.Logger.Error("THE CERTIFICATE'S FILES CANNOT BE USED, the certificate before is still in force",
			"err", err, "not_after", p.pair.Leaf.NotAfter.UTC())
	}
}

// read reads the files and, if they have changed, puts them into force.
func (p *Pair) read() error {
	chain, err := readFile(p.cfg.Cert)
	if err != nil {
		return err
	}
	readKey := readFile
	if p.cfg.Private {
		readKey = func(name string) ([]byte, error) { return keyfile.Secret(name, maxFile) }
	}
	key, err := readKey(p.cfg.Key)
	if err != nil {
		return err
	}
	if p.seen[0] == nil || !bytes.Equal(chain, p.seen[0]) || !bytes.Equal(key, p.seen[1]) {
		p.seen = [2][]byte{chain, key}
		p.verdict = p.use(chain, key)
	}
	return p.verdict
}

// use puts a pair into force. One that has expired does not take the place of one that
// is good; at a start it is better than none, and loud.
func (p *Pair) use(chain, key []byte) error {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", p.cfg.Cert, p.cfg.Key, err)
	}
	if pair.Leaf == nil {
		return errors.New(p.cfg.Cert + " holds no certificate")
	}
	now, end := p.cfg.Now(), pair.Leaf.NotAfter
	switch expired := now.After(end); {
	case expired && p.pair.Leaf != nil && now.Before(p.pair.Leaf.NotAfter):
		return fmt.Errorf("the certificate in %s has expired on %s", p.cfg.Cert, end.UTC().Format(time.RFC3339))
	case expired:
		p.cfg.Logger.Error("THE CERTIFICATE HAS EXPIRED", "file", p.cfg.Cert, "not_after", end.UTC())
	case p.pair.Leaf != nil:
		p.cfg.Logger.Info("a new certificate is in force", "file", p.cfg.Cert, "not_after", end.UTC())
	}
	p.pair = pair
	return nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return os.ReadFile(name)
}
