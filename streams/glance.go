package streams

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Glancer tells how all streams are, without a list of them. Safe for concurrent use.
type Glancer interface {
	// Glance counts the streams and returns up to max (≥ 0) of them, the worst first
	// (CompareLooks). It is for people: streams that change meanwhile may be counted as
	// they were or as they are. It costs a short look at each stream, in memory or in one
	// call of a server, and one read for each that is returned.
	Glance(ctx context.Context, max int) (Glance, error)
}

// Glance is how all streams are.
type Glance struct {
	// Streams is how many there are, webhooks included. Each is counted once in what
	// follows, with its concern.
	Streams  int
	Concerns map[Concern]int
	// Worst are some of them, the worst first.
	Worst []Look
}

// Look is how one stream is.
type Look struct {
	Stream  Stream
	Concern Concern
	Depth   Depth // without Leased
	Health  Health
}

// Concern is the most urgent of what is to be said of a stream.
type Concern int

// The concerns, the least urgent first.
const (
	// Fine: it is enabled, and nothing is amiss. SETs may be under way.
	Fine Concern = iota
	// Letters: there are dead letters.
	Letters
	// Quiet: its receiver paused or disabled it.
	Quiet
	// Stopped: it was paused or disabled by the transmitter or an operator.
	Stopped
	// Failing: its receiver cannot be reached or takes nothing.
	Failing
)

// String returns the concern's name.
func (c Concern) String() string {
	return [...]string{"fine", "dead letters", "paused by its receiver", "stopped", "failing"}[c]
}

// ConcernOf returns the concern of a stream in a status that by decided.
func ConcernOf(status Status, by Party, failures, dead int) Concern {
	switch {
	case status == Enabled && failures > 0:
		return Failing
	case status != Enabled && by != ByReceiver:
		return Stopped
	case status != Enabled:
		return Quiet
	case dead > 0:
		return Letters
	}
	return Fine
}

// CompareLooks puts the worse of two first: the more urgent concern, then what has waited
// for longer, then more dead letters, more that waits, and the id.
func CompareLooks(a, b Look) int {
	return cmp.Or(
		cmp.Compare(b.Concern, a.Concern),
		compareAge(a.Depth.Oldest, b.Depth.Oldest),
		cmp.Compare(b.Depth.Dead, a.Depth.Dead),
		cmp.Compare(b.Depth.Items, a.Depth.Items),
		strings.Compare(a.Stream.ID, b.Stream.ID),
	)
}

// compareAge puts the earlier first, and none at all last.
func compareAge(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// Worst keeps the max worst looks of many. Its zero value keeps none.
type Worst struct {
	Max  int
	list []Look
}

// Add keeps one, if it is among the worst.
func (w *Worst) Add(l Look) {
	w.list = append(w.list, l)
	if len(w.list) >= 2*w.Max+16 { // now and then, not each time
		w.cut()
	}
}

// List returns them, the worst first.
func (w *Worst) List() []Look {
	w.cut()
	return w.list
}

func (w *Worst) cut() {
	slices.SortFunc(w.list, CompareLooks)
	w.list = w.list[:min(len(w.list), max(w.Max, 0))]
}
