package keys

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// material is what is stored of a key that is not in clear: the public half, so that it
// can be published without the private one, and that one sealed, or that it is held
// elsewhere. A key in clear is stored as its private JWK.
type material struct {
	KeyType   string          `json:"kty,omitempty"` // of a JWK
	Public    json.RawMessage `json:"public,omitempty"`
	Sealed    string          `json:"sealed,omitempty"`
	Elsewhere bool            `json:"elsewhere,omitempty"`
}

// sealName binds what is sealed to its key.
func sealName(kid string, alg jose.Algorithm) string {
	return fmt.Sprintf("signing key %s %s", kid, alg)
}

// InClear reports whether the record has its private half in clear.
func (r Record) InClear() bool {
	var m material
	return json.Unmarshal(r.Private, &m) == nil && m.KeyType != ""
}

// stored returns what is stored of a key whose private JWK is given.
func stored(key *jose.PublicKey, private []byte, v *vault.Vault) ([]byte, error) {
	if !v.Seals() {
		return private, nil
	}
	sealed, err := v.Seal(sealName(key.ID(), key.Algorithm()), private)
	if err != nil {
		return nil, err
	}
	public, err := key.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return json.Marshal(material{Public: public, Sealed: string(sealed)})
}

// elsewhere returns what is stored of a key that is held elsewhere.
func elsewhere(key *jose.PublicKey) ([]byte, error) {
	public, err := key.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return json.Marshal(material{Public: public, Elsewhere: true})
}

// isElsewhere reports whether the private half of a record is held elsewhere.
func isElsewhere(r Record) bool {
	var m material
	return json.Unmarshal(r.Private, &m) == nil && m.KeyType == "" && m.Elsewhere
}

// publicOf reads the public half of a record. No error shows anything of a key.
func publicOf(r Record) (*jose.PublicKey, error) {
	raw := r.Private
	if !r.InClear() {
		var m material
		if json.Unmarshal(raw, &m) != nil || m.Public == nil {
			return nil, errors.New("it cannot be read")
		}
		raw = m.Public
	}
	key, err := jose.ParsePublicKey(raw)
	if err == nil && (key.ID() != r.ID || key.Algorithm() != r.Algorithm) {
		err = errors.New("it is another key")
	}
	return key, err
}

// privateOf reads the whole key of a record. If the vault is locked, the key signs nothing;
// one that is held elsewhere is asked of from.
func privateOf(r Record, v *vault.Vault, from Elsewhere) (*jose.PrivateKey, error) {
	if r.InClear() {
		return jose.ParsePrivateKey(r.Private)
	}
	public, err := publicOf(r)
	if err != nil {
		return nil, err
	}
	var m material
	if err := json.Unmarshal(r.Private, &m); err != nil {
		return nil, errors.New("it cannot be read")
	}
	if m.Elsewhere {
		return jose.Hold(public, remote{public, from})
	}
	raw, err := v.Open(sealName(r.ID, r.Algorithm), []byte(m.Sealed))
	if errors.Is(err, vault.ErrLocked) && v.Seals() {
		return jose.Hold(public, locked{public.Raw()})
	}
	if err != nil {
		return nil, err
	}
	key, err := jose.ParsePrivateKey(raw)
	if err != nil {
		return nil, err
	}
	if key.ID() != r.ID || key.Algorithm() != r.Algorithm {
		return nil, errors.New("it is another key")
	}
	return key, nil
}

// locked is a key that nobody has opened.
type locked struct{ public crypto.PublicKey }

func (l locked) Public() crypto.PublicKey { return l.public }

func (locked) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, vault.ErrLocked
}

// seal seals what is in clear in the store.
func (r *Ring) seal(ctx context.Context) error {
	if !r.cfg.Vault.Opens() {
		return nil
	}
	records, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, record := range records {
		if !record.InClear() {
			continue
		}
		public, err := publicOf(record)
		if err != nil {
			return fmt.Errorf("keys: stored key %s: %w", record.ID, err)
		}
		to, err := stored(public, record.Private, r.cfg.Vault)
		if err != nil {
			return err
		}
		err = r.cfg.Store.Replace(ctx, record.ID, record.Private, to)
		if errors.Is(err, ErrChanged) {
			continue // another process has done it, or retired the key
		}
		if err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		r.cfg.Logger.WarnContext(ctx, "signing keys were stored in clear and are encrypted now; copies made before have them in clear: if others may have read those, rotate", slog.Int("keys", n))
	}
	return nil
}
