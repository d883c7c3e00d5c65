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

// sweep deletes streams whose application was removed, where there may be some:
// of a removal that did not come to its end, of a stream that was created
// beside it. Nothing of theirs may go on leaving. An application that is not
// known and was not removed either keeps its streams: an older admin.db was put
// beside a newer state.db, and with its id it gets them again.
func (t *Transmitter) sweep(ctx context.Context) {
	due := t.sweeps.Load()
	if due == 0 {
		return
	}
	if err := t.deleteOrphans(ctx); err != nil {
		if ctx.Err() == nil {
			t.cfg.Logger.ErrorContext(ctx, "could not delete the streams of applications that were removed", "err", err)
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
		if gone, err := t.gone(ctx, application, len(owned)); err != nil {
			return fmt.Errorf("reading the owner: %w", err)
		} else if !gone {
			continue
		}
		for _, s := range owned {
			t.cfg.Logger.WarnContext(ctx, "deleting a stream whose application was removed", "stream_id", s.ID)
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

// gone reports whether an application was removed.
func (t *Transmitter) gone(ctx context.Context, application string, owned int) (bool, error) {
	removed, err := t.cfg.Applications.Removed(ctx, application)
	if err != nil || removed {
		return removed, err
	}
	_, err = t.cfg.Applications.Application(ctx, application)
	if errors.Is(err, auth.ErrNotFound) {
		t.cfg.Logger.WarnContext(ctx, "streams are of an application that is not known, though none of its id was removed: "+
			"it is missing in an older admin.db, and gets them again if it is added under its id",
			"application", application, "streams", owned)
		err = nil
	}
	return false, err
}
