package vault

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Bounds of a secret.
const (
	// KeySize is the length of a key in bytes.
	KeySize = chacha20poly1305.KeySize
	// MinPassphrase and MaxPassphrase bound a passphrase in bytes.
	MinPassphrase = 12
	MaxPassphrase = 1024
)

// Argon2id as RFC 9106 §4 recommends it where memory is short. What a store asks for is
// bounded: it may be a stranger's.
const (
	argonTime      = 3
	argonMemoryKiB = 64 << 10
	argonThreads   = 4

	maxArgonTime      = 16
	maxArgonMemoryKiB = 1 << 20
	maxArgonThreads   = 16
)

// Secret is what the data key is sealed under. It shows nothing of itself.
type Secret struct {
	passphrase []byte // nil: it is a key
	key        []byte
}

// Passphrase returns the secret of a passphrase. Error: it is too short or too long.
func Passphrase(text []byte) (Secret, error) {
	if len(text) < MinPassphrase || len(text) > MaxPassphrase {
		return Secret{}, fmt.Errorf("a passphrase of %d bytes, want %d to %d", len(text), MinPassphrase, MaxPassphrase)
	}
	return Secret{passphrase: text}, nil
}

// Key returns the secret of a key of [KeySize] random bytes.
func Key(key []byte) (Secret, error) {
	if len(key) != KeySize {
		return Secret{}, fmt.Errorf("a key of %d bytes, want %d (head -c 32 /dev/urandom)", len(key), KeySize)
	}
	return Secret{key: key}, nil
}

// Format shows nothing of the secret under every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "secret") }

// LogValue shows nothing of the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// how is what the data key is sealed under, but for the secret itself.
type how struct {
	By        string `json:"by"`
	Time      uint32 `json:"time,omitempty"`
	MemoryKiB uint32 `json:"memory_kib,omitempty"`
	Threads   uint8  `json:"threads,omitempty"`
	Salt      []byte `json:"salt,omitempty"`
}

// Words of how.By.
const (
	byPassphrase = "argon2id"
	byKey        = "key"
)

// vault returns the one that seals the data key. Error: [ErrWrong] if the secret is of the
// other kind.
func (h how) vault(s Secret) (*Vault, error) {
	switch h.By {
	case byKey:
		if s.key == nil {
			return nil, fmt.Errorf("%w: a key file, and a passphrase is given", ErrWrong)
		}
		return newVault(s.key)
	case byPassphrase:
		if s.passphrase == nil {
			return nil, fmt.Errorf("%w: a passphrase, and a key file is given", ErrWrong)
		}
		if h.Time == 0 || h.Time > maxArgonTime || h.MemoryKiB == 0 || h.MemoryKiB > maxArgonMemoryKiB || h.Threads == 0 || h.Threads > maxArgonThreads {
			return nil, errors.New("vault: the stored data key asks for more work than is allowed")
		}
		return newVault(argon2.IDKey(s.passphrase, h.Salt, h.Time, h.MemoryKiB, h.Threads, KeySize))
	}
	return nil, fmt.Errorf("vault: the stored data key is of an unknown kind %.20q; it may be a later version's", h.By)
}
