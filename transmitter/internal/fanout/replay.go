package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/replay"
)

// replay carries out an order: it puts, at the order's place, all that the
// stream matches of what was recorded from a time on, as far as its
// application was allowed to see it by then. Each gets a jti of the order's
// round, so that its receiver does not take it for a repetition.
//
// What a release put later than the order is not among it, nor what came
// before the stream was created or last enabled (streams.Stream.From).
func (f *Fanout) replay(ctx context.Context, rec *eventlog.Record) error {
	order, ok := replay.Read(rec)
	if !ok {
		return nil
	}
	s, err := f.cfg.Store.Stream(ctx, order.Stream)
	if errors.Is(err, streams.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fanout: reading a stream: %w", err)
	}
	if s.Status == streams.Disabled || s.From >= rec.Seq {
		return nil // it was disabled since
	}
	round, err := replay.Round(ctx, f.cfg.Log, s.ID, rec.Seq)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	after, err := replay.Start(ctx, f.cfg.Log, order.From, rec.Seq)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	application, _ := streams.ApplicationOf(s.Owner)
	at := points{CrashBeforeReplayPut, CrashAfterReplayPut}
	c := cause{seq: rec.Seq, owner: application, stream: s.ID, round: round}
	var items []streams.Item
	err = f.scan(ctx, max(after, s.From), rec.Seq, func(old *eventlog.Record) error {
		sent, err := f.sentBefore(ctx, application, old, rec.Seq)
		if err != nil || !sent {
			return err
		}
		items, err = f.matchAll(ctx, items, old, c, at)
		return err
	})
	if err != nil {
		return err
	}
	if err := f.putItems(ctx, items, at); err != nil {
		return err
	}
	f.log.InfoContext(ctx, "a stream was replayed", "stream_id", s.ID, "txn", rec.ID, "round", round)
	return nil
}

// sentBefore reports whether an event was sent to an application, or released,
// before a place of the log.
func (f *Fanout) sentBefore(ctx context.Context, application string, rec *eventlog.Record, place uint64) (bool, error) {
	if rec.Kind != eventlog.KindEvent || rec.Erased || rec.Applications != nil && !slices.Contains(rec.Applications, application) {
		return false, nil
	}
	if f.cfg.Consent == nil {
		return true, nil
	}
	v, err := f.cfg.Consent.Passes(ctx, application, rec)
	if err != nil {
		return false, fmt.Errorf("fanout: %w", err)
	}
	return v.State == consent.Sent && v.Released < place, nil
}
