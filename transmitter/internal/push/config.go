package push

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// DefaultInFlight is the most SETs in flight on all streams together, unless
// Config.InFlight says otherwise.
const DefaultInFlight = 2048

const (
	// retryFirst and retryMost bound the pause after a failure of the store.
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
	// busy and gatherTime: where so many are in flight, an answer waits a
	// moment for others before it is written down.
	busy       = 3
	gatherTime = 4 * time.Millisecond
	// jitter is how far a pause may stray from the schedule, either way.
	jitter = 0.2
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
	// keyTries: invalid_key alone is retried per SET, three times in ten
	// minutes, since the receiver may be fetching keys. keySoon is longer than
	// receivers commonly wait between two looks at our keys, so that a rotation
	// costs seconds; keyLate leaves them time to be mended.
	keyTries = 3
	keySoon  = 15 * time.Second
	keyLate  = 6 * time.Minute
	// maxKeyCounts bounds the SETs whose invalid_key answers are counted.
	maxKeyCounts = 1 << 16
)

// keyPause returns the pause after the n-th invalid_key to a SET (n ≥ 1).
func keyPause(n int) time.Duration {
	if n == 1 {
		return keySoon
	}
	return keyLate
}

// DefaultSchedule returns the pauses of contracts.md §5.
func DefaultSchedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
	}
}

func (c *Config) setDefaults() {
	if c.Window == 0 {
		c.Window = 32
	}
	if c.InFlight == 0 {
		c.InFlight = DefaultInFlight
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Schedule == nil {
		c.Schedule = DefaultSchedule()
	}
	if c.GiveUp == 0 {
		c.GiveUp = 5 * 24 * time.Hour
	}
	if c.Refusals == 0 {
		c.Refusals = 20
	}
	if c.Blocked == nil {
		c.Blocked = func(error) bool { return false }
	}
	if c.Observe == nil {
		c.Observe = func(Attempt) {}
	}
	if c.Crash == nil {
		c.Crash = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// pauseAfter returns how long to wait after the n-th failure in a row (n ≥ 1),
// or longer if the receiver asked for it.
func (c *Config) pauseAfter(n int, retryAfter time.Duration) time.Duration {
	step := c.Schedule[min(n, len(c.Schedule))-1]
	stray := 1 - jitter + 2*jitter*c.Jitter()
	return min(max(time.Duration(float64(step)*stray), min(retryAfter, maxRetryAfter)), streams.MaxBackOff)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
