package checkpoint

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// ErrOtherKey: the store has another key, with which it signs another log, or another
// form of the key.
var ErrOtherKey = errors.New("checkpoint: the store has another key")

// Cosignature is a witness's line under the checkpoint of a size.
type Cosignature struct {
	Size    uint64
	Witness string
	KeyHash uint32
	Line    string
}

// Exporter is a Store of which Copy can take all along.
type Exporter interface {
	Store
	// Cosignatures returns those of a size.
	Cosignatures(ctx context.Context, size uint64) ([]Cosignature, error)
}

// Importer is a Store that Copy can take all to.
type Importer interface {
	Store
	// ImportKey makes k the key, in clear or sealed; the store has none yet, or k. Error:
	// ErrOtherKey.
	ImportKey(ctx context.Context, k Key) error
}

// Copy takes the key, the checkpoints and their cosignatures from one store to another,
// which has nothing of its own; begun again it goes on. A store that never signed anything
// is not copied: the other makes a key. done is told how many checkpoints came along.
func Copy(ctx context.Context, from Exporter, to Importer, done func(n int)) error {
	switch _, err := from.Verifier(ctx); {
	case errors.Is(err, ErrNone):
		return nil
	case err != nil:
		return err
	}
	k, _, err := from.Key(ctx)
	if err != nil {
		return err
	}
	if err := to.ImportKey(ctx, k); err != nil {
		return err
	}
	var last eventlog.Tree
	for next := uint64(0); ; next = last.Size + 1 {
		page, err := from.All(ctx, next, MaxPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, c := range page {
			if err := copyOne(ctx, from, to, c, last); err != nil {
				return fmt.Errorf("checkpoint of %d: %w", c.Size, err)
			}
			last = c.Tree
		}
		done(len(page))
	}
}

// copyOne copies a checkpoint, unless it is there. One without cosignatures that is old is
// thinned out there as it was here.
func copyOne(ctx context.Context, from Exporter, to Importer, c Checkpoint, after eventlog.Tree) error {
	if err := to.Add(ctx, c, after); err != nil {
		return err
	}
	lines, err := from.Cosignatures(ctx, c.Size)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := to.Cosign(ctx, l.Size, l.Witness, l.KeyHash, l.Line); err != nil {
			return err
		}
	}
	return nil
}
