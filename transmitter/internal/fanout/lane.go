package fanout

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// lane puts, record by record in the order of the log, what is for some of the
// streams.
type lane struct {
	*Fanout
	consent *consent.Follower // at the lane's place; nil: there is no gate
	// takes reports whether what is put at a place of the log for a stream is
	// put by this lane.
	takes func(stream string, place uint64) bool
}

func (f *Fanout) lane(takes func(string, uint64) bool) lane {
	l := lane{Fanout: f, takes: takes}
	if f.cfg.Consent != nil {
		l.consent = f.cfg.Consent.Follow()
	}
	return l
}

// put matches the records and puts their items, chunk by chunk. Safe to repeat.
func (l *lane) put(ctx context.Context, records []*eventlog.Record) error {
	var items []streams.Item
	for _, rec := range records {
		if rec.Kind == eventlog.KindConsent && l.consent != nil {
			// What came before stands before what it releases.
			if err := l.putItems(ctx, items, putPoints()); err != nil {
				return err
			}
			items = items[:0]
			if err := l.decided(ctx, rec); err != nil {
				return err
			}
			continue
		}
		var err error
		if items, err = l.matchAll(ctx, items, rec, cause{}, putPoints()); err != nil {
			return err
		}
		if l.consent == nil {
			continue
		}
		if err := l.consent.Opted(ctx, rec); err != nil { // it counts for what comes after it
			return fmt.Errorf("fanout: %w", err)
		}
		if err := l.told(ctx, rec); err != nil {
			return err
		}
	}
	return l.putItems(ctx, items, putPoints())
}

// told notes what an event tells of consent, so that the lane comes to it.
func (l *lane) told(ctx context.Context, rec *eventlog.Record) error {
	if l.cfg.Mute {
		return nil
	}
	refused, err := l.consent.Told(ctx, rec)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	if refused != nil {
		l.log.WarnContext(ctx, "what an event tells of consent cannot be noted", "txn", rec.ID, "err", refused)
	}
	return nil
}

// matchAll appends all items of a record, and puts them where they are many.
func (l *lane) matchAll(ctx context.Context, items []streams.Item, rec *eventlog.Record, c cause, at points) ([]streams.Item, error) {
	for n := range len(rec.Mapped) + 1 { // the last is the event itself
		var err error
		if n < len(rec.Mapped) {
			items, err = l.match(ctx, items, rec, uint32(n), c)
		} else {
			items, err = l.hooks(ctx, items, rec, c)
		}
		if err != nil {
			return items, err
		}
		if len(items) < chunk {
			continue
		}
		if err := l.putItems(ctx, items, at); err != nil {
			return items, err
		}
		items = items[:0]
	}
	return items, nil
}
