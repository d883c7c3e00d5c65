// Package keyfile reads and writes the files in which a signer has its keys: a private key
// in PEM or as a JWK, in clear or encrypted as transmitter/vault encrypts.
package keyfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

const (
	// maxFile bounds a file: a key of jose.MaxKeyBytes, encrypted.
	maxFile = 64 << 10
	// sealName is what a key is sealed under.
	sealName = "key of a signer"

	groupAndOthers = 0o077
	groupRead      = 0o040
)

// sealed is an encrypted file: a data key, sealed under the secret, and the private JWK
// sealed under it.
type sealed struct {
	DataKey json.RawMessage `json:"data_key"`
	Sealed  string          `json:"sealed"`
}

// Read reads a key. alg is for RSA keys that name none; "": the natural one. secret opens
// one that is encrypted; nil: there is none. A file that others than its owner may read is
// refused. No error shows anything of a key.
func Read(ctx context.Context, path string, alg jose.Algorithm, secret *vault.Secret) (*jose.PrivateKey, error) {
	raw, err := Secret(path, maxFile)
	if err != nil {
		return nil, err
	}
	key, err := parse(ctx, raw, alg, secret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if alg != "" && key.Algorithm() != alg {
		return nil, fmt.Errorf("%s: the key is for %s, not for %s", path, key.Algorithm(), alg)
	}
	return key, nil
}

func parse(ctx context.Context, raw []byte, alg jose.Algorithm, secret *vault.Secret) (*jose.PrivateKey, error) {
	if text := bytes.TrimSpace(raw); !bytes.HasPrefix(text, []byte("{")) {
		return jose.ParsePrivatePEM(text, alg)
	}
	var file sealed
	if json.Unmarshal(raw, &file) != nil || file.Sealed == "" {
		return jose.ParsePrivateKey(bytes.TrimSpace(raw))
	}
	if secret == nil {
		return nil, errors.New("the key is encrypted: name what it is encrypted under with --key-passphrase-file or --key-file")
	}
	v, err := vault.Open(ctx, vault.Config{Store: &memory{file.DataKey}, Secret: secret})
	if err != nil {
		return nil, err
	}
	if raw, err = v.Open(sealName, []byte(file.Sealed)); err != nil {
		return nil, err
	}
	return jose.ParsePrivateKey(raw)
}

// Write writes a key into a new file that its owner alone can read, encrypted under a
// secret, or in clear if that is nil. Error: fs.ErrExist if there is such a file.
func Write(ctx context.Context, path string, key *jose.PrivateKey, secret *vault.Secret) error {
	raw, err := key.MarshalPrivateJWK()
	if err != nil {
		return err
	}
	if secret != nil {
		store := &memory{}
		v, err := vault.Open(ctx, vault.Config{Store: store, Secret: secret, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		box, err := v.Seal(sealName, raw)
		if err != nil {
			return err
		}
		if raw, err = json.Marshal(sealed{store.header, string(box)}); err != nil {
			return err
		}
	}
	return writeNew(path, raw)
}

// ReadDecryption reads a key that decrypts, in PEM or as a JWK, in clear. A file that others
// than its owner may read is refused. No error shows anything of a key.
func ReadDecryption(path string) (*jose.DecryptionKey, error) {
	raw, err := Secret(path, jose.MaxKeyBytes)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParseDecryptionKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// WriteDecryption writes such a key, in clear, into a new file that its owner alone can
// read. Error: fs.ErrExist if there is such a file.
func WriteDecryption(path string, key *jose.DecryptionKey) error {
	raw, err := key.MarshalPrivateJWK()
	if err != nil {
		return err
	}
	return writeNew(path, raw)
}

func writeNew(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Secret reads a file with a secret of at most most bytes. One that others than its owner
// may read or change is refused; but root may let the group of this process read it, which
// is how service managers hand files in.
func Secret(path string, most int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	forbidden := fs.FileMode(groupAndOthers)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == 0 && os.Getuid() != 0 {
		forbidden &^= groupRead
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return nil, fmt.Errorf("%s has the mode %#o: others may read a secret in it; take that right away (chmod 600)", path, mode)
	}
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return raw, err
}

// memory keeps the data key of one file.
type memory struct{ header []byte }

func (m *memory) Header(context.Context) ([]byte, error) { return m.header, nil }

func (m *memory) Replace(_ context.Context, from, to []byte) error {
	if !bytes.Equal(m.header, from) {
		return vault.ErrChanged
	}
	m.header = to
	return nil
}
