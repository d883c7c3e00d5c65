package doctor

import (
	"crypto/x509"
	"os"
	"time"
)

// Trusted is for tests: a look at the chain of a certificate on a machine that trusts it.
func Trusted(r *Report, file string, now time.Time) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	trusted(r, file, parseChain(raw), roots, now)
}

// RedisState is for tests: what a server tells of itself.
func RedisState(r *Report, info string, replicas int) { redisState(r, info, replicas) }
