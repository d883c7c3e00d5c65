package acmecert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Folder is the name of the folder in the data folder.
const Folder = "acme"

const (
	accountFile = "account.key"
	suffix      = ".pem" // of the file of a certificate and its key
	maxFile     = 1 << 20
	dirMode     = 0o700

	damagedSuffix = ".damaged" // of one that was put aside

	certBlock   = "CERTIFICATE"
	keyBlock    = "PRIVATE KEY"
	sealedBlock = "TOCSIN SEALED PRIVATE KEY"
	fromHeader  = "Directory" // of the key's block: which server the certificate is of
)

// store keeps account key and certificates in files of mode 0600, each there as a whole or
// not at all: a certificate and its key are in one.
type store struct {
	dir    string
	vault  *vault.Vault
	logger *slog.Logger
}

// open makes the folder, and takes away what a process has left that was killed while it
// wrote. The data folder is ours alone.
func (s store) open() error {
	err := os.MkdirAll(s.dir, dirMode)
	left, globErr := filepath.Glob(filepath.Join(s.dir, wholefile.Unfinished))
	err = errors.Join(err, globErr)
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return fmt.Errorf("making the folder of certificates: %w", err)
	}
	return nil
}

// aside takes a file away that cannot be used. It is kept for who looks into it.
func (s store) aside(path string, why error) error {
	s.logger.Error("A FILE OF CERTIFICATES IS DAMAGED: it is put aside, and what was in it is made anew", "file", path+damagedSuffix, "err", why)
	return os.Rename(path, path+damagedSuffix)
}

// account returns the account's key, which is made if there is none.
func (s store) account() (*ecdsa.PrivateKey, error) {
	path := filepath.Join(s.dir, accountFile)
	one, raw, err := s.find(path, accountFile)
	switch {
	case err != nil:
		return nil, err
	case one.key == nil:
		if one.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	case !s.inClear(raw):
		return one.key, nil
	}
	return one.key, s.write(path, accountFile, nil, one.key, "")
}

// certificate returns that of a name; none if there is none, or what there is cannot be
// used: it is obtained anew.
func (s store) certificate(name string) (held, error) {
	path := filepath.Join(s.dir, name+suffix)
	one, raw, err := s.find(path, name)
	if err != nil || one.key == nil {
		return held{}, err
	}
	leaf, err := one.leaf(name)
	if err != nil {
		return held{}, s.aside(path, err)
	}
	found := held{cert: &tls.Certificate{Certificate: one.chain, PrivateKey: one.key, Leaf: leaf}, directory: one.from}
	if s.inClear(raw) {
		err = s.keep(name, found)
	}
	return found, err
}

// find reads a file; nothing if it is not there or damaged. Error: it, or its key, cannot be
// opened.
func (s store) find(path, name string) (content, []byte, error) {
	raw, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return content{}, nil, nil
	case err != nil && !errors.Is(err, errTooLong):
		return content{}, nil, err
	}
	var one content
	if err == nil {
		one, err = s.read(name, raw)
	}
	switch {
	case errors.Is(err, vault.ErrLocked):
		return content{}, nil, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return content{}, nil, s.aside(path, err)
	}
	return one, raw, nil
}

// leaf is the certificate of name, if the key is its.
func (c content) leaf(name string) (*x509.Certificate, error) {
	if len(c.chain) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	leaf, err := x509.ParseCertificate(c.chain[0])
	switch {
	case err != nil:
		return nil, err
	case !c.key.PublicKey.Equal(leaf.PublicKey):
		return nil, errors.New("its key is another certificate's")
	}
	return leaf, leaf.VerifyHostname(name)
}

// inClear reports whether a file has its key in clear and may not.
func (s store) inClear(raw []byte) bool {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == keyBlock {
			return s.vault.Opens()
		}
	}
	return false
}

// keep writes a certificate with its key.
func (s store) keep(name string, one held) error {
	key, ok := one.cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("the certificate has a key that was not made here")
	}
	return s.write(filepath.Join(s.dir, name+suffix), name, one.cert.Certificate, key, one.directory)
}

// Chain returns the certificates of a name in a data folder, the name's first, without its
// key; none if there are none. For who only looks.
func Chain(data, name string) (path string, chain []*x509.Certificate, err error) {
	path = filepath.Join(data, Folder, name+suffix)
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	for block, rest := pem.Decode(raw); err == nil && block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certBlock {
			continue
		}
		var cert *x509.Certificate
		cert, err = x509.ParseCertificate(block.Bytes)
		chain = append(chain, cert)
	}
	return path, chain, err
}

// content is what a file holds.
type content struct {
	chain [][]byte
	key   *ecdsa.PrivateKey
	from  string
}

func (s store) read(name string, raw []byte) (c content, err error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case certBlock:
			c.chain = append(c.chain, block.Bytes)
		case sealedBlock, keyBlock:
			der := block.Bytes
			if block.Type == sealedBlock {
				if der, err = s.vault.Open(sealName(name), der); err != nil {
					return content{}, err
				}
			}
			key, err := x509.ParsePKCS8PrivateKey(der)
			if err != nil {
				return content{}, err
			}
			var ok bool
			if c.key, ok = key.(*ecdsa.PrivateKey); !ok {
				return content{}, errors.New("its key is not one that was made here")
			}
			c.from = block.Headers[fromHeader]
		}
	}
	if c.key == nil {
		return content{}, errors.New("there is no key in it")
	}
	return c, nil
}

// sealName is what a key is sealed under.
func sealName(name string) string { return "ACME key " + name }

// write writes a file anew: durable, and there as a whole or not at all.
func (s store) write(path, name string, chain [][]byte, key *ecdsa.PrivateKey, from string) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: keyBlock, Bytes: der}
	if s.vault.Seals() {
		block.Type = sealedBlock
		if block.Bytes, err = s.vault.Seal(sealName(name), der); err != nil {
			return err
		}
	}
	if from != "" {
		block.Headers = map[string]string{fromHeader: from}
	}
	var text []byte
	for _, cert := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert})...)
	}
	text = append(text, pem.EncodeToMemory(block)...)
	return wholefile.Replace(path, text, 0o600)
}

// errTooLong says that a file is none of ours.
var errTooLong = errors.New("longer")

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is %w than %d bytes", path, errTooLong, maxFile)
	}
	return raw, err
}
