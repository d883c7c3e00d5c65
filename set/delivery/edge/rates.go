package edge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is how many seconds' worth of requests may come at once.
	burst = 10
	// maxKeys bounds the keys of one generation; there are two.
	maxKeys = 16 << 10
)

// Rates allow each key (a client, an address) so many requests a second, and ten
// seconds' worth at once. They remember at least the last 16,384 keys: who comes from
// ever new addresses takes no memory, and is bounded by connections. Those of another
// process count for themselves. Safe for concurrent use; a nil *Rates allows all.
type Rates[K comparable] struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu sync.Mutex
	// Keys that were used lately are in young, or will be; when it is full it becomes
	// old, and what was old is forgotten.
	young, old map[K]*rate.Limiter
}

// NewRates returns rates of perSecond requests; nil, which allows all, if it is not
// positive. A nil clock is time.Now.
func NewRates[K comparable](perSecond float64, now func() time.Time) *Rates[K] {
	if perSecond <= 0 {
		return nil
	}
	if now == nil {
		now = time.Now
	}
	return &Rates[K]{
		limit: rate.Limit(perSecond), burst: max(1, int(perSecond*burst)), now: now,
		young: make(map[K]*rate.Limiter),
	}
}

// Take counts one request of key. If there were too many it reports false, and after
// how long the next is allowed; such a request is not counted.
func (r *Rates[K]) Take(key K) (wait time.Duration, ok bool) {
	if r == nil {
		return 0, true
	}
	now := r.now()
	one := r.of(key)
	if one.AllowN(now, 1) { // a reservation that is taken back costs something, where there are others
		return 0, true
	}
	return max(r.wait(one, now), 1), false
}

// Spent reports what Take would, and counts nothing.
func (r *Rates[K]) Spent(key K) (wait time.Duration, spent bool) {
	if r == nil {
		return 0, false
	}
	wait = r.wait(r.of(key), r.now())
	return wait, wait > 0
}

// wait is after how long one has room, zero if it has.
func (r *Rates[K]) wait(one *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - one.TokensAt(now)
	return max(0, time.Duration(missing/float64(r.limit)*float64(time.Second)))
}

// of returns the limiter of key.
func (r *Rates[K]) of(key K) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.young[key]; l != nil {
		return l
	}
	l := r.old[key]
	if l == nil {
		l = rate.NewLimiter(r.limit, r.burst)
	}
	if len(r.young) >= maxKeys {
		r.old, r.young = r.young, make(map[K]*rate.Limiter)
	}
	r.young[key] = l
	return l
}
