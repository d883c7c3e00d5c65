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

// Of the replays under way the first few go on at a time, each by a step after
// each batch of the main lane. Where a stream follows the log again, a step is
// longer than such a batch, so that it comes up.
const (
	replaysAtOnce = 4
	catchUpSteps  = 2 // batches
)

// rerun is a stream whose replay is under way. From the order on nothing is put
// on its queue but by its own lane: first what is sent again, at the order's
// place, then what came after it, until it is where the main lane is. So its
// positions rise as if nothing else had been done meanwhile; what is saved as
// the fan-out's place is not beyond the order before that is over.
type rerun struct {
	lane
	stream string
	from   uint64 // its first order
	place  uint64 // last record of which all is put on the stream's queue
	order  *order // that is carried out, at place+1; nil: the lane follows the log
}

// order is an order that is carried out.
type order struct {
	rec         *eventlog.Record
	application string
	cause       cause
	after       uint64 // what stands up to there was sent again
}

// notice notices the orders among records: the streams' own lanes carry them
// out when they come to them.
func (f *Fanout) notice(records []*eventlog.Record) {
	for _, rec := range records {
		o, ok := replay.Read(rec)
		if !ok || f.rerun[o.Stream] != nil {
			continue
		}
		r := &rerun{stream: o.Stream, from: rec.Seq, place: rec.Seq - 1}
		f.rerun[o.Stream] = r
		f.replays = append(f.replays, r)
	}
}

// here reports whether what stands at a place is for the main lane to put: a
// batch that failed is put again though an order in it was noticed.
func (f *Fanout) here(stream string, place uint64) bool {
	r := f.rerun[stream]
	return r == nil || place < r.from
}

// stepReplays carries the replays on a little.
func (f *Fanout) stepReplays(ctx context.Context) error {
	for _, r := range f.replays[:min(replaysAtOnce, len(f.replays))] {
		if err := f.step(ctx, r); err != nil {
			return err
		}
		if r.order == nil && r.place >= f.place { // the main lane goes on with it
			delete(f.rerun, r.stream)
		}
	}
	f.replays = slices.DeleteFunc(f.replays, func(r *rerun) bool { return f.rerun[r.stream] != r })
	return nil
}

func (f *Fanout) step(ctx context.Context, r *rerun) error {
	if r.Fanout == nil { // its first
		r.lane = f.lane(func(stream string, _ uint64) bool { return stream == r.stream })
	}
	if r.order != nil {
		return r.resend(ctx)
	}
	for range catchUpSteps {
		if r.order != nil || r.place >= f.place {
			return nil
		}
		if err := r.catchUp(ctx, min(batch, int(f.place-r.place))); err != nil {
			return err
		}
	}
	return nil
}

// catchUp puts what stands in the next records, up to an order.
func (r *rerun) catchUp(ctx context.Context, most int) error {
	records, err := r.cfg.Log.Read(ctx, r.place, most)
	if err != nil {
		return fmt.Errorf("fanout: reading the log: %w", err)
	}
	if len(records) == 0 {
		return fmt.Errorf("fanout: the log has no record %d", r.place+1)
	}
	next := slices.IndexFunc(records, func(rec *eventlog.Record) bool {
		o, ok := replay.Read(rec)
		return ok && o.Stream == r.stream
	})
	put := records
	if next >= 0 {
		put = records[:next]
	}
	if err := r.put(ctx, put); err != nil {
		return err
	}
	if len(put) > 0 {
		r.place = put[len(put)-1].Seq
	}
	if next >= 0 {
		return r.begin(ctx, records[next])
	}
	return nil
}

// begin begins to carry out an order, unless there is nothing to do.
func (r *rerun) begin(ctx context.Context, rec *eventlog.Record) error {
	ask, _ := replay.Read(rec)
	s, ok, err := r.replayed(ctx, rec)
	if err != nil {
		return err
	}
	if !ok {
		r.place = rec.Seq
		return nil
	}
	round, err := replay.Round(ctx, r.cfg.Log, s.ID, rec.Seq)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	after, err := replay.Start(ctx, r.cfg.Log, ask.From, rec.Seq)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	application, _ := streams.ApplicationOf(s.Owner)
	r.order = &order{
		rec: rec, application: application,
		cause: cause{seq: rec.Seq, owner: application, round: round}, after: max(after, s.From),
	}
	return nil
}

// replayed returns the stream of an order; false if there is nothing to send
// again: it is gone, or was disabled since.
func (r *rerun) replayed(ctx context.Context, rec *eventlog.Record) (streams.Stream, bool, error) {
	s, err := r.cfg.Store.Stream(ctx, r.stream)
	if errors.Is(err, streams.ErrNotFound) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("fanout: reading a stream: %w", err)
	}
	return s, s.Status != streams.Disabled && s.From < rec.Seq, nil
}

// resend puts a part of an order, at the order's place: what the stream matches
// of what was recorded from a time on, as far as its application was allowed to
// see it by then. Each gets a jti of the order's round, so that its receiver
// does not take it for a repetition; a webhook's events bear the ids that they
// have.
//
// What a release put later than the order is not among it, nor what came
// before the stream was created or last enabled (streams.Stream.From).
func (r *rerun) resend(ctx context.Context) error {
	o := r.order
	_, ok, err := r.replayed(ctx, o.rec)
	if err != nil {
		return err
	}
	if !ok {
		r.place, r.order = o.rec.Seq, nil
		return nil
	}
	at := points{CrashBeforeReplayPut, CrashAfterReplayPut}
	end := min(o.after+batch+1, o.rec.Seq)
	var items []streams.Item
	err = r.scan(ctx, o.after, end, func(old *eventlog.Record) error {
		sent, err := r.sentBefore(ctx, o.application, old, o.rec.Seq)
		if err != nil || !sent {
			return err
		}
		items, err = r.matchAll(ctx, items, old, o.cause, at)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.putItems(ctx, items, at); err != nil {
		return err
	}
	if o.after = end - 1; end == o.rec.Seq {
		r.place, r.order = o.rec.Seq, nil
		r.log.InfoContext(ctx, "a stream was replayed", "stream_id", r.stream, "txn", o.rec.ID, "round", o.cause.round)
	}
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
