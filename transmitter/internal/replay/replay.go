// Package replay notes orders to send a stream again what the log holds from a
// time on. An order is an entry of the log; the fan-out carries it out when it
// comes to it, so that it stands in order with all else, and an order that is
// interrupted is carried out again to the same end.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Order is an order as the log has it.
type Order struct {
	Stream      string `json:"stream"`
	Application string `json:"application"`
	// From is the time of recording from which on events are sent again.
	From time.Time `json:"from"`
	By   string    `json:"by,omitempty"`
}

// Read returns the order that a record holds; false if it holds none.
func Read(rec *eventlog.Record) (Order, bool) {
	var o Order
	if rec.Kind != eventlog.KindReplay || rec.Erased || json.Unmarshal(rec.Entry, &o) != nil || o.Stream == "" {
		return Order{}, false
	}
	return o, true
}

// ref is the key of a stream's orders.
func ref(stream string) string { return "stream\x00" + stream }

// Errors of an order.
var (
	ErrFuture   = errors.New("replay: from is in the future")
	ErrDisabled = errors.New("replay: the stream is disabled")
	ErrUnderWay = errors.New("replay: the stream has an order that is not carried out yet")
)

// Log is what is asked of the event log.
type Log interface {
	eventlog.Journal
	Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error)
	Record(ctx context.Context, seq uint64) (*eventlog.Record, error)
	Head(ctx context.Context) (uint64, error)
}

// Orders notes orders. Safe for concurrent use.
type Orders struct {
	log  Log
	done Done
	now  func() time.Time
	mu   sync.Mutex // one order at a time
}

// Done tells how far the fan-out has come in the log for a stream, also before
// it runs.
type Done func(ctx context.Context, stream string) (uint64, error)

// New returns what notes orders in a log. now is the clock, nil: time.Now.
func New(log Log, done Done, now func() time.Time) *Orders {
	if now == nil {
		now = time.Now
	}
	return &Orders{log: log, done: done, now: now}
}

// Noted is an order that was noted.
type Noted struct {
	ID     string    `json:"id"`
	Stream string    `json:"stream_id"`
	From   time.Time `json:"from"`
	At     time.Time `json:"recorded_at"`
}

// Note notes an order for a stream; durable on return.
// Errors: [ErrFuture], [ErrDisabled], [ErrUnderWay]; any other is one of the log.
func (o *Orders) Note(ctx context.Context, s streams.Stream, from time.Time, by string) (Noted, error) {
	switch {
	case from.After(o.now()):
		return Noted{}, ErrFuture
	case s.Status == streams.Disabled:
		return Noted{}, ErrDisabled
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	last, err := o.log.Entries(ctx, eventlog.KindReplay, ref(s.ID), eventlog.Span{Newest: true, Max: 1})
	if err != nil {
		return Noted{}, fmt.Errorf("replay: %w", err)
	}
	if len(last) > 0 {
		done, err := o.done(ctx, s.ID)
		if err != nil {
			return Noted{}, fmt.Errorf("replay: %w", err)
		}
		if last[0].Seq > done {
			return Noted{}, ErrUnderWay
		}
	}
	from = from.UTC()
	application, _ := streams.ApplicationOf(s.Owner)
	text, err := json.Marshal(Order{Stream: s.ID, Application: application, From: from, By: by})
	if err != nil {
		return Noted{}, fmt.Errorf("replay: %w", err)
	}
	done, err := o.log.Note(ctx, eventlog.Entry{
		Kind: eventlog.KindReplay, Body: text, Refs: []string{eventlog.RefAll, ref(s.ID)},
	})
	if err != nil {
		return Noted{}, fmt.Errorf("replay: %w", err)
	}
	rec, err := o.log.Record(ctx, done[0].Seq)
	if err != nil {
		return Noted{}, fmt.Errorf("replay: %w", err)
	}
	return Noted{ID: rec.ID, Stream: s.ID, From: from, At: rec.Recorded}, nil
}

// countPage is how many orders are counted at a time.
const countPage = 1024

// Round returns which of its stream's orders the record is, from 1. The jtis of
// what an order sends are those of that round (contracts.md §6).
func Round(ctx context.Context, log eventlog.Journal, stream string, seq uint64) (uint32, error) {
	span := eventlog.Span{Before: seq + 1, Max: countPage}
	round := uint32(0)
	for {
		page, err := log.Entries(ctx, eventlog.KindReplay, ref(stream), span)
		if err != nil {
			return 0, fmt.Errorf("replay: %w", err)
		}
		if len(page) == 0 {
			return round, nil
		}
		round += uint32(len(page))
		span.After = page[len(page)-1].Seq
	}
}

// Start returns the place after which the records stand that were recorded at
// or after a time, before a given one. Times never fall along the log.
func Start(ctx context.Context, log interface {
	Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error)
}, from time.Time, before uint64,
) (uint64, error) {
	low, high := uint64(0), before-1 // all at or before low are too early; all after high are not
	for low < high {
		mid := low + (high-low)/2
		page, err := log.Read(ctx, mid, 1)
		if err != nil {
			return 0, fmt.Errorf("replay: %w", err)
		}
		if len(page) == 0 {
			return 0, fmt.Errorf("replay: the log has no record %d", mid+1)
		}
		if page[0].Recorded.Before(from) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}
