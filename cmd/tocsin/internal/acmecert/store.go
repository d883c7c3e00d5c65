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
	"os"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Folder is the name of the folder in the data folder.
const Folder = "acme"

const (
	accountFile = "account.key"
	suffix      = ".pem" // of the file of a certificate and its key
	maxFile     = 1 << 20
	dirMode     = 0o700

	certBlock   = "CERTIFICATE"
	keyBlock    = "PRIVATE KEY"
	sealedBlock = "TOCSIN SEALED PRIVATE KEY"
	fromHeader  = "Directory" // of the key's block: which server the certificate is of
)

// store keeps account key and certificates in files of mode 0600, each there as a whole or
// not at all: a certificate and its key are in one.
type store struct {
	dir   string
	vault *vault.Vault
}

func (s store) open() error {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return fmt.Errorf("making the folder of certificates: %w", err)
	}
	return nil
}

// account returns the account's key, which is made if there is none.
func (s store) account() (*ecdsa.PrivateKey, error) {
	path := filepath.Join(s.dir, accountFile)
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, s.write(path, accountFile, nil, key, "")
	}
	if err != nil {
		return nil, err
	}
	one, err := s.read(accountFile, raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.inClear(raw) {
		err = s.write(path, accountFile, nil, one.key, "")
	}
	return one.key, err
}

// certificate returns that of a name; none if there is none, or what there is cannot be
// used: it is obtained anew.
func (s store) certificate(name string) (held, error) {
	path := filepath.Join(s.dir, name+suffix)
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return held{}, nil
	}
	if err != nil {
		return held{}, err
	}
	one, err := s.read(name, raw)
	if errors.Is(err, vault.ErrLocked) || errors.Is(err, vault.ErrDamaged) {
		return held{}, fmt.Errorf("%s: %w", path, err)
	}
	if err != nil || len(one.chain) == 0 {
		return held{}, nil //nolint:nilerr // rubbish is no certificate
	}
	leaf, err := x509.ParseCertificate(one.chain[0])
	if err != nil || !one.key.PublicKey.Equal(leaf.PublicKey) || leaf.VerifyHostname(name) != nil {
		return held{}, nil //nolint:nilerr // the same
	}
	found := held{&tls.Certificate{Certificate: one.chain, PrivateKey: one.key, Leaf: leaf}, one.from}
	if s.inClear(raw) {
		err = s.keep(name, found)
	}
	return found, err
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
	return replace(path, text)
}

func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone once it has its name
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return raw, err
}
