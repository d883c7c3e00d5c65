package vault

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

const (
	// maxHeader bounds the stored data key in bytes.
	maxHeader = 4 << 10
	saltSize  = 16
)

// Store keeps the sealed data key, some hundred bytes. Durable on return; safe for
// concurrent use, also by several processes. The suite of the contract is vaulttest.
type Store interface {
	// Header returns it; nil if there is none.
	Header(ctx context.Context) ([]byte, error)
	// Replace puts to in the place of from; nil: there is none. Error: [ErrChanged]
	// if another one is there.
	Replace(ctx context.Context, from, to []byte) error
}

// Config says where the data key is and what it is sealed under.
type Config struct {
	// Store of the data key; required.
	Store Store
	// Secret it is sealed under; nil: none is given.
	Secret *Secret
	// Locked returns a vault that opens nothing where no secret is given and there is
	// a data key, in place of [ErrLocked].
	Locked bool
	// Logger is told when all is encrypted from now on; nil: slog.Default.
	Logger *slog.Logger
}

// header is the sealed data key as it is stored.
type header struct {
	how
	Box string `json:"box"`
}

// Open returns the vault of a store. Where there is no data key it makes one if a secret
// is given, and returns nil, which keeps all in clear, if none is.
//
// Errors: [ErrLocked], [ErrWrong]; any other is a failure of the store.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	for {
		stored, err := cfg.Store.Header(ctx)
		switch {
		case err != nil:
			return nil, err
		case stored != nil && cfg.Secret == nil && cfg.Locked:
			return Locked(), nil
		case stored != nil && cfg.Secret == nil:
			return nil, ErrLocked
		case cfg.Secret == nil:
			return nil, nil
		case stored != nil:
			key, err := open(stored, *cfg.Secret)
			if err != nil {
				return nil, err
			}
			return newVault(key)
		}
		key := make([]byte, KeySize)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		made, err := wrap(key, *cfg.Secret)
		if err != nil {
			return nil, err
		}
		err = cfg.Store.Replace(ctx, nil, made)
		if errors.Is(err, ErrChanged) {
			continue // of several processes that begin at once, one makes it
		}
		if err != nil {
			return nil, err
		}
		cfg.Logger.WarnContext(ctx, "private keys and secrets are encrypted from now on; without the passphrase or key nobody opens them again, so keep it, and not where the backups are")
		return newVault(key)
	}
}

// Rewrap seals the data key under another secret. Running processes go on; the next start
// needs the new one. Where it is done already nothing is. Errors: [ErrNone], [ErrWrong], [ErrChanged]; any other is a failure
// of the store.
func Rewrap(ctx context.Context, store Store, from, to Secret) error {
	stored, err := store.Header(ctx)
	if err != nil {
		return err
	}
	if stored == nil {
		return ErrNone
	}
	key, err := open(stored, from)
	if errors.Is(err, ErrWrong) {
		if _, done := open(stored, to); done == nil { // and who asked did not hear the answer
			return nil
		}
	}
	if err != nil {
		return err
	}
	made, err := wrap(key, to)
	if err != nil {
		return err
	}
	return store.Replace(ctx, stored, made)
}

// Copy takes the data key from one store to another, which has none, or the same.
func Copy(ctx context.Context, from, to Store) error {
	stored, err := from.Header(ctx)
	if err != nil || stored == nil {
		return err
	}
	there, err := to.Header(ctx)
	if err != nil || string(there) == string(stored) {
		return err
	}
	return to.Replace(ctx, nil, stored)
}

func wrap(key []byte, s Secret) ([]byte, error) {
	h := header{how: how{By: byKey}}
	if s.passphrase != nil {
		h.how = how{By: byPassphrase, Time: argonTime, MemoryKiB: argonMemoryKiB, Threads: argonThreads, Salt: make([]byte, saltSize)}
		_, _ = rand.Read(h.Salt) // never fails (crypto/rand)
	}
	v, err := h.vault(s)
	if err != nil {
		return nil, err
	}
	box, err := v.Seal(h.name(), key)
	if err != nil {
		return nil, err
	}
	h.Box = string(box)
	return json.Marshal(h)
}

func open(stored []byte, s Secret) ([]byte, error) {
	var h header
	if len(stored) > maxHeader || json.Unmarshal(stored, &h) != nil || !Sealed([]byte(h.Box)) {
		return nil, errors.New("vault: the stored data key cannot be read")
	}
	v, err := h.vault(s)
	if err != nil {
		return nil, err
	}
	key, err := v.Open(h.name(), []byte(h.Box))
	if err != nil || len(key) != KeySize {
		return nil, ErrWrong
	}
	return key, nil
}

// name binds how the data key is sealed to it.
func (h how) name() string {
	return fmt.Sprintf("%s %s %d %d %d %x", dataKey, h.By, h.Time, h.MemoryKiB, h.Threads, h.Salt)
}
