package transmitter

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// sweepsOnRemoval is how many looks at the time follow the removal of an
// application: together they last longer than a request that was admitted
// before it.
const sweepsOnRemoval = 8

// removed notes that an application is gone.
func (t *Transmitter) removed() { t.sweeps.Store(sweepsOnRemoval) }

// sweep deletes streams whose application is gone, where there may be some: of
// a removal that did not come to its end, of a stream that was created beside
// it. Nothing of theirs may go on leaving, and who gets the id anew must not
// get them.
func (t *Transmitter) sweep(ctx context.Context) {
	due := t.sweeps.Load()
	if due == 0 {
		return
	}
	if err := t.deleteOrphans(ctx); err != nil {
		if ctx.Err() == nil {
			t.cfg.Logger.ErrorContext(ctx, "could not delete the streams of applications that are gone", "err", err)
		}
		return
	}
	t.sweeps.CompareAndSwap(due, due-1)
}

func (t *Transmitter) deleteOrphans(ctx context.Context) error {
	owners, err := t.cfg.Streams.Owners(ctx)
	if err != nil {
		return fmt.Errorf("reading the owners: %w", err)
	}
	for _, owner := range owners {
		// The streams first: those of an application that is added meanwhile
		// are not among them.
		owned, err := t.cfg.Streams.Streams(ctx, owner)
		if err != nil {
			return fmt.Errorf("reading the streams of an owner: %w", err)
		}
		application, _ := streams.ApplicationOf(owner)
		if _, err := t.cfg.Applications.Application(ctx, application); !errors.Is(err, auth.ErrNotFound) {
			if err != nil {
				return fmt.Errorf("reading the owner: %w", err)
			}
			continue
		}
		for _, s := range owned {
			t.cfg.Logger.WarnContext(ctx, "deleting a stream whose application is gone", "stream_id", s.ID)
			if err := t.cfg.Streams.Delete(ctx, s.ID); err != nil && !errors.Is(err, streams.ErrNotFound) {
				return fmt.Errorf("deleting a stream: %w", err)
			}
		}
	}
	if err := t.webhooks.Reconcile(ctx); err != nil {
		return fmt.Errorf("mending webhooks: %w", err)
	}
	return nil
}
