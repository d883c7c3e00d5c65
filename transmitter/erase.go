package transmitter

import (
	"context"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// newEraser returns what erases; nil without an index, which finds what is to
// be erased.
func (t *Transmitter) newEraser() *erase.Eraser {
	if t.cfg.Index == nil {
		return nil
	}
	return erase.New(erase.Config{
		Log: t.cfg.Log, Index: t.cfg.Index, Streams: t.cfg.Streams, Follower: fanout.Follower, Forget: t.outbox.Forget,
		Retention: t.cfg.Retention, RetainEvery: t.cfg.RetainEvery, Crash: t.cfg.Crash, Now: t.cfg.Now, Logger: t.cfg.Logger,
	})
}

// Undelivered returns the first record of the log that is still needed for delivery: one
// that a SET points at which waits on a queue, or that was not fanned out yet.
func Undelivered(ctx context.Context, store streams.Store) (uint64, error) {
	return erase.Undelivered(ctx, store, fanout.Follower)
}
