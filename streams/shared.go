package streams

import (
	"context"
	"errors"
	"hash/fnv"
	"time"
)

// Partitions is how many parts the streams of a [Shared] store are spread over.
// It is fixed: places and leases are kept by partition.
const Partitions = 16

// ActivityLag is how late a process may learn of activity that another saw (Registry.Touch).
const ActivityLag = 15 * time.Second

// PartitionOf returns the partition of a stream, 0 to Partitions-1.
func PartitionOf(stream string) int {
	h := fnv.New32a()
	h.Write([]byte(stream)) // never fails
	return int(h.Sum32() % Partitions)
}

// ErrNotHeld: the process does not hold the partition, or does no longer. What
// it wanted to write was not written, and is another's to do.
var ErrNotHeld = errors.New("streams: partition not held")

// Shared is a Store that several processes have open at the same time
// (contracts.md §9). What it has as a Store is for requests, which any of them
// may serve for any stream. The work behind them, fan-out and push, is divided:
// who holds a stream's partition does it.
//
// Items that were handed out by the store's own Take (a poll) are out for all
// processes; any of them may settle them. Cursor returns the least place of a
// follower in all partitions, SaveCursor saves it in all; Ready returns the
// streams of the partitions that this process holds. A change that one process
// made is seen by every later call of the others, and wakes their takers.
type Shared interface {
	Store
	// Hold takes part in the work until ctx ends. It takes a fair share of the
	// partitions and runs work for each as long as it is held; the context of
	// work ends when the partition is lost or is to be given up, and it is
	// given up when work has returned. Work that returns before is run again.
	// Hold returns when all work has; then nothing is held any more. Failures
	// of the store are retried, for ever.
	Hold(ctx context.Context, work func(ctx context.Context, p Partition)) error
	// CursorOf returns the saved place of a follower in the partition of a stream.
	CursorOf(ctx context.Context, follower, stream string) (uint64, error)
}

// Partition is a part of a shared store, for the process that holds it: a
// lease, with a token that rises with each holder. Every call that writes, and
// Stream, by which is seen right before a request whether it may leave, carries
// the token and returns ErrNotHeld, and writes nothing, once the lease has ended
// or another holds it, or the store has lost items that were put (a failover): work that
// begins anew goes on from the saved place, and puts them again. What a former holder had
// taken and not settled is back in its place when the next one begins.
//
// Its methods are those of the Store for the streams of the partition alone;
// another's stream is ErrNotHeld. Its cursors are its own.
type Partition interface {
	// Number is 0 to Partitions-1.
	Number() int
	Matcher
	Cursor(ctx context.Context, follower string) (uint64, error)
	SaveCursor(ctx context.Context, follower string, seq uint64) error
	Stream(ctx context.Context, id string) (Stream, error)
	Put(ctx context.Context, items ...Item) (PutReport, error)
	Ready(ctx context.Context, max int) ([]string, error)
	Take(ctx context.Context, stream string, opts TakeOptions) ([]Item, error)
	Settle(ctx context.Context, stream string, outcomes []Outcome, health *Health) ([]Item, error)
	Health(ctx context.Context, stream string) (Health, error)
	Depth(ctx context.Context, stream string) (Depth, error)
}
