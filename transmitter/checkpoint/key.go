package checkpoint

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Key signs the checkpoints of a log. It is secret. A sealed one verifies only.
type Key struct {
	seed   [ed25519.SeedSize]byte
	public [ed25519.PublicKeySize]byte
	sealed string // as a vault has sealed the seed, which is zero; "": it is not sealed
}

// NewKey returns a new key.
func NewKey() Key {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:]) // never fails
	return keyOf(seed)
}

func keyOf(seed [ed25519.SeedSize]byte) Key {
	k := Key{seed: seed}
	copy(k.public[:], ed25519.NewKeyFromSeed(seed[:])[ed25519.SeedSize:])
	return k
}

// sealedKey is how a sealed key is stored; another one is stored as its seed.
type sealedKey struct {
	Public []byte `json:"public"`
	Sealed string `json:"sealed"`
}

// ParseKey returns the key of what is stored.
func ParseKey(stored []byte) (Key, error) {
	if len(stored) == ed25519.SeedSize {
		return keyOf([ed25519.SeedSize]byte(stored)), nil
	}
	var s sealedKey
	if json.Unmarshal(stored, &s) != nil || len(s.Public) != ed25519.PublicKeySize || !vault.Sealed([]byte(s.Sealed)) {
		return Key{}, fmt.Errorf("checkpoint: the log's key has %d bytes, want %d, or a sealed key", len(stored), ed25519.SeedSize)
	}
	return Key{public: [ed25519.PublicKeySize]byte(s.Public), sealed: s.Sealed}, nil
}

// Stored returns what the key is stored as. It is for storage alone.
func (k Key) Stored() []byte {
	if k.sealed == "" {
		return k.seed[:]
	}
	text, _ := json.Marshal(sealedKey{k.public[:], k.sealed}) // never fails
	return text
}

// String shows nothing of the key.
func (Key) String() string { return "key of a log" }

// GoString shows nothing of the key.
func (k Key) GoString() string { return k.String() }

// LogValue shows nothing of the key.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Verifier returns the key that others verify an origin's checkpoints with:
// "origin+hash+key", as golang.org/x/mod/sumdb/note reads it.
func (k Key) Verifier(origin string) string {
	text, err := note.NewEd25519VerifierKey(origin, k.public[:])
	if err != nil { // impossible: it has the size of a key
		return ""
	}
	return text
}

// name binds what is sealed to its key.
func (k Key) name() string { return fmt.Sprintf("log key %x", k.public) }

// seal returns the key sealed.
func (k Key) seal(v *vault.Vault) (Key, error) {
	sealed, err := v.Seal(k.name(), k.seed[:])
	return Key{public: k.public, sealed: string(sealed)}, err
}

// open returns a sealed key in clear.
func (k Key) open(v *vault.Vault) (Key, error) {
	if k.sealed == "" {
		return k, nil
	}
	seed, err := v.Open(k.name(), []byte(k.sealed))
	if err != nil {
		return Key{}, err
	}
	if len(seed) != ed25519.SeedSize || keyOf([ed25519.SeedSize]byte(seed)).public != k.public {
		return Key{}, fmt.Errorf("%w (the log's key)", vault.ErrDamaged)
	}
	return keyOf([ed25519.SeedSize]byte(seed)), nil
}

// openKey returns the key of the store and its origin, after it was sealed there if the
// vault does. With a locked vault the key signs nothing.
func openKey(ctx context.Context, cfg *Config) (Key, string, error) {
	if cfg.Vault.Opens() {
		if err := sealKey(ctx, cfg); err != nil {
			return Key{}, "", err
		}
	}
	k, origin, err := cfg.Store.Key(ctx)
	if err != nil {
		return Key{}, "", err
	}
	opened, err := k.open(cfg.Vault)
	if errors.Is(err, vault.ErrLocked) && cfg.Vault.Seals() {
		return k, origin, nil
	}
	return opened, origin, err
}

// sealKey seals the key of the store, or makes a sealed one if there is none.
func sealKey(ctx context.Context, cfg *Config) error {
	made, err := NewKey().seal(cfg.Vault)
	if err != nil {
		return err
	}
	if err := cfg.Store.ReplaceKey(ctx, Key{}, made); !errors.Is(err, ErrOtherKey) {
		return err
	}
	k, _, err := cfg.Store.Key(ctx)
	if err != nil || k.sealed != "" {
		return err
	}
	if made, err = k.seal(cfg.Vault); err != nil {
		return err
	}
	err = cfg.Store.ReplaceKey(ctx, k, made)
	if errors.Is(err, ErrOtherKey) { // another process has done it
		return nil
	}
	if err == nil {
		cfg.Logger.WarnContext(ctx, "the log's key was stored in clear and is encrypted now; copies made before have it in clear")
	}
	return err
}
