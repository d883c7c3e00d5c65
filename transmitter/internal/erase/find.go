package erase

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// kinds are those of the entries that name a subject and go with it. Orders are
// not among them, which go when they are carried out themselves; nor is whether
// an account takes part in RISC, for that entry names nobody, and an account
// that opted out must not take part again because it was erased.
var kinds = [...]eventlog.Kind{
	eventlog.KindAnnotation, eventlog.KindConsent, eventlog.KindHold, eventlog.KindReplay,
}

// recordsOf returns the events of the subject up to the order, and whether a
// hold stands on one of them.
func (e *Eraser) recordsOf(ctx context.Context, o *order) (seqs []uint64, held bool, err error) {
	filed, holds, err := e.files(ctx)
	if err != nil {
		return nil, false, err
	}
	if holds.asked {
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
		if r.Erased && r.Seq > filed { // it may have gone to a file meanwhile
			if filed, holds, err = e.files(ctx); err != nil {
				return nil, false, err
			}
		}
		if !o.takes(r, filed) {
			continue
		}
		if held, err := e.held(ctx, r, &holds); err != nil || held {
			return nil, held, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, false, nil
}

// takes reports whether a record that is about the subject goes. What is in a file does
// not say whom it is for, so an application's order leaves it.
func (o *order) takes(r *eventlog.Record, filed uint64) bool {
	switch {
	case r.Kind != eventlog.KindEvent:
		return false
	case r.Erased:
		return r.Seq <= filed && o.entry.Application == ""
	}
	return o.covers(r)
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

// entriesOf returns what was said of the records and of the subject, up to the
// order, and what events up to there told of consent, which is noted later.
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
			switch kind {
			case eventlog.KindHold, eventlog.KindConsent: // a hold that was set later was lifted again, or we would not be here
				span = eventlog.Span{}
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

// owns reports whether an entry is the order's to erase. A decision later than
// the order is not, unless an event from before it told it. An application's
// order takes what bears its name, and annotations, which only events of its own
// have here.
func (o *order) owns(r *eventlog.Record) bool {
	later := r.Kind == eventlog.KindConsent && r.Seq > o.seq
	if !later && (o.entry.Application == "" || r.Kind == eventlog.KindAnnotation) {
		return true
	}
	var body struct {
		Application string `json:"application"`
		At          uint64 `json:"at"` // the event's place
	}
	if json.Unmarshal(r.Entry, &body) != nil || later && (body.At == 0 || body.At > o.seq) {
		return false
	}
	return o.entry.Application == "" || body.Application == o.entry.Application
}
