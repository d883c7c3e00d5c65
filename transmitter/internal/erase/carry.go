package erase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// kinds are those of the entries that name a subject and go with it. Orders are
// not among them, which go when they are carried out themselves; nor is whether
// an account takes part in RISC, for that entry names nobody, and an account
// that opted out must not take part again because it was erased.
var kinds = [...]eventlog.Kind{
	eventlog.KindAnnotation, eventlog.KindConsent, eventlog.KindHold, eventlog.KindReplay,
}

// CarryOut carries out every order that can be, in the order of the log.
func (e *Eraser) CarryOut(ctx context.Context) error {
	orders, err := e.pendingOrders(ctx)
	if err != nil {
		return fmt.Errorf("erase: reading the orders: %w", err)
	}
	var errs []error
	for _, r := range orders {
		place, err := e.cfg.Streams.Cursor(ctx, e.cfg.Follower)
		if err == nil && place < r.Seq {
			continue // the fan-out may still queue what it reads
		}
		if err == nil {
			err = e.cfg.Index.Wait(ctx, r.Seq)
		}
		if err == nil {
			err = e.carryOut(ctx, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("erase: order %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// carryOut carries out one order, unless it has to wait.
func (e *Eraser) carryOut(ctx context.Context, r *eventlog.Record) error {
	e.work.Lock()
	defer e.work.Unlock()
	var body orderEntry
	if err := json.Unmarshal(r.Entry, &body); err != nil {
		return err
	}
	p, ready, err := e.planned(ctx, r)
	if err != nil {
		return err
	}
	if !ready {
		o := order{entry: body, seq: r.Seq, ids: identifiers(body.Subjects)}
		if p, ready, err = e.prepare(ctx, &o); err != nil || !ready {
			return err
		}
	}
	if err := e.remove(ctx, p); err != nil {
		return err
	}
	late, err := e.annotationsOf(ctx, p.records)
	if err != nil {
		return err
	}
	if len(late) > 0 { // what was said since, until the records were gone
		slices.Sort(late)
		o := order{entry: body, seq: r.Seq}
		if err := e.report(ctx, &o, plan{entries: late}, nil, 0); err != nil {
			return err
		}
		if err := e.remove(ctx, plan{entries: late}); err != nil {
			return err
		}
	}
	// The order names the subject, and that it is there means that it is to be
	// carried out: it goes last.
	if _, err := e.cfg.Log.Erase(ctx, r.Seq); err != nil {
		return err
	}
	delete(e.waiting, r.Seq)
	e.cfg.Logger.InfoContext(ctx, "erased a subject", "txn", r.ID, "records", len(p.records), "entries", len(p.entries)+len(late))
	return nil
}

// order is one that is being carried out.
type order struct {
	entry orderEntry
	seq   uint64
	ids   []subject.Identifier
}

// plan is what goes.
type plan struct {
	records, entries []uint64
}

// planned reads the reports on an order that was begun: what they say is gone
// from the index, perhaps, and is found nowhere else.
func (e *Eraser) planned(ctx context.Context, r *eventlog.Record) (p plan, whole bool, err error) {
	err = e.each(ctx, eventlog.KindErasure, refReport(r.Seq), eventlog.Span{}, func(r *eventlog.Record) bool {
		var body reportEntry
		if json.Unmarshal(r.Entry, &body) != nil {
			return true
		}
		p.records = append(p.records, spread(body.Records)...)
		p.entries = append(p.entries, spread(body.Entries)...)
		whole = whole || body.Last
		return true
	})
	return p, whole, err
}

// prepare finds what goes, sees to what waits of it, and reports it. It returns
// false if the order has to wait.
func (e *Eraser) prepare(ctx context.Context, o *order) (plan, bool, error) {
	records, held, err := e.recordsOf(ctx, o)
	if err != nil {
		return plan{}, false, err
	}
	if held {
		e.cfg.Logger.WarnContext(ctx, "an erasure waits for a legal hold to be lifted", "order", o.seq)
		return plan{}, false, nil
	}
	queued, dead, err := e.pointing(ctx, records)
	if err != nil {
		return plan{}, false, err
	}
	if e.waiting[o.seq] = len(queued); len(queued) > 0 && !o.entry.Now {
		return plan{}, false, nil
	}
	p := plan{records: records}
	if p.entries, err = e.entriesOf(ctx, o, records); err != nil {
		return plan{}, false, err
	}
	registered, err := e.forget(ctx, o)
	if err != nil {
		return plan{}, false, err
	}
	return p, true, e.report(ctx, o, p, append(queued, dead...), registered)
}

// forget takes the subject out of the streams that the order covers.
func (e *Eraser) forget(ctx context.Context, o *order) (n int, err error) {
	owners := []string{""}
	if o.entry.Application != "" {
		all, err := e.cfg.Streams.Owners(ctx)
		if err != nil {
			return 0, err
		}
		owners = slices.DeleteFunc(all, func(owner string) bool {
			application, _ := streams.ApplicationOf(owner)
			return application != o.entry.Application
		})
	}
	for _, owner := range owners {
		for _, id := range o.ids {
			some, err := e.cfg.Streams.Forget(ctx, owner, id)
			if err != nil {
				return n, err
			}
			n += some
		}
	}
	return n, nil
}

// recordsOf returns the events of the subject up to the order, and whether a
// hold stands on one of them.
func (e *Eraser) recordsOf(ctx context.Context, o *order) (seqs []uint64, held bool, err error) {
	asked, err := e.anyHold(ctx)
	if err != nil {
		return nil, false, err
	}
	if asked {
		active, err := e.active(ctx, parts(o.ids))
		if err != nil || len(active) > 0 {
			return nil, len(active) > 0, err
		}
	}
	found, err := e.about(ctx, o)
	if err != nil {
		return nil, false, err
	}
	for _, seq := range found {
		r, err := e.cfg.Log.Record(ctx, seq)
		if err != nil {
			return nil, false, err
		}
		if r.Kind != eventlog.KindEvent || r.Erased || !o.covers(r) {
			continue
		}
		if asked {
			active, err := e.active(ctx, subjectsOf(r))
			if err != nil || len(active) > 0 {
				return nil, len(active) > 0, err
			}
		}
		seqs = append(seqs, seq)
	}
	return seqs, false, nil
}

// about returns the numbers of the events before the order that mention the
// subject.
func (e *Eraser) about(ctx context.Context, o *order) (seqs []uint64, err error) {
	for after := uint64(0); ; {
		page, err := e.cfg.Index.Of(ctx, o.ids, after, o.seq, chunk)
		if err != nil || len(page) == 0 {
			return seqs, err
		}
		seqs = append(seqs, page...)
		after = page[len(page)-1]
	}
}

// covers reports whether the order is for the event: one of an application's is
// not for events that others may read too.
func (o *order) covers(r *eventlog.Record) bool {
	return o.entry.Application == "" || slices.Equal(r.Applications, []string{o.entry.Application})
}

// pointing returns the jtis of what points at the records.
func (e *Eraser) pointing(ctx context.Context, records []uint64) (queued, dead []string, err error) {
	for part := range slices.Chunk(records, chunk) {
		q, d, err := e.cfg.Streams.Pointing(ctx, part, maxPointing)
		if err != nil {
			return nil, nil, err
		}
		for _, it := range q {
			queued = append(queued, it.ID)
		}
		for _, it := range d {
			dead = append(dead, it.ID)
		}
	}
	return queued, dead, nil
}

// drop takes what points at the records off queues and dead letters.
func (e *Eraser) drop(ctx context.Context, records []uint64) error {
	for part := range slices.Chunk(records, chunk) {
		for {
			queued, dead, err := e.cfg.Streams.Pointing(ctx, part, chunk)
			if err != nil {
				return err
			}
			items := append(queued, dead...)
			if len(items) == 0 {
				break
			}
			by := make(map[string][]streams.Outcome)
			for _, it := range items {
				by[it.Stream] = append(by[it.Stream], streams.Outcome{ID: it.ID, Verdict: streams.Delivered})
			}
			for stream, outcomes := range by {
				if _, err := e.cfg.Streams.Settle(ctx, stream, outcomes, nil); err != nil && !errors.Is(err, streams.ErrNotFound) {
					return err
				}
			}
		}
	}
	return nil
}

// entriesOf returns what was said of the records and of the subject, up to the
// order.
func (e *Eraser) entriesOf(ctx context.Context, o *order, records []uint64) ([]uint64, error) {
	seqs, err := e.annotationsOf(ctx, records)
	if err != nil {
		return nil, err
	}
	add := func(r *eventlog.Record) bool {
		if !r.Erased && o.owns(r) {
			seqs = append(seqs, r.Seq)
		}
		return true
	}
	for _, id := range o.ids {
		for _, kind := range kinds {
			span := eventlog.Span{Before: o.seq}
			if kind == eventlog.KindHold {
				span = eventlog.Span{} // set later and lifted again, or we would not be here
			}
			if err := e.each(ctx, kind, eventlog.RefSubject(id), span, add); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(seqs)
	return slices.Compact(seqs), nil
}

// annotationsOf returns what is said of records, and not erased.
func (e *Eraser) annotationsOf(ctx context.Context, records []uint64) (seqs []uint64, err error) {
	for _, seq := range records {
		err := e.each(ctx, eventlog.KindAnnotation, eventlog.Ref(seq), eventlog.Span{}, func(r *eventlog.Record) bool {
			if !r.Erased {
				seqs = append(seqs, r.Seq)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return seqs, nil
}

// owns reports whether an entry is the order's to erase. An application's order
// takes what bears its name, and annotations, which only events of its own have
// here.
func (o *order) owns(r *eventlog.Record) bool {
	if o.entry.Application == "" || r.Kind == eventlog.KindAnnotation {
		return true
	}
	var body struct {
		Application string `json:"application"`
	}
	return json.Unmarshal(r.Entry, &body) == nil && body.Application == o.entry.Application
}

// report notes what goes, in parts of a bounded size; the last says so.
func (e *Eraser) report(ctx context.Context, o *order, p plan, dropped []string, registered int) error {
	first := reportEntry{
		Dropped: dropped[:min(len(dropped), maxNamed)], DroppedCount: len(dropped), Registered: registered,
	}
	records, entries := p.records, p.entries
	for {
		part := first
		first = reportEntry{}
		part.Carried, part.Application, part.Reason, part.By = o.seq, o.entry.Application, o.entry.Reason, o.entry.By
		n, m := min(len(records), maxRecords), min(len(entries), maxRecords)
		part.Records, part.Count, records = runs(records[:n]), n, records[n:]
		part.Entries, part.EntryCount, entries = runs(entries[:m]), m, entries[m:]
		part.Last = len(records) == 0 && len(entries) == 0
		if _, err := e.note(ctx, eventlog.KindErasure, part, nil, refReport(o.seq)); err != nil {
			return err
		}
		if part.Last {
			e.cfg.Crash(CrashAfterReport)
			return nil
		}
	}
}

// remove takes what goes from where it is: queues, log, index. The log comes
// before the index, or an index that is built anew meanwhile could find it again.
func (e *Eraser) remove(ctx context.Context, p plan) error {
	if err := e.drop(ctx, p.records); err != nil {
		return err
	}
	all := append(slices.Clone(p.records), p.entries...)
	if _, err := e.cfg.Log.Erase(ctx, all...); err != nil {
		return err
	}
	e.cfg.Crash(CrashAfterErase)
	if err := e.cfg.Index.Forget(ctx, all...); err != nil {
		return err
	}
	e.cfg.Forget()
	// A release or a replay may have queued some once more, before they went.
	if err := e.drop(ctx, p.records); err != nil {
		return err
	}
	return e.cfg.Streams.Scrub(ctx)
}

// runs turns sorted numbers into runs of neighbours.
func runs(seqs []uint64) [][2]uint64 {
	var list [][2]uint64
	for _, seq := range seqs {
		if n := len(list); n > 0 && list[n-1][1]+1 == seq {
			list[n-1][1] = seq
			continue
		}
		list = append(list, [2]uint64{seq, seq})
	}
	return list
}

func spread(list [][2]uint64) []uint64 {
	var seqs []uint64
	for _, run := range list {
		for seq := run[0]; seq <= run[1]; seq++ {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}
