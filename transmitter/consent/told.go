package consent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// toldPrefix begins the source id of a decision that an event tells: its event
// is noted once, however often the follower comes to it.
const toldPrefix = "event:"

// ErrOlder: what was decided since holds, and nothing is noted.
var ErrOlder = errors.New("consent: the event tells a decision that is older than the one in force")

// Told notes the decision that an event tells, if it tells one and its source
// was set to have it noted (eventlog.Event.Consent); it is in force from the
// entry's place on, not the event's. refused is why it cannot be noted: it
// never can. Safe to repeat.
//
// What the event's subjects are alone decides, not its attributes: a source's
// own id of its user may be another user's id elsewhere.
//
// An older decision never overrides a newer one, though it is noted later: one
// that was made here since the event came; one of a later time that the same
// source told before, for vendors send again what failed, out of order; and, for
// a grant, any refusal of a later time. A grant is noted as a whole or, with
// [ErrOlder], not at all; a refusal about those identifiers of which nothing
// newer is known.
func (f *Follower) Told(ctx context.Context, rec *eventlog.Record) (refused, err error) {
	if rec.Erased || rec.Consent == (eventlog.Consent{}) {
		return nil, nil
	}
	d := Decision{
		Application: rec.Consent.Application, Decision: Word(rec.Consent.Decision), Subjects: rec.Subjects,
		Time: rec.Time, SourceID: toldPrefix + rec.ID, By: "source " + rec.Source, Recorded: rec.Recorded, At: rec.Seq,
	}
	d.Time = d.made() // the entry is recorded later
	err = f.gate.tell(ctx, d)
	var invalid *InvalidError
	if errors.As(err, &invalid) || errors.Is(err, ErrOlder) {
		return err, nil
	}
	if err != nil {
		return nil, fmt.Errorf("consent: what an event tells: %w", err)
	}
	return nil, nil
}

// tell notes a decision that the event At tells, which was Recorded then, unless
// it was noted before. Errors: [*InvalidError], [ErrOlder].
func (g *Gate) tell(ctx context.Context, d Decision) error {
	if err := d.check(); err != nil {
		return err
	}
	g.deciding.Lock()
	defer g.deciding.Unlock()
	first, err := g.newest(ctx, d.sourceRef(), 0)
	if err != nil || first != nil {
		return err
	}
	kept := d.Subjects[:0:0]
	for _, id := range d.Subjects {
		last, err := g.inForce(ctx, refState, d.Application, id, 0)
		if err != nil {
			return err
		}
		older, err := g.overridden(ctx, &d, id, last)
		if err != nil {
			return err
		}
		if !older {
			kept = append(kept, id)
		}
	}
	if len(kept) == 0 || d.Decision == Grant && len(kept) < len(d.Subjects) {
		return ErrOlder
	}
	d.Subjects = kept
	_, err = g.note(ctx, d)
	return err
}

// void reports whether a decision that is noted was never in force about an identifier,
// because one that an event tells was overridden when it was noted: where several processes
// decide, another can note one while it is looked whether there is any. A grant is void as
// a whole.
func (g *Gate) void(ctx context.Context, d *Decision, id subject.Identifier) (bool, error) {
	if d.At == 0 {
		return false, nil
	}
	ids := d.Subjects
	if d.Decision != Grant {
		ids = []subject.Identifier{id}
	}
	for _, id := range ids {
		last, err := g.newest(ctx, of(refState, d.Application, id), d.Seq)
		if err != nil {
			return false, err
		}
		if older, err := g.overridden(ctx, d, id, last); older || err != nil {
			return older, err
		}
	}
	return false, nil
}

// inForce returns the newest entry with a key of an identifier, before a place (0: of all),
// that is not void; nil if there is none.
func (g *Gate) inForce(ctx context.Context, prefix, application string, id subject.Identifier, before uint64) (*eventlog.Record, error) {
	for {
		rec, err := g.newest(ctx, of(prefix, application, id), before)
		if err != nil || rec == nil {
			return nil, err
		}
		d, ok := Read(rec)
		if !ok {
			return rec, nil
		}
		if void, err := g.void(ctx, &d, id); err != nil || !void {
			return rec, err
		}
		before = rec.Seq
	}
}

// overridden reports whether a decision about an identifier (nil: there is none) is newer
// than one that an event tells.
func (g *Gate) overridden(ctx context.Context, d *Decision, id subject.Identifier, rec *eventlog.Record) (bool, error) {
	if rec == nil {
		return false, nil
	}
	last, ok := Read(rec)
	if !ok { // erased: where the event stood that told it, if one did, is not known
		s, err := g.standing(ctx, d.Application, id, rec.Seq+1)
		return d.Decision == Grant && !s.granted && s.seq > d.At, err
	}
	place := last.Seq
	if last.At > 0 {
		place = last.At
	}
	switch {
	case place > d.At:
		return true, nil
	case last.At > 0 && last.By == d.By: // by the same clock
		return last.made().After(d.made()), nil
	}
	return d.Decision == Grant && last.Decision != Grant && last.made().After(d.made()), nil
}

// made returns when a decision was made, as far as is known: not after it was
// recorded.
func (d *Decision) made() time.Time {
	if d.Time.IsZero() || d.Time.After(d.Recorded) {
		return d.Recorded
	}
	return d.Time
}
