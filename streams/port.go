package streams

import (
	"context"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Kept is a stream with what its queue remembers besides its items.
type Kept struct {
	Stream Stream
	// High is the highest position ever put, HighRef the highest Ref that was put
	// at its sequence number.
	High, HighRef Position
	Health        Health
}

// Interest is a subject of a stream: an entry, or an exclusion.
type Interest struct {
	Subject  subject.Identifier
	Excluded bool
}

// Exporter hands out all that a store has, so that another can have it instead:
// these, and the dead letters. Nothing may change meanwhile. Pages have up to max
// and begin at from ("": the start); next is where the following begins, "" at the end.
type Exporter interface {
	DeadLetters
	// StreamCount returns how many streams there are.
	StreamCount(ctx context.Context) (int, error)
	// KeptStreams returns the streams in order of creation.
	KeptStreams(ctx context.Context, from string, max int) (page []Kept, next string, err error)
	// Interests returns the subjects of a stream, in no order.
	Interests(ctx context.Context, stream, from string, max int) (page []Interest, next string, err error)
	// Items returns what is on the queue of a stream in the order of Take: control
	// lane, resent dead letters, events. Leases are not told of.
	Items(ctx context.Context, stream, from string, max int) (page []Item, next string, err error)
	// UsedIDs returns the ids of streams that were deleted.
	UsedIDs(ctx context.Context, from string, max int) (page []string, next string, err error)
	// AllCursors returns the places of all followers.
	AllCursors(ctx context.Context) (map[string]uint64, error)
}

// Importer takes in what an Exporter hands out, into a store that nobody works on and
// that has nothing of its own. Every call may be repeated, also with another division
// into pages. Durable on return. A stream comes before what it has, and its items before
// its dead letters.
type Importer interface {
	// ImportStream adds a stream, behind the owner's others in order of creation.
	// Error: ErrExists if its id is that of another one, or was used.
	ImportStream(ctx context.Context, k Kept) error
	// ImportInterests adds subjects to a stream, whatever the bounds.
	ImportInterests(ctx context.Context, stream string, list []Interest) error
	// ImportItems adds items to the queue of a stream, behind those that came
	// before, with their attempts. An item whose jti waits already is left out.
	ImportItems(ctx context.Context, stream string, items []Item) error
	// ImportDeadLetters adds dead letters behind those that came before.
	ImportDeadLetters(ctx context.Context, stream string, letters []DeadLetter) error
	// ImportUsedIDs remembers ids as used.
	ImportUsedIDs(ctx context.Context, ids []string) error
	// SaveCursor is that of Cursors.
	SaveCursor(ctx context.Context, follower string, seq uint64) error
}
