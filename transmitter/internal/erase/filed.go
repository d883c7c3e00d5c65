package erase

import (
	"context"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// filing is a log whose older events may be in files (package segments). Those read as
// erased ones do; what an entry says was erased leaves the files as well.
type filing interface {
	// Archived returns up to which record events are in files.
	Archived(ctx context.Context) (uint64, error)
}

// filed returns up to which record events are in files; 0: none is.
func (e *Eraser) filed(ctx context.Context) (uint64, error) {
	log, ok := e.cfg.Log.(filing)
	if !ok {
		return 0, nil
	}
	return log.Archived(ctx)
}

// holds are what may keep events: whether any was ever set, and where events are in
// files those that stand.
type holds struct {
	asked    bool
	standing []Hold
}

func (e *Eraser) newHolds(ctx context.Context, filed uint64) (h holds, err error) {
	if h.asked, err = e.anyHold(ctx); err != nil || !h.asked || filed == 0 {
		return h, err
	}
	all, err := e.Holds(ctx)
	for _, one := range all {
		if one.Lifted == nil {
			h.standing = append(h.standing, one)
		}
	}
	return h, err
}

// held reports whether a hold stands on an event. What is in a file does not say whom it
// is about: the index, which knew the event, is asked by the subjects of the holds.
func (e *Eraser) held(ctx context.Context, r *eventlog.Record, h *holds) (bool, error) {
	if !h.asked {
		return false, nil
	}
	if !r.Erased {
		active, err := e.active(ctx, subjectsOf(r))
		return len(active) > 0, err
	}
	for _, one := range h.standing {
		found, err := e.cfg.Index.Of(ctx, parts(one.Subjects), r.Seq-1, r.Seq+1, 1)
		if err != nil || len(found) > 0 {
			return true, err
		}
	}
	return false, nil
}
