package consent

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// toldPrefix begins the source id of a decision that an event tells: its event
// is noted once, however often the follower comes to it.
const toldPrefix = "event:"

// Told notes the decision that an event tells, if it tells one and its source
// was set to have it noted (eventlog.Event.Consent); it is in force from the
// entry's place on, not the event's. refused is why it cannot be noted: it
// never can. Safe to repeat.
//
// What the event's subjects are alone decides, not its attributes: a source's
// own id of its user may be another user's id elsewhere.
func (f *Follower) Told(ctx context.Context, rec *eventlog.Record) (refused, err error) {
	if rec.Erased || rec.Consent == (eventlog.Consent{}) {
		return nil, nil
	}
	_, _, err = f.gate.Decide(ctx, Decision{
		Application: rec.Consent.Application, Decision: Word(rec.Consent.Decision), Subjects: rec.Subjects,
		Time: rec.Time, SourceID: toldPrefix + rec.ID, By: "source " + rec.Source,
	})
	var invalid *InvalidError
	var conflict *ConflictError
	if errors.As(err, &invalid) || errors.As(err, &conflict) {
		return err, nil
	}
	if err != nil {
		return nil, fmt.Errorf("consent: what an event tells: %w", err)
	}
	return nil, nil
}
