package redisauth

import (
	"context"
	"crypto/rand"
	"fmt"
)

// Bounds of a secret.
const (
	minSecret = 16
	maxSecret = 64
)

// Secret returns the random secret of that name, of n bytes (16 to 64), which all
// processes have in common. The first that asks makes it; it is in Redis in clear and
// stays for ever.
func (b *Backend) Secret(ctx context.Context, name string, n int) ([]byte, error) {
	if n < minSecret || n > maxSecret {
		return nil, fmt.Errorf("redisauth: secret of %d bytes, want %d to %d", n, minSecret, maxSecret)
	}
	fresh := make([]byte, n)
	_, _ = rand.Read(fresh) // never fails (crypto/rand)
	answer, err := b.db.Write(ctx, b.scripts.secret, []string{b.keys.secrets}, name, fresh)
	if err != nil {
		return nil, fmt.Errorf("redisauth: %w", err)
	}
	kept, _ := answer.(string)
	if len(kept) != n {
		return nil, fmt.Errorf("redisauth: secret %s has %d bytes, want %d", name, len(kept), n)
	}
	return []byte(kept), nil
}
