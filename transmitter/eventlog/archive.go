package eventlog

import "context"

// Archive reads what a backend has stored, as it is there and past its memory:
// for who checks the log. Safe for concurrent use.
type Archive interface {
	// Head returns the highest sequence number that is stored.
	Head(ctx context.Context) (uint64, error)
	// Stored returns up to max records after a sequence number, in order;
	// fewer if they are large. One that is missing is left out.
	Stored(ctx context.Context, after uint64, max int) ([]Stored, error)
	// StoredNodes returns up to max nodes of a level of the tree (at least 1)
	// from a number on, up to the first that is missing.
	StoredNodes(ctx context.Context, level int, from uint64, max int) ([]Hash, error)
}
