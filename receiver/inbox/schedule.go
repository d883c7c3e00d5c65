package inbox

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Schedule lists the delays before the second, third, … attempt of a hook.
// After the last one the message is set aside.
type Schedule []time.Duration

// jitter spreads delays by ±20 %, so that failures of one cause do not return together.
const jitter = 0.2

// DefaultSchedule is about a day and a half of attempts: seconds first, for a
// passing fault, then hours, for somebody to repair the rest.
func DefaultSchedule() Schedule {
	return slices.Concat(
		Schedule{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute},
		Schedule{time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 6 * time.Hour, 6 * time.Hour, 6 * time.Hour},
	)
}

// Delay returns how long to wait after the given number of failed attempts (≥ 1),
// jitter included, and false if there shall be no further attempt.
func (s Schedule) Delay(failed int) (time.Duration, bool) {
	if failed < 1 || failed > len(s) {
		return 0, false
	}
	d := float64(s[failed-1])
	return time.Duration(d * (1 - jitter + 2*jitter*rand.Float64())), true
}
