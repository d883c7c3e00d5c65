package receiver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Activity tells what a receiver has seen since New. A time is zero if it never was.
type Activity struct {
	// Received is when the last SET came that was kept or had been before; Kept and
	// Repeats count both kinds.
	Received      time.Time
	Kept, Repeats uint64
	// Verified is when the last verification event came, with or without a state.
	Verified time.Time
	// Refused is when the last SET or push was refused for good, Refusal the code
	// that was answered and Refusals how many.
	Refused  time.Time
	Refusal  delivery.Code
	Refusals uint64
	// Polled is when the last poll succeeded. PollError says what is wrong since;
	// empty if the last poll succeeded. It tells no address and no secret.
	Polled    time.Time
	PollError string
}

// Activity returns what the receiver has seen since New.
func (r *Receiver) Activity() Activity { return r.seen.now() }

// activity is Activity in the making. What each SET changes is atomic.
type activity struct {
	last, verified, kept, repeats atomic.Int64 // times in milliseconds of the Unix epoch

	mu   sync.Mutex
	rest Activity // what is not above
}

func (a *activity) received(m *inbox.Message, appended inbox.Appended) {
	a.last.Store(m.Received.UnixMilli())
	if appended.Duplicate {
		a.repeats.Add(1)
		return
	}
	a.kept.Add(1)
	if m.Type == streams.TypeVerification {
		a.verified.Store(m.Received.UnixMilli())
	}
}

func (a *activity) refused(at time.Time, code delivery.Code) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rest.Refused, a.rest.Refusal = at, code
	a.rest.Refusals++
}

func (a *activity) polled(at time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.rest.PollError = err.Error()
		return
	}
	a.rest.Polled, a.rest.PollError = at, ""
}

func (a *activity) now() Activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.rest
	out.Received, out.Verified = moment(a.last.Load()), moment(a.verified.Load())
	out.Kept, out.Repeats = uint64(a.kept.Load()), uint64(a.repeats.Load())
	return out
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// place is an address that is told once it is known, and may change.
type place struct {
	mu      sync.Mutex
	value   string
	changed chan struct{} // closed when value changes; nil: nobody has asked
}

func (p *place) tell(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value == p.value {
		return
	}
	p.value = value
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// now returns the value and a channel that is closed when it changes.
func (p *place) now() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.value, p.changed
}
