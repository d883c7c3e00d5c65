package acts

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// fromSchedule is from where acts come that nobody asked for.
const fromSchedule = "schedule"

// Own does an act that this process does by itself, and notes it as those are that somebody
// asks for: before, and when its outcome is known. object is the id of what it is about, of
// the kind what; empty: do returns it. refused reports whether an error of do's says that
// nothing was done. Errors: do's; the log's, and nothing was done.
func (r Recorder) Own(ctx context.Context, node, name, what, object string, refused func(error) bool, do func(context.Context) (object string, err error)) error {
	act := eventlog.Act{Act: name, By: eventlog.Actor{Node: node}, From: fromSchedule, Objects: map[string]string{}}
	put(act.Objects, what, object)
	seq, err := r.note(ctx, act)
	if err != nil {
		return fmt.Errorf("acts: %s: %w", name, err)
	}
	act.Asked, act.Outcome = seq, eventlog.ActFailed // if it panics
	defer func() { r.noteOutcome(ctx, act) }()
	made, err := do(ctx)
	act.Objects = map[string]string{} // the entry before has the other
	if made == "" {
		made = object
	}
	put(act.Objects, what, made)
	switch {
	case err == nil:
		act.Outcome = eventlog.ActDone
	case refused(err):
		act.Outcome = eventlog.ActRefused
	}
	return err
}
