package fanout

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Index finds events by whom they are about.
type Index interface {
	// Of returns the sequence numbers of up to max events that bear one of the
	// identifiers, alone or as a member of a complex subject, after one number
	// and before another, in order. It knows all that the log holds before the
	// second, and may return others too.
	Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error)
}

// decided takes notice of an entry about consent, and puts what it releases.
//
// What is released stands at the grant's place in the order of its own, and
// the queue judges it by the event's place (streams.Item.Ref): a release that
// was interrupted and is begun again puts what is missing and nothing twice,
// also if events were erased meanwhile.
func (l *lane) decided(ctx context.Context, rec *eventlog.Record) error {
	l.consent.Observe(rec)
	release, ok, err := l.consent.Release(ctx, rec)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	if !ok {
		return nil
	}
	at := points{CrashBeforeReleasePut, CrashAfterReleasePut}
	c := cause{seq: rec.Seq, owner: release.Application}
	var items []streams.Item
	freed := 0
	err = l.enumerate(ctx, release.Subjects, release.After, rec.Seq, func(held *eventlog.Record) error {
		frees, err := release.Frees(ctx, held)
		if err != nil {
			return fmt.Errorf("fanout: %w", err)
		}
		if !frees {
			return nil
		}
		freed++
		items, err = l.matchAll(ctx, items, held, c, at)
		return err
	})
	if err != nil {
		return err
	}
	if err := l.putItems(ctx, items, at); err != nil {
		return err
	}
	l.log.DebugContext(ctx, "consent was granted", "txn", rec.ID, "released", freed)
	return nil
}

// enumerate calls fn for the events after one place and before another that
// may be about one of the identifiers, in order.
func (l *lane) enumerate(ctx context.Context, ids []subject.Identifier, after, before uint64, fn func(*eventlog.Record) error) error {
	if l.cfg.Index == nil {
		return l.scan(ctx, after, before, fn)
	}
	for after+1 < before {
		found, err := l.cfg.Index.Of(ctx, ids, after, before, batch)
		var behind *eventlog.BehindError
		if errors.As(err, &behind) { // it is being built anew: the log itself is read
			return l.scan(ctx, after, before, fn)
		}
		if err != nil {
			return fmt.Errorf("fanout: finding events: %w", err)
		}
		if len(found) == 0 {
			return nil
		}
		for _, seq := range found {
			if err := l.scan(ctx, seq-1, seq+1, fn); err != nil {
				return err
			}
			after = seq
		}
	}
	return nil
}

// scan calls fn for all records after one place and before another, in order.
func (f *Fanout) scan(ctx context.Context, after, before uint64, fn func(*eventlog.Record) error) error {
	for after+1 < before {
		records, err := f.cfg.Log.Read(ctx, after, int(min(batch, before-after-1)))
		if err != nil {
			return fmt.Errorf("fanout: reading the log: %w", err)
		}
		if len(records) == 0 {
			return fmt.Errorf("fanout: the log has no record %d", after+1)
		}
		for _, rec := range records {
			if err := fn(rec); err != nil {
				return err
			}
			after = rec.Seq
		}
	}
	return nil
}
