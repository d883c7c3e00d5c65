package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// unlock opens the vault, and what of the administration is secret with it. sealed: some
// of that was in clear and is encrypted now.
func (n *Node) unlock(ctx context.Context, cfg *Config, store vault.Store, admin auth.Backend) (_ *auth.Store, sealed bool, err error) {
	logger := cfg.Transmitter.Logger
	n.Vault, err = vault.Open(ctx, vault.Config{Store: store, Secret: cfg.Secret, Locked: cfg.Offline, Logger: logger})
	if errors.Is(err, vault.ErrLocked) || errors.Is(err, vault.ErrWrong) {
		err = fmt.Errorf("%w (--key-passphrase-file or --key-file)", err)
	}
	if err != nil {
		return nil, false, err
	}
	if !n.Vault.Seals() {
		return auth.NewStore(admin), false, nil
	}
	if n.Vault.Opens() {
		done, err := auth.Seal(ctx, admin, n.Vault)
		if err != nil {
			return nil, false, err
		}
		if sealed = done > 0; sealed {
			logger.WarnContext(ctx, "secrets of vendors and webhooks were stored in clear and are encrypted now; copies made before have them in clear: if others may have read those, replace the secrets", "records", done)
		}
	}
	return auth.NewStore(auth.Sealed(admin, n.Vault)), sealed, nil
}
