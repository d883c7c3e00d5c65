package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// maxLost is how many calls of one hook may go on after their time: with more, it is
// not asked any more until one ends.
const maxLost = 8

// answer is what a hook answered.
type answer struct {
	hooks.Outcome
	error
}

// Whether a call has ended, or is not waited for any more.
const (
	running int32 = iota
	ended
	abandoned
)

// ask asks the hook and returns after limit at the latest, also if the hook does not
// heed its context: such a call is left to itself, and counted.
func (t *task) ask(ctx context.Context, log *slog.Logger, a hooks.Action, limit time.Duration) (hooks.Outcome, error) {
	if n := t.lost.Load(); n >= maxLost {
		return hooks.Outcome{}, fmt.Errorf("is not asked: %d calls did not end in their time and still run", n)
	}
	// Of its time the hook gets all but the last tenth, to heed its context in.
	heed, cancel := context.WithTimeout(ctx, limit-limit/reserve)
	defer cancel()
	over := time.NewTimer(limit)
	defer over.Stop()
	answers := make(chan answer, 1)
	var state atomic.Int32
	go func() {
		out, err := t.call(heed, log, a)
		answers <- answer{out, err}
		if !state.CompareAndSwap(running, ended) {
			t.lost.Add(-1)
		}
	}()
	select {
	case got := <-answers:
		return got.Outcome, got.error
	case <-over.C:
	}
	if state.CompareAndSwap(running, abandoned) {
		t.lost.Add(1)
		log.ErrorContext(ctx, "hook does not heed its context", "hook", t.hook)
		return hooks.Outcome{}, fmt.Errorf("did not answer within %v", limit.Round(time.Millisecond))
	}
	got := <-answers
	return got.Outcome, got.error
}

// call runs the hook, or has it say what it would do; a panic is an error like others.
func (t *task) call(ctx context.Context, log *slog.Logger, a hooks.Action) (out hooks.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "hook panicked", "hook", t.hook, "stack", string(debug.Stack()))
			out, err = hooks.Outcome{}, errors.New("panicked: "+edge.PanicText(p))
		}
	}()
	if !t.dry {
		return t.Act(ctx, a)
	}
	if previewer, ok := t.Hook.(hooks.Previewer); ok {
		return previewer.Preview(ctx, a)
	}
	return hooks.Outcome{Ended: hooks.Unknown, Detail: "would be asked"}, nil
}
