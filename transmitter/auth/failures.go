package auth

import (
	"hash/maphash"

	"golang.org/x/time/rate"
)

// How many failed authentications of one client are answered with 401 before
// the answer becomes 429. A right secret is never held back, so that nobody can
// lock a client out by guessing.
const (
	failuresAtOnce    = 60
	failuresPerSecond = 1
	failureBuckets    = 256
)

// failures counts failed authentications by client id, known or not, in a fixed
// number of buckets: guessed ids take no memory and learn nothing.
type failures struct {
	seed    maphash.Seed
	buckets [failureBuckets]*rate.Limiter
}

func newFailures() *failures {
	f := &failures{seed: maphash.MakeSeed()}
	for i := range f.buckets {
		f.buckets[i] = rate.NewLimiter(failuresPerSecond, failuresAtOnce)
	}
	return f
}

// tooMany counts one failure and reports whether there were too many.
func (f *failures) tooMany(client string) bool {
	return !f.buckets[maphash.String(f.seed, client)%failureBuckets].Allow()
}
