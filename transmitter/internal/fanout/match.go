package fanout

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// cause is the later record because of which items of a record are put; the
// zero value: they are put in the record's own turn.
type cause struct {
	seq   uint64
	owner string // the one application whose streams they are for
	round uint32 // which replay of a stream it is; 0: it is none
}

// at returns the place at which the items of a record are put.
func (c cause) at(rec *eventlog.Record) uint64 {
	if c.seq == 0 {
		return rec.Seq
	}
	return c.seq
}

// place returns the position of an item, and the place of its event where that
// is another one.
func (c cause) place(rec *eventlog.Record, n uint32) (pos, ref streams.Position) {
	own := streams.Position{Seq: rec.Seq, N: n}
	if c.seq == 0 {
		return own, ref
	}
	return streams.Position{Seq: c.seq}, own // the queue numbers it
}

// applications returns those that may hear of a record; nil: all.
func (c cause) applications(rec *eventlog.Record) []string {
	if c.seq == 0 {
		return rec.Applications
	}
	return []string{c.owner}
}

// owners returns the owners of the streams that may hear of a record; nil: all
// that are of no other environment.
func (c cause) owners(rec *eventlog.Record) []string {
	applications := c.applications(rec)
	if applications == nil || rec.Environment == "" {
		return applications
	}
	owners := slices.Clone(applications)
	for _, application := range applications {
		owners = append(owners, streams.OwnerIn(application, rec.Environment))
	}
	return owners
}

// match appends the items of the n-th mapped event of a record.
func (l *lane) match(ctx context.Context, items []streams.Item, rec *eventlog.Record, n uint32, c cause) ([]streams.Item, error) {
	subjects := rec.SubjectsOf(n)
	if len(subjects) == 0 {
		return items, nil
	}
	eventType := rec.Mapped[n].Type
	found, err := l.cfg.Store.Match(ctx, streams.Query{
		Seq: rec.Seq, Type: eventType, Subjects: subjects, Owners: c.owners(rec), Head: l.head,
	})
	if err != nil {
		return items, fmt.Errorf("fanout: matching: %w", err)
	}
	only, alone := l.cfg.Only(rec.Source)
	now, had := l.cfg.Now(), len(items)
	pos, ref := c.place(rec, n)
	for _, to := range found {
		if alone && to.Stream != only || !l.takes(to.Stream, c.at(rec)) {
			continue
		}
		application, _ := streams.ApplicationOf(to.Owner)
		environment := streams.EnvironmentOf(to.Owner)
		if environment != "" && environment != rec.Environment || !l.allowed(ctx, application, rec, n) {
			continue
		}
		passes, err := l.passes(ctx, application, rec, n, c)
		if err != nil {
			return items, err
		}
		if !passes {
			continue
		}
		chosen := to.Subject
		if chosen < 0 {
			if chosen, err = l.preferred(ctx, application, subjects); err != nil {
				return items, err
			}
		}
		items = append(items, streams.Item{
			Stream: to.Stream, Epoch: to.Epoch,
			Pos: pos, Ref: ref,
			ID:   rec.JTI(to.Stream, n+c.round*uint32(len(rec.Mapped))),
			Type: eventType,
			// What the SETs bear decides their order: those about one subject
			// stay in line, whatever else their events know (SSF-8.1.2.1-05).
			OrderKey: subjects[chosen].OrderKey(),
			Subject:  chosen,
			Added:    now,
		})
		l.counted(c)
	}
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "event matched", "txn", rec.ID, "event_type", eventType, "streams", len(items)-had)
	}
	return items, nil
}

// passes reports whether the n-th mapped event of a record may go to the
// streams of an application in this turn: its account takes part in RISC, and
// its subject consented.
func (l *lane) passes(ctx context.Context, application string, rec *eventlog.Record, n uint32, c cause) (bool, error) {
	if l.consent == nil {
		return true, nil
	}
	exchanged, err := l.consent.Exchanges(ctx, application, rec, c.at(rec), rec.Mapped[n].Type)
	if err != nil {
		return false, fmt.Errorf("fanout: %w", err)
	}
	if !exchanged {
		return false, nil
	}
	return l.consented(ctx, application, rec, c)
}

// consented reports whether an event passes the gate of an application in this
// turn. What is put because of a later record was judged before.
func (l *lane) consented(ctx context.Context, application string, rec *eventlog.Record, c cause) (bool, error) {
	if l.consent == nil || c.seq != 0 {
		return true, nil
	}
	sends, err := l.consent.Sends(ctx, application, rec)
	if err != nil {
		return false, fmt.Errorf("fanout: %w", err)
	}
	if !sends {
		l.cfg.Gated(false)
	}
	return sends, nil
}

// counted tells of an item that is put because of a grant.
func (l *lane) counted(c cause) {
	if c.seq != 0 && c.round == 0 {
		l.cfg.Gated(true)
	}
}

// preferred returns the index of the first identifier in the format that the
// application prefers, else 0.
func (f *Fanout) preferred(ctx context.Context, application string, subjects []subject.Identifier) (int, error) {
	if f.cfg.Format == nil || len(subjects) == 1 {
		return 0, nil
	}
	format, err := f.cfg.Format(ctx, application)
	if err != nil {
		return 0, fmt.Errorf("fanout: reading the preferred format: %w", err)
	}
	for i, id := range subjects {
		if id.Format() == format {
			return i, nil
		}
	}
	return 0, nil
}
