//go:build !pkcs11

package pkcs11

import "github.com/tocsin-ssf/tocsin/transmitter/signer"

// Open returns [ErrNotBuilt].
func Open(Config) ([]signer.Key, func() error, error) { return nil, nil, ErrNotBuilt }
