package receiver

import (
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// How a SET came, as an [Observer] is told.
const (
	ByPush = "push"
	ByPoll = "poll"
	ByCall = "call" // of Receiver.Accept
)

// Observer is told what a receiver does, as it happens: for metrics. A function that
// is nil is not called. They are called by many goroutines at once and must not block.
type Observer struct {
	// Arrived is told of each SET that came: whether its (iss, jti)
	// was seen before, and how it ended: nil, kept; a *set.Error, refused; any other
	// error, to be offered again.
	Arrived func(by string, repeat bool, err error)
	// Handled is told of each run of an event's hooks, with its verdict.
	Handled func(verdict inbox.Verdict, took time.Duration)
	// Done is told of each event whose hooks have done what they were asked, how long
	// that is after its SET came, and how long after the transmitter recorded the event
	// (iat): by both clocks, in whole seconds there, never negative.
	Done func(sinceReceived, sinceRecorded time.Duration)
	// Polled is told of each poll, and how it ended.
	Polled func(err error)
}

// complete returns o with functions that do nothing where there are none.
func (o Observer) complete() Observer {
	if o.Arrived == nil {
		o.Arrived = func(string, bool, error) {}
	}
	if o.Handled == nil {
		o.Handled = func(inbox.Verdict, time.Duration) {}
	}
	if o.Done == nil {
		o.Done = func(_, _ time.Duration) {}
	}
	if o.Polled == nil {
		o.Polled = func(error) {}
	}
	return o
}
