package streams

import (
	"context"
	"time"
)

// Position is the place of an event in every queue: the record's sequence
// number in the log, and n, which tells apart several SETs of one record.
type Position struct {
	Seq uint64
	N   uint32
}

// IsZero reports whether p is no position.
func (p Position) IsZero() bool { return p == Position{} }

// Before reports whether p comes before q.
func (p Position) Before(q Position) bool {
	return p.Seq < q.Seq || p.Seq == q.Seq && p.N < q.N
}

// Event returns the place of the event that the item carries: the sequence
// number of its record, and which of the record's mapped events it is.
func (it *Item) Event() Position {
	if it.Ref.IsZero() {
		return it.Pos
	}
	return it.Ref
}

// Lane is one of the two parts of a queue.
type Lane uint8

// The lanes of a queue (contracts.md §4).
const (
	// LaneEvents holds events, in order of their position.
	LaneEvents Lane = iota
	// LaneControl holds verification and stream-updated, in order of
	// arrival, taken before events. It has no position: its items are keyed
	// by jti, and carry their payload since no log record stands behind them.
	LaneControl
)

// Item is one SET that waits on a stream's queue.
type Item struct {
	Stream string
	// Epoch is the stream's epoch when the item was matched (LaneEvents).
	Epoch uint64
	Lane  Lane
	// Pos is the item's position; zero in LaneControl. With a Ref its N is set
	// by the store.
	Pos Position
	// Ref is the place of the event where that is not Pos: the item was put
	// because of a later record, a grant of consent or the order of a replay,
	// at whose sequence number it stands. Zero: Pos is the event's own place.
	Ref Position
	// ID is the jti: the same at every attempt.
	ID string
	// Type is the event type URI.
	Type string
	// OrderKey names the subject for ordering; empty: in no order.
	OrderKey string
	// Subject is the index, in the record's identifiers, of the one the SET bears.
	Subject int
	// Payload is the event's payload, a JSON object (LaneControl only).
	Payload []byte
	// Added is when the item was put. Set by the caller.
	Added time.Time
	// Attempts counts the verdicts so far. Set by the store.
	Attempts int
	// Resent marks a dead letter that was sent again and gave its order up.
	Resent bool
}

// PutReport says what became of the items of a Put. Each item is counted once.
type PutReport struct {
	Kept int // put on their queues
	Seen int // at or below the highest position (or a jti seen, LaneControl)
	Gone int // stream deleted, disabled, or of another epoch
	// Full names the streams whose bound was reached, with the number of
	// items not kept; their positions count as put.
	Full map[string]int
}

// TakeOptions say what Take may hand out.
type TakeOptions struct {
	// Max is the most items handed out, ≥ 1.
	Max int
	// Lease is how long an item is hidden from other takers, > 0.
	Lease time.Duration
	// Wait makes Take wait until one item can be handed out or ctx ends.
	Wait bool
}

// Verdict is what became of an item that was taken.
type Verdict uint8

// The verdicts.
const (
	// Delivered: acknowledged; the item is gone for good.
	Delivered Verdict = iota
	// Refused: not accepted and not to be tried again; a dead letter.
	Refused
	// Failed: an attempt that may succeed later; the item returns to its place.
	Failed
	// Released: returns to its place; no attempt is counted.
	Released
)

// Outcome is the verdict on one item.
type Outcome struct {
	ID      string // jti
	Verdict Verdict
	// Code and Description tell why (Refused, Failed): an RFC 8935 err or a
	// short word of ours, and a text.
	Code, Description string
	// After, with Failed, keeps the item (and its order key) hidden for so
	// long: it is tried again then, while the stream goes on. In memory: a
	// restart forgets it.
	After time.Duration
}

// MaxBackOff is the longest that a stream backs off. A NextDue further away was
// written while the clock was ahead and counts as come.
const MaxBackOff = 24 * time.Hour

// BacksOff reports whether the stream is not to be tried yet.
func (h *Health) BacksOff(now time.Time) bool {
	return h.NextDue.After(now) && !h.NextDue.After(now.Add(MaxBackOff))
}

// Health is how delivery to a push stream fares. Durable: a back-off survives
// a restart. The zero value is a healthy stream.
type Health struct {
	// Failures counts retryable failures since the last success.
	Failures int
	// FirstFailure is the time of the first of them.
	FirstFailure time.Time
	// NextDue is when the stream may be tried again; zero: now.
	NextDue time.Time
	// Refusals counts refused SETs in a row.
	Refusals int
	// LastError is the last failure in a few words.
	LastError string
}

// Depth is how much waits on a queue.
type Depth struct {
	Items  int       // both lanes, leased ones included
	Leased int       // out at a taker
	Dead   int       // dead letters
	Oldest time.Time // Added of the oldest item; zero if none
}

// Queue keeps what waits to be delivered. Safe for concurrent use.
//
// Durability: what was put or settled survives a crash of the process. A
// power cut may lose the latest puts and settlements together: then delivery
// repeats from the log, nothing is lost (contracts.md §7).
type Queue interface {
	// Put puts items on the queues of their streams, all in one transaction.
	// Items of a stream must come in the order of their positions.
	// In LaneEvents, a Put at or below the highest position ever put on that
	// queue does nothing, also after acknowledgement, purge and restart; in
	// LaneControl a jti known to the queue does nothing.
	// Items with a Ref stand at Pos.Seq in the order of their Refs, which is
	// the order in which they must come: the store numbers them, and one whose
	// Ref is at or below the highest that was put there does nothing. So an
	// enumeration that is begun again may lack what is gone meanwhile. An item whose epoch
	// is not the stream's, or whose stream is disabled or gone, is not kept; nor is an event
	// beyond the store's bound on those that wait and the dead letters, which the report counts.
	// A Put wakes takers of its streams and Ready at once.
	Put(ctx context.Context, items ...Item) (PutReport, error)

	// Take leases up to Max items of a stream: control lane first, then
	// events in order of position. A leased item is hidden from other takers
	// until it is settled or its lease ends; then it is back in its place.
	// No item is handed out while an earlier one with its order key is out,
	// unless both are in the same answer. A paused or disabled stream hands out
	// stream-updated items only. Leases do not outlive the process.
	// Errors: ErrNotFound if there is no such stream or it is deleted while
	// waiting; ctx's error if ctx ends while waiting.
	Take(ctx context.Context, stream string, opts TakeOptions) ([]Item, error)

	// Settle applies verdicts in one transaction, in any order, whether or not
	// the lease still runs, and returns the items that left the queue or
	// returned to it. Unknown jtis are ignored. A Delivered item that became a
	// dead letter meanwhile (expired while it was out) is erased there: nothing
	// acknowledged comes back, by a Resend neither. A non-nil health replaces
	// the stream's. Error: ErrNotFound (stream).
	Settle(ctx context.Context, stream string, outcomes []Outcome, health *Health) ([]Item, error)

	// Extend makes the leases of the items run for lease from now; items
	// that are not out are ignored.
	Extend(ctx context.Context, stream string, ids []string, lease time.Duration) error

	// More reports whether Take could hand out an item now.
	More(ctx context.Context, stream string) (bool, error)

	// Ready waits until a push stream has work that is due, and returns the
	// ids of up to max such streams. An id is returned once for each cause: a
	// Put, an item's return, an ended lease, a NextDue that has come, a change
	// of status or delivery, the opening of the store. The caller then takes
	// until Take is empty. Costs grow with the streams that are ready.
	Ready(ctx context.Context, max int) ([]string, error)

	// Health returns the health of a stream. Error: ErrNotFound.
	Health(ctx context.Context, stream string) (Health, error)

	// Depth returns how much waits. Error: ErrNotFound.
	Depth(ctx context.Context, stream string) (Depth, error)

	// Depths returns the sum over all streams and the streams with the most
	// items, up to max, by id. It costs no scan of the queues.
	Depths(ctx context.Context, max int) (total Depth, top map[string]Depth, err error)

	// Purge drops all items of a stream, dead letters apart, and returns how many.
	Purge(ctx context.Context, stream string) (int, error)

	// Expire makes dead letters (code "expired") of up to max items that were
	// added before the time and are not out, and returns how many per stream.
	Expire(ctx context.Context, before time.Time, max int) (map[string]int, error)
}

// DeadLetter is an item that was set aside.
type DeadLetter struct {
	Item
	Code, Description string
	At                time.Time // when it was set aside
}

// DeadLetters keeps what was refused or expired. Durable on return.
type DeadLetters interface {
	// DeadLetters returns up to max dead letters of a stream, oldest first,
	// from after (exclusive; "" from the start), and the next after ("" at
	// the end). Errors: ErrNotFound (stream); ErrPlace for an after that no
	// call returned, where the store can tell.
	DeadLetters(ctx context.Context, stream, after string, max int) (page []DeadLetter, next string, err error)
	// Resend puts a dead letter back on the queue under its jti, ahead of
	// events, without an order key and marked Resent. Error: ErrNotFound.
	Resend(ctx context.Context, stream, id string) error
	// Drop erases a dead letter. Error: ErrNotFound.
	Drop(ctx context.Context, stream, id string) error
}
