package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// openKeys opens the ring of signing keys: those of the store, or those that a signer
// holds.
func (n *Node) openKeys(ctx context.Context, cfg *Config, store keys.Store) error {
	tc := &cfg.Transmitter
	ring := keys.Config{
		Store: store, Vault: n.Vault, Algorithm: cfg.Algorithm, Now: tc.Now, Logger: tc.Logger,
		RotateEvery: cfg.Rotation.Every, PublishAhead: cfg.Rotation.Ahead, RetireAfter: cfg.Rotation.Retire,
	}
	if cfg.Signer != "" {
		client, err := signer.New(signer.Config{Path: cfg.Signer, Logger: tc.Logger})
		if err != nil {
			return fmt.Errorf("--signer: %w", err)
		}
		n.Signer, ring.Elsewhere = client, client
		tc.Beside = append(tc.Beside, client.Run)
	}
	var err error
	if n.Keys, err = keys.Open(ctx, ring); errors.Is(err, keys.ErrAway) {
		return fmt.Errorf("there is no signing key yet, and the signer at %s (--signer) does not answer: %w", cfg.Signer, err)
	}
	if err != nil {
		return err
	}
	if _, why := n.Keys.Away(); errors.Is(why, keys.ErrHeld) && !cfg.Offline {
		return fmt.Errorf("%w: name it with --signer, or begin to keep keys here (tocsin key rotate --here)", why)
	}
	return nil
}
