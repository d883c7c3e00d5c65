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

// holds are what may keep events: whether any was ever set, and where events are in
// files those that stand.
type holds struct {
	asked    bool
	standing []Hold
}

// files returns up to which record events are in files, 0: none is, and what holds there are.
func (e *Eraser) files(ctx context.Context) (filed uint64, h holds, err error) {
	if log, ok := e.cfg.Log.(filing); ok {
		if filed, err = log.Archived(ctx); err != nil {
			return 0, h, err
		}
	}
	if h.asked, err = e.anyHold(ctx); err != nil || !h.asked || filed == 0 {
		return filed, h, err
	}
	all, err := e.Holds(ctx)
	for _, one := range all {
		if one.Lifted == nil {
			h.standing = append(h.standing, one)
		}
	}
	return filed, h, err
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
