package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// KeySettings say what private keys and secrets are encrypted under where they are stored
// (docs/operations/keys.md).
type KeySettings struct {
	KeyPassphraseFile string `help:"File with the passphrase that private keys and secrets are encrypted under; its last line break does not count." placeholder:"FILE" group:"Keys:" xor:"key-secret"`
	KeyFile           string `help:"The same with a key of 32 random bytes." placeholder:"FILE" group:"Keys:" xor:"key-secret"`
}

// Secret reads it; nil if none is named. What others may read is told of.
func (k KeySettings) Secret(logger *slog.Logger) (*vault.Secret, error) {
	files := k.Files()
	if !files.Named() {
		return nil, nil
	}
	secret, _, err := files.Read(logger)
	return &secret, err
}

// Files are those named.
func (k KeySettings) Files() SecretFiles {
	return SecretFiles{"--key-passphrase-file", k.KeyPassphraseFile, "--key-file", k.KeyFile}
}

// SecretFiles are a file with a passphrase or one with a key, and the flags that name them.
type SecretFiles struct{ PassphraseFlag, Passphrase, KeyFlag, Key string }

// Named reports whether there is one.
func (s SecretFiles) Named() bool { return s.Passphrase != "" || s.Key != "" }

// Read reads the one that is named: as a secret, and as the admin API takes it.
func (s SecretFiles) Read(logger *slog.Logger) (_ vault.Secret, body map[string][]byte, err error) {
	flag, path, member, make := s.PassphraseFlag, s.Passphrase, "passphrase", vault.Passphrase
	switch {
	case s.Passphrase != "" && s.Key != "":
		return vault.Secret{}, nil, fmt.Errorf("%s and %s are two ways to say one thing; leave one out", s.PassphraseFlag, s.KeyFlag)
	case !s.Named():
		return vault.Secret{}, nil, fmt.Errorf("name a file with %s or %s", s.PassphraseFlag, s.KeyFlag)
	case s.Key != "":
		flag, path, member, make = s.KeyFlag, s.Key, "key", vault.Key
	}
	raw, err := readSecretFile(path, logger)
	if err != nil {
		return vault.Secret{}, nil, fmt.Errorf("%s: %w", flag, err)
	}
	if s.Key == "" {
		raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	}
	secret, err := make(raw)
	if err != nil {
		return vault.Secret{}, nil, fmt.Errorf("%s: %s has %w", flag, path, err)
	}
	return secret, map[string][]byte{member: raw}, nil
}

// maxSecretFile bounds a file with a secret.
const maxSecretFile = 4 << 10

// othersRead are the rights of those who are neither owner nor group.
const othersRead = 0o004

func readSecretFile(path string, logger *slog.Logger) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&othersRead != 0 {
		logger.Warn("a file with a secret can be read by every user of this machine; take that right away (chmod 600)", "file", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(raw) > maxSecretFile {
		err = errors.New(path + " is too large for a secret")
	}
	return raw, err
}

// RotationSettings say how signing keys are replaced by themselves.
type RotationSettings struct {
	RotateEvery Days `help:"Replace the signing key after so long; 0: never." default:"0" placeholder:"90d" group:"Keys:"`
	RotateAhead Days `help:"How long a new key is published before it signs: as long as receivers keep key sets." default:"24h" group:"Keys:"`
	RetireAfter Days `help:"Take a key that was replaced out of the key set so long after its last signature." default:"7d" group:"Keys:"`
}

// Days is a duration that may be given in days: 90d.
type Days time.Duration

// day is one.
const day = 24 * time.Hour

// UnmarshalText reads a whole number of days, or a duration.
func (d *Days) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("want a number of days (90d), or a duration (36h)")
		}
		*d = Days(time.Duration(n) * day)
		return nil
	}
	length, err := time.ParseDuration(string(text))
	if err != nil || length < 0 {
		return fmt.Errorf("want a number of days (90d), or a duration (36h)")
	}
	*d = Days(length)
	return nil
}
