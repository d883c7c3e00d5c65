package bench

import "time"

// What tests see of the inside.
var (
	Percentile = percentile
	SentAt     = sentAt
)

// Judge judges rounds by a bound.
func Judge(atLeast bool, target float64, rounds []Round) Result {
	w := workload{name: "w"}
	if atLeast {
		return w.atLeast(target, "u", rounds)
	}
	return w.atMost(target, "u", rounds)
}

// Event is a load's next event with a subject of its own.
func Event(eventType string) []byte { return newLoad().body(sendCall{Type: eventType, Batch: 1}) }

// CPU is what a process has used.
func CPU(pid int) (time.Duration, error) { return cpuOf(pid) }
