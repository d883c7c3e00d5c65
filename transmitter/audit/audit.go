// Package audit proves what is in an event log and checks a log: for auditors,
// who trust neither its operator nor this program. docs/audit.md tells how the
// same is done with public tools.
//
// A [Proof] shows to whom has the log's verifier key that an event was
// recorded, and that a SET came of it. [Check] reads a whole log and finds what
// was changed in it. What was seen signed before, by [Follow], makes both find
// a log that was replaced as a whole.
package audit

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Follow verifies that a log went on from a checkpoint that was seen of it:
// now is its checkpoint of today, prove asks it for a consistency proof.
// Errors (by errors.Is): checkpoint.ErrOldLog, checkpoint.ErrOtherLog, prove's.
func Follow(ctx context.Context, seen, now checkpoint.Checkpoint, prove func(ctx context.Context, from, to uint64) ([]eventlog.Hash, error)) error {
	switch {
	case seen.Origin != now.Origin:
		return fmt.Errorf("%w: it is of %s, and before it was of %s", checkpoint.ErrOtherLog, now.Origin, seen.Origin)
	case now.Size < seen.Size:
		return fmt.Errorf("%w: it has %d records and a checkpoint of %d was seen", checkpoint.ErrOldLog, now.Size, seen.Size)
	}
	var proof []eventlog.Hash
	if now.Size > seen.Size && seen.Size > 0 {
		var err error
		if proof, err = prove(ctx, seen.Size, now.Size); err != nil {
			return err
		}
	}
	if err := eventlog.CheckConsistency(proof, seen.Tree, now.Tree); err != nil {
		return fmt.Errorf("%w: %w", checkpoint.ErrOtherLog, err)
	}
	return nil
}
