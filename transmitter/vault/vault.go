// Package vault keeps private material sealed where it is stored: signing keys, the log's
// key, secrets of vendors and webhooks (docs/operations/keys.md).
//
// Each value is sealed by itself with XChaCha20-Poly1305 under one data key, with its name
// as associated data, so that none can be put in the place of another. The data key is
// stored beside, sealed under a key of 32 bytes, or under one that Argon2id makes of a
// passphrase (RFC 9106 §4): another passphrase changes that one value.
//
// It keeps secrets from whoever reads the stores, a backup of them or a replica. It does
// not help against who can read the memory of the process, or its passphrase.
package vault

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"
)

// prefix begins what is sealed, and tells it from what is in clear.
const prefix = "tocsin-sealed:1:"

// dataKey is the name under which the data key is sealed.
const dataKey = "data key"

// Errors that callers branch on.
var (
	// ErrLocked: the value is sealed, and there is no key to open it with.
	ErrLocked = errors.New("vault: private keys and secrets are encrypted, and neither passphrase nor key is given")
	// ErrSealed: all is to be sealed, and a process that began before that would have kept a
	// value in clear.
	ErrSealed = errors.New("vault: another node encrypts private keys and secrets since, so nothing is kept in clear any more: start this one anew with the same --key-passphrase-file or --key-file")
	// ErrWrong: the passphrase or key is not the one that was used.
	ErrWrong = errors.New("vault: private keys and secrets are encrypted under another passphrase or key")
	// ErrDamaged: what is stored was changed, or is another value's.
	ErrDamaged = errors.New("vault: an encrypted value is damaged or not of this name")
	// ErrNone: nothing is encrypted.
	ErrNone = errors.New("vault: private keys and secrets are not encrypted")
	// ErrChanged: another process was faster.
	ErrChanged = errors.New("vault: the passphrase or key was changed meanwhile")
)

// Vault seals and opens values. The nil Vault keeps them in clear. Immutable and safe for
// concurrent use. It shows nothing of its key.
type Vault struct {
	aead cipher.AEAD // nil: locked
}

// Locked returns a vault that opens and seals nothing, for work on what is sealed that
// needs no secret.
func Locked() *Vault { return &Vault{} }

func newVault(key []byte) (*Vault, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return &Vault{aead: aead}, nil
}

// Sealed reports whether a stored value is sealed.
func Sealed(stored []byte) bool { return bytes.HasPrefix(stored, []byte(prefix)) }

// Seals reports whether values are to be sealed: all but the nil Vault's.
func (v *Vault) Seals() bool { return v != nil }

// Opens reports whether the vault can open what is sealed.
func (v *Vault) Opens() bool { return v != nil && v.aead != nil }

// Seal returns what is to be stored of a value under a name: printable text, 75 bytes and
// a third longer than the value. Error: [ErrLocked].
func (v *Vault) Seal(name string, value []byte) ([]byte, error) {
	if v == nil {
		return value, nil
	}
	if v.aead == nil {
		return nil, ErrLocked
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(value)+chacha20poly1305.Overhead)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	box := v.aead.Seal(nonce, nonce, value, []byte(name))
	return base64.RawURLEncoding.AppendEncode([]byte(prefix), box), nil
}

// Open returns the value that was stored under a name; one in clear as it is. Errors:
// [ErrLocked], [ErrDamaged].
func (v *Vault) Open(name string, stored []byte) ([]byte, error) {
	if !Sealed(stored) {
		return stored, nil
	}
	if !v.Opens() {
		return nil, ErrLocked
	}
	box, err := base64.RawURLEncoding.Strict().AppendDecode(nil, stored[len(prefix):])
	if err != nil || len(box) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("%w (%s)", ErrDamaged, name)
	}
	nonce, box := box[:chacha20poly1305.NonceSizeX], box[chacha20poly1305.NonceSizeX:]
	value, err := v.aead.Open(nil, nonce, box, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", ErrDamaged, name)
	}
	return value, nil
}

// Format shows nothing of the key under every verb.
func (v *Vault) Format(f fmt.State, _ rune) { fmt.Fprint(f, "vault") }

// LogValue shows nothing of the key.
func (v *Vault) LogValue() slog.Value { return slog.StringValue("vault") }
