package receive

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// decryption reads the keys to which an issuer's SETs are encrypted; nil: there are none.
func decryption(is Issuer) (*jose.DecryptionKeys, error) {
	if len(is.DecryptionKeys) == 0 {
		return nil, nil //nolint:nilnil // none are configured
	}
	keys := make([]*jose.DecryptionKey, len(is.DecryptionKeys))
	for i, name := range is.DecryptionKeys {
		var err error
		if keys[i], err = keyfile.ReadDecryption(name); err != nil {
			return nil, fmt.Errorf("decryption_keys: %w", err)
		}
	}
	set, err := jose.NewDecryptionKeys(keys...)
	if err != nil {
		return nil, fmt.Errorf("decryption_keys: %w", err)
	}
	return set, nil
}
