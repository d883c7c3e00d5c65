package consent

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// State is what the gate does with an event.
type State uint8

// The states.
const (
	Sent    State = iota // it passed, or was released
	Held                 // it waits for a grant
	Dropped              // it waited too long, or was refused: nothing releases it any more
)

// Verdict is what the gate says of an event for an application.
type Verdict struct {
	State State
	// Released is the place of the grant that released it; 0: none did, it
	// passed at its own place or is not sent.
	Released uint64
}

// Passes says whether an application may hear of an event by what the log
// holds now. That it is addressed to the application is not asked here.
func (g *Gate) Passes(ctx context.Context, application string, rec *eventlog.Record) (Verdict, error) {
	set, err := g.at(ctx, application, rec.Seq)
	if err != nil || !set.Enabled {
		return Verdict{}, err
	}
	ids := Identifiers(rec)
	last, err := g.stateOf(ctx, application, ids, rec.Seq)
	if err != nil || last.granted {
		return Verdict{}, err
	}
	grant, err := g.after(ctx, refGrant, application, ids, rec.Seq)
	if err != nil {
		return Verdict{}, err
	}
	end, bound := g.now(), uint64(0)
	if grant != nil {
		end, bound = grant.Recorded, grant.Seq
	}
	drop, err := g.drop(ctx, application, ids, rec, set, last.seq > 0, bound)
	switch {
	case err != nil:
		return Verdict{}, err
	case !drop.IsZero() && end.After(drop):
		return Verdict{State: Dropped}, nil
	case grant != nil:
		return Verdict{Released: grant.Seq}, nil
	}
	return Verdict{State: Held}, nil
}

// drop returns when an event that is held is dropped; zero: never. refused
// says that its subject had refused before it; before is the place of the
// grant that would release it, 0: none does so far.
func (g *Gate) drop(
	ctx context.Context, application string, ids []subject.Identifier, rec *eventlog.Record, set Settings, refused bool, before uint64,
) (at time.Time, err error) {
	sooner := func(t time.Time, seconds int64) {
		if t = t.Add(time.Duration(seconds) * time.Second); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if set.HoldSeconds > 0 {
		sooner(rec.Recorded, set.HoldSeconds)
	}
	if refused && set.Refused == RefusalDrops {
		sooner(rec.Recorded, set.DropAfterSeconds)
	}
	for _, id := range ids {
		var failed error
		err := g.each(ctx, of(refEnd, application, id), eventlog.Span{After: rec.Seq, Before: before}, func(end *eventlog.Record) bool {
			if d, ok := Read(end); ok {
				var void bool
				if void, failed = g.void(ctx, &d, id); void || failed != nil {
					return failed == nil
				}
			}
			var then Settings
			if then, failed = g.at(ctx, application, end.Seq); failed != nil {
				return false
			}
			if then.Refused == RefusalDrops {
				sooner(end.Recorded, then.DropAfterSeconds)
			}
			return true
		})
		if err != nil || failed != nil {
			return at, firstError(err, failed)
		}
	}
	return at, nil
}

// standing is the newest decision about a subject.
type standing struct {
	seq     uint64 // 0: there is none
	granted bool
}

// stateOf returns the newest decision before a place that names one of the
// identifiers.
func (g *Gate) stateOf(ctx context.Context, application string, ids []subject.Identifier, before uint64) (last standing, err error) {
	for _, id := range ids {
		s, err := g.standing(ctx, application, id, before)
		if err != nil {
			return last, err
		}
		if s.seq > last.seq {
			last = s
		}
	}
	return last, nil
}

// standing is stateOf for one identifier.
func (g *Gate) standing(ctx context.Context, application string, id subject.Identifier, before uint64) (standing, error) {
	rec, err := g.inForce(ctx, refState, application, id, before)
	if err != nil || rec == nil {
		return standing{}, err
	}
	if d, ok := Read(rec); ok {
		return standing{rec.Seq, d.Decision == Grant}, nil
	}
	// What it said was erased; under which key it stands was not.
	grant, err := g.newest(ctx, of(refGrant, application, id), rec.Seq+1)
	return standing{rec.Seq, grant != nil && grant.Seq == rec.Seq}, err
}

// newest returns the newest entry with a key before a place (0: of all), nil
// if there is none.
func (g *Gate) newest(ctx context.Context, ref string, before uint64) (*eventlog.Record, error) {
	return g.one(ctx, ref, eventlog.Span{Before: before, Newest: true, Max: 1})
}

// after returns the first entry after a place under the keys of the identifiers, void ones
// apart.
func (g *Gate) after(ctx context.Context, prefix, application string, ids []subject.Identifier, seq uint64) (first *eventlog.Record, err error) {
	for _, id := range ids {
		for after := seq; ; {
			rec, err := g.one(ctx, of(prefix, application, id), eventlog.Span{After: after, Max: 1})
			if err != nil {
				return nil, err
			}
			if rec == nil || first != nil && rec.Seq >= first.Seq {
				break
			}
			void := false
			if d, ok := Read(rec); ok {
				if void, err = g.void(ctx, &d, id); err != nil {
					return nil, err
				}
			}
			if !void {
				first = rec
				break
			}
			after = rec.Seq
		}
	}
	return first, nil
}

func (g *Gate) one(ctx context.Context, ref string, span eventlog.Span) (*eventlog.Record, error) {
	records, err := g.log.Entries(ctx, eventlog.KindConsent, ref, span)
	if err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	if len(records) == 0 {
		return nil, nil
	}
	return records[0], nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
