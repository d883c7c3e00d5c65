package erase

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// reportEntry is the body of a report: what an order, by its number, erased.
// Long ones come in parts; a crash between two leaves a report that is begun
// anew.
type reportEntry struct {
	Carried      uint64      `json:"carried_out"`
	Application  string      `json:"application,omitempty"`
	Reason       string      `json:"reason,omitempty"`
	By           string      `json:"by,omitempty"`
	Records      [][2]uint64 `json:"records,omitempty"` // first and last of each run
	Count        int         `json:"count"`
	Entries      [][2]uint64 `json:"entries,omitempty"`
	EntryCount   int         `json:"entry_count"`
	Registered   int         `json:"registered"`
	Dropped      []string    `json:"dropped,omitempty"`
	DroppedCount int         `json:"dropped_count"`
	Begins       bool        `json:"begins,omitempty"` // what was reported before does not count
	Last         bool        `json:"last"`
}

// planned reads the reports on an order that was begun: what they say is gone
// from the index, perhaps, and is found nowhere else.
func (e *Eraser) planned(ctx context.Context, r *eventlog.Record) (p plan, whole bool, err error) {
	err = e.each(ctx, eventlog.KindErasure, refReport(r.Seq), eventlog.Span{}, func(r *eventlog.Record) bool {
		var body reportEntry
		if json.Unmarshal(r.Entry, &body) != nil {
			return true
		}
		if body.Begins {
			p = plan{}
		}
		p.records = append(p.records, spread(body.Records)...)
		p.entries = append(p.entries, spread(body.Entries)...)
		whole = whole || body.Last
		return true
	})
	return p, whole, err
}

// report notes what goes, in parts of a bounded size; the last says so.
// Without registered it goes on with what was reported before.
func (e *Eraser) report(ctx context.Context, o *order, p plan, dropped []string, registered *int) error {
	first := reportEntry{Dropped: dropped[:min(len(dropped), maxNamed)], DroppedCount: len(dropped)}
	if registered != nil {
		first.Begins, first.Registered = true, *registered
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

// reported adds what the reports on an order say. Before the order itself is
// gone they are what is to be done.
func (e *Eraser) reported(ctx context.Context, x *Erasure, gone bool) error {
	found := false
	err := e.each(ctx, eventlog.KindErasure, refReport(x.seq), eventlog.Span{}, func(r *eventlog.Record) bool {
		var body reportEntry
		if !gone || r.Erased || json.Unmarshal(r.Entry, &body) != nil {
			return true
		}
		when := r.Recorded
		found, x.State, x.Done = true, Done, &when
		x.Reason, x.By, x.application = body.Reason, body.By, body.Application
		if body.Begins { // but subjects of streams were taken out each time
			x.Records, x.Entries, x.Dropped, x.DroppedCount = 0, 0, nil, 0
		}
		x.Records += body.Count
		x.Entries += body.EntryCount
		x.Registered += body.Registered
		x.Dropped = append(x.Dropped, body.Dropped...)
		x.DroppedCount += body.DroppedCount
		return true
	})
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if gone && !found {
		return ErrNotFound
	}
	return nil
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
