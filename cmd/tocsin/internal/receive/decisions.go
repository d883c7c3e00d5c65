package receive

import (
	"net/http"
	"slices"
	"sync"

	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// maxDecisions is how many of the gate's last decisions are kept, of those that let a
// request through and of those that did not: many of one kind hide none of the other.
const maxDecisions = 100

// decisions are the last of the check endpoint, in memory. The zero value is ready. Safe
// for concurrent use.
type decisions struct {
	mu            sync.Mutex
	through, away lastDecisions
}

type lastDecisions struct {
	list []check.Decision
	next int // where the oldest is, once there are maxDecisions
}

func (l *lastDecisions) add(d check.Decision) {
	if len(l.list) < maxDecisions {
		l.list = append(l.list, d)
		return
	}
	l.list[l.next] = d
	l.next = (l.next + 1) % maxDecisions
}

func (d *decisions) add(one check.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one.Status == http.StatusOK {
		d.through.add(one)
		return
	}
	d.away.add(one)
}

// last returns them, the latest first.
func (d *decisions) last(through, away bool) []Decision {
	d.mu.Lock()
	var list []check.Decision
	if through {
		list = append(list, d.through.list...)
	}
	if away {
		list = append(list, d.away.list...)
	}
	d.mu.Unlock()
	slices.SortStableFunc(list, func(a, b check.Decision) int { return b.At.Compare(a.At) })
	out := make([]Decision, len(list))
	for i, one := range list {
		one.At = one.At.UTC()
		out[i] = Decision{one, one.Took.Microseconds()}
	}
	return out
}

// Decision is one on the wire.
type Decision struct {
	check.Decision
	TookUS int64 `json:"took_us"`
}

// Decisions are the last of the check endpoint.
type Decisions struct {
	// Offered: there is a check endpoint.
	Offered   bool       `json:"offered"`
	Decisions []Decision `json:"decisions"`
}

// decided answers what the check endpoint decided last, the latest first; ?outcome=
// through or away asks for those that let a request through, or did not.
func (d *Daemon) decided(w http.ResponseWriter, r *http.Request) {
	outcome := r.URL.Query().Get("outcome")
	if !slices.Contains([]string{"", "through", "away"}, outcome) {
		refused(w, http.StatusBadRequest, "invalid_request", "outcome is neither through nor away")
		return
	}
	out := Decisions{Decisions: []Decision{}}
	if d.gate != nil && d.gate.check != nil {
		out.Offered, out.Decisions = true, d.gate.decisions.last(outcome != "away", outcome != "through")
	}
	answer(w, http.StatusOK, out)
}
