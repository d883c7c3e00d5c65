package streams

import (
	"context"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Eraser finds and removes what is kept of records, and of subjects, that are
// to be erased (contracts.md §2). Safe for concurrent use. Its calls are for
// rare work: they cost a look at every stream that has items.
type Eraser interface {
	// Pointing returns the items of all queues, and the dead letters, that point
	// at one of the records, up to max of each and at least one where there is
	// one. Settle with Delivered removes either.
	Pointing(ctx context.Context, records []uint64, max int) (queued, dead []Item, err error)
	// Forget removes every entry and exclusion that contains the identifier
	// (subject.Identifier.Contains) from the streams of an owner, "" for all,
	// and returns how many. Durable on return; safe to repeat.
	Forget(ctx context.Context, owner string, id subject.Identifier) (int, error)
	// Scrub returns when nothing of what was settled or forgotten before is in
	// the files any more.
	Scrub(ctx context.Context) error
	// Earliest returns the lowest number of a record that an item of a queue
	// points at, 0 if there is none; dead letters do not count.
	Earliest(ctx context.Context) (uint64, error)
}
