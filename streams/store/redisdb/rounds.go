package redisdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Pauses before a call is sent again, each twice the one before, and up to as much longer.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// pending is a call on its way.
type pending struct {
	Call
	Answer
	text   bool   // the server does not have the script: it is sent whole
	asking string // the node that has the slot while it moves there
	remedy remedy
}

// run sends calls until each is answered, or not to be answered in time.
func (db *DB) run(ctx context.Context, calls []Call, wait bool) []Answer {
	all := make([]*pending, len(calls))
	for i, call := range calls {
		all[i] = &pending{Call: call}
	}
	end := time.Now().Add(db.cfg.Patience)
	for open, next := all, firstPause; len(open) > 0; {
		db.exchange(ctx, open, wait && db.waits())
		var again []*pending
		late := false
		for _, p := range open {
			if p.remedy = db.remedyOf(p); p.remedy != none {
				again = append(again, p)
			}
			late = late || p.remedy == later
		}
		open = again
		if !late {
			continue // at once
		}
		db.reload(ctx)
		d := next + rand.N(next)
		if next = min(2*next, lastPause); ctx.Err() == nil && time.Now().Add(d).Before(end) {
			pause(ctx, d)
		} else {
			break
		}
		if ctx.Err() != nil {
			break
		}
	}
	answers := make([]Answer, len(all))
	for i, p := range all {
		answers[i] = p.finish(ctx)
	}
	return answers
}

// finish makes the answer of what was sent for the last time.
func (p *pending) finish(ctx context.Context) Answer {
	switch {
	case p.Err == nil:
		return p.Answer
	case errors.Is(p.Err, ErrReplicas), errors.Is(p.Err, ErrRefused):
	case p.remedy != none && ctx.Err() != nil:
		p.Err = fmt.Errorf("%w: %w: %w", ErrAway, ctx.Err(), p.Err)
	case p.remedy != none:
		p.Err = fmt.Errorf("%w: %w", ErrAway, p.Err)
	case ctx.Err() != nil:
		p.Err = fmt.Errorf("redisdb: %w: %w", ctx.Err(), p.Err)
	default:
		p.Err = fmt.Errorf("redisdb: %w", p.Err)
	}
	return Answer{Err: p.Err}
}
