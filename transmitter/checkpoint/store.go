package checkpoint

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// KeepAll is how long every checkpoint is kept; of those before, the first of
// each hour is, and those with cosignatures.
const KeepAll = time.Hour

// MaxPage bounds the checkpoints of one reading.
const MaxPage = 1000

// Errors of a [Store].
var (
	// ErrFork: the checkpoint and a stored one of its size are of different trees.
	ErrFork = errors.New("checkpoint: another tree of that size was signed before")
	// ErrBehind: another checkpoint is the last one by now.
	ErrBehind = errors.New("checkpoint: another one was signed meanwhile")
)

// Store keeps the log's key and its checkpoints. Durable on return. Safe for concurrent
// use, also by several processes if they share it. The suite of the contract is
// checkpointtest.
type Store interface {
	// Key returns the key, made at the first call, and the origin that it signed
	// under last; "" if it never did.
	Key(ctx context.Context) (k Key, origin string, err error)
	// ReplaceKey puts another form of the key in the place of from; the zero Key: there
	// is none. Error: ErrOtherKey if that is not what is there.
	ReplaceKey(ctx context.Context, from, to Key) error
	// Verifier returns the verifier key of the log; it makes none. Error: ErrNone.
	Verifier(ctx context.Context) (string, error)
	// Add stores a checkpoint of a log that is known to go on from after, the tree of
	// the last one stored (the zero Tree: there is none), and lets older ones go that
	// are not kept: all is kept for an hour, then the first of each hour and what was
	// cosigned. One that is stored with the same text changes nothing; one with
	// another origin takes the place of that of its size and loses its cosignatures.
	// Errors: ErrFork, ErrBehind.
	Add(ctx context.Context, c Checkpoint, after eventlog.Tree) error
	// Last returns the one of the largest tree. Error: ErrNone.
	Last(ctx context.Context) (Checkpoint, error)
	// At returns the one of a size. Error: ErrNone.
	At(ctx context.Context, size uint64) (Checkpoint, error)
	// Cosigned returns the latest that a witness has cosigned. Error: ErrNone.
	Cosigned(ctx context.Context, witness string) (Checkpoint, error)
	// All returns up to max (at most MaxPage) whose size is at least from, smallest
	// first, and without cosignatures.
	All(ctx context.Context, from uint64, max int) ([]Checkpoint, error)
	// Cosign stores a witness's signature line under the checkpoint of a size, in
	// place of an earlier one of the same key. Error: ErrNone.
	Cosign(ctx context.Context, size uint64, witness string, keyHash uint32, line string) error
}
