package erase

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// followEvery is how often a process looks for what another has erased.
	followEvery = time.Second
	// followFor is how long it looks again at a report of which not all is gone:
	// it is being carried out, or another has taken its place.
	followFor = 10 * time.Minute
)

// Follow makes this process forget what another of those that share the log has
// erased: what its own index and its memory have of it. It begins some time before
// the place where the index stood when it was opened, since what was reported there
// may have been carried out after this process had ended, and goes on until ctx ends.
// Failures are logged and tried again.
func (e *Eraser) Follow(ctx context.Context) error {
	f := follower{Eraser: e, after: map[eventlog.Kind]uint64{eventlog.KindErasure: e.from, eventlog.KindRetention: e.from}}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for begun := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var err error
		if !begun {
			err = f.begin(ctx)
			begun = err == nil
		}
		if begun {
			err = f.look(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.cfg.Logger.ErrorContext(ctx, "what another process erased is not forgotten here yet", "err", err)
		}
	}
}

// follower is how far a Follow has come.
type follower struct {
	*Eraser
	after   map[eventlog.Kind]uint64
	reports []*eventlog.Record // what they name is not all gone yet
}

// begin takes the reports that were made in the time before the place of the index.
func (f *follower) begin(ctx context.Context) error {
	if f.from == 0 {
		return nil
	}
	place, err := f.cfg.Log.Record(ctx, f.from)
	if err != nil {
		return err
	}
	since := place.Recorded.Add(-followFor - followEvery)
	var reports []*eventlog.Record
	for kind := range f.after {
		span := eventlog.Span{Before: f.from + 1, Newest: true}
		err := f.each(ctx, kind, eventlog.RefAll, span, func(r *eventlog.Record) bool {
			if r.Recorded.Before(since) {
				return false
			}
			reports = append(reports, r)
			return true
		})
		if err != nil {
			return err
		}
	}
	f.reports = reports
	return nil
}

func (f *follower) look(ctx context.Context) error {
	for kind := range f.after {
		err := f.each(ctx, kind, eventlog.RefAll, eventlog.Span{After: f.after[kind]}, func(r *eventlog.Record) bool {
			f.after[kind] = r.Seq
			f.reports = append(f.reports, r)
			return true
		})
		if err != nil {
			return err
		}
	}
	var open []*eventlog.Record
	for i, report := range f.reports {
		gone, all, err := f.gone(ctx, report)
		if err == nil && len(gone) > 0 {
			err = f.forgetHere(ctx, report, gone)
		}
		if err != nil {
			f.reports = append(open, f.reports[i:]...)
			return err
		}
		if !all && f.cfg.Now().Sub(report.Recorded) < followFor {
			open = append(open, report)
		}
	}
	f.reports = open
	return nil
}

// forgetHere takes records out of the index, once it has come to the report and so
// does not come to them any more, and all signed SETs out of memory.
func (f *follower) forgetHere(ctx context.Context, report *eventlog.Record, gone []uint64) error {
	if err := f.cfg.Index.Wait(ctx, report.Seq); err != nil {
		return err
	}
	if err := f.cfg.Index.Forget(ctx, gone...); err != nil {
		return err
	}
	f.cfg.Forget()
	return nil
}

// gone returns the records that a report names and the log has forgotten, and
// whether those are all. A report comes before what it tells of, and one that
// was not completed names what may stay.
func (f *follower) gone(ctx context.Context, report *eventlog.Record) (gone []uint64, all bool, err error) {
	runs, err := report.Erasures()
	if err != nil {
		f.cfg.Logger.ErrorContext(ctx, "a report on an erasure cannot be read", "err", err)
		return nil, true, nil
	}
	all = true
	for _, run := range runs {
		for after := run[0] - 1; after < run[1]; {
			page, err := f.cfg.Log.Read(ctx, after, int(min(run[1]-after, chunk)))
			if err != nil {
				return nil, false, err
			}
			if len(page) == 0 {
				return nil, false, fmt.Errorf("erase: record %d: %w", after+1, eventlog.ErrNotFound)
			}
			for _, r := range page {
				if after = r.Seq; r.Erased {
					gone = append(gone, r.Seq)
				} else {
					all = false
				}
			}
		}
	}
	return gone, all, nil
}
