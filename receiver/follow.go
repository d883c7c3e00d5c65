package receiver

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// Waiting and trying while the inbox follows.
const (
	storePause    = time.Second     // before an inbox that failed is asked again
	settleLimit   = 5 * time.Second // for one Settle
	settleRetries = 3               // tries of a Settle after Run should have ended
	stubborn      = time.Second     // for a hook to return after its context has ended
)

// follow runs the hooks of what waits in the inbox until ctx ends.
func (r *Receiver) follow(ctx context.Context) error {
	// Hooks outlive ctx by the grace, their outcomes by the settler.
	hooks, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(r.cfg.Grace, stop) })
	defer unhook()

	outcomes := make(chan inbox.Outcome, r.cfg.Workers)
	settled, ended, abandoned := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(settled)
		r.settle(ctx, outcomes, abandoned)
	}()
	var running sync.WaitGroup
	err := r.dispatch(ctx, func(m inbox.Message, done func()) {
		running.Go(func() {
			defer done()
			select {
			case outcomes <- r.traced(hooks, &m):
			case <-abandoned: // handled again by the next process
			}
		})
	})
	go func() {
		running.Wait()
		close(outcomes)
		close(ended)
	}()
	select {
	case <-ended:
	case <-hooks.Done():
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stubborn)
		defer cancel()
		if !within(limit, ended) {
			r.log.ErrorContext(ctx, "hooks that do not heed their context are abandoned")
			close(abandoned)
		}
	}
	<-settled
	return err
}

// within reports whether done is closed before ctx ends.
func within(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// dispatch takes messages as workers are free and hands each to start, which calls
// done when the worker is free again.
func (r *Receiver) dispatch(ctx context.Context, start func(m inbox.Message, done func())) error {
	free := make(chan struct{}, r.cfg.Workers)
	done := func() { <-free }
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		n := 1
		for ; n < r.cfg.Workers && len(free) < r.cfg.Workers; n++ {
			free <- struct{}{} // only this goroutine adds
		}
		messages, err := r.inbox.Take(ctx, r.cfg.Feed, n)
		for range n - len(messages) {
			done()
		}
		for _, m := range messages {
			start(m, done)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, inbox.ErrClosed):
			return err
		case err != nil:
			r.log.ErrorContext(ctx, "inbox cannot be read", "err", err)
			wait(ctx, storePause)
		}
	}
}

// settle keeps outcomes as they come, as many at once as there are, until there
// are no more or the rest is abandoned.
func (r *Receiver) settle(ctx context.Context, outcomes <-chan inbox.Outcome, abandoned <-chan struct{}) {
	for {
		var first inbox.Outcome
		var ok bool
		select {
		case first, ok = <-outcomes:
		case <-abandoned:
			select {
			case first, ok = <-outcomes: // those that came before
			default:
			}
		}
		if !ok {
			return
		}
		batch := []inbox.Outcome{first}
		for more := true; more && len(batch) < cap(outcomes); {
			select {
			case o, ok := <-outcomes:
				if more = ok; ok {
					batch = append(batch, o)
				}
			default:
				more = false
			}
		}
		r.settleBatch(ctx, batch)
	}
}

// settleBatch tries until it succeeds. After ctx has ended it gives up after some
// tries: those messages are handled again by the next process.
func (r *Receiver) settleBatch(ctx context.Context, batch []inbox.Outcome) {
	for late := 0; late < settleRetries; {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
		err := r.inbox.Settle(limited, batch...)
		cancel()
		if err == nil {
			r.cfg.Crash("hook.after-settle")
			return
		}
		r.log.ErrorContext(ctx, "outcome of hooks cannot be kept", "err", err)
		if errors.Is(err, inbox.ErrClosed) {
			return
		}
		if !wait(ctx, storePause) {
			late++
			wait(context.WithoutCancel(ctx), storePause)
		}
	}
}

// handle runs the hooks of one message and returns its outcome.
func (r *Receiver) handle(ctx context.Context, m *inbox.Message) inbox.Outcome {
	token, err := r.dialect.Read(m.SET) // it was verified before it was kept
	if err != nil {
		r.log.ErrorContext(ctx, "kept SET cannot be read, set aside", "jti", m.ID, "txn", m.TransactionID, "err", err)
		return inbox.Outcome{Seq: m.Seq, Verdict: inbox.SetAside, Reason: err.Error()}
	}
	log := r.log.With("jti", m.ID, "txn", m.TransactionID, "event_type", m.Type, "attempt", m.Attempts+1)
	if name := r.criticalMember(token); name != "" {
		log.WarnContext(ctx, "event discarded: critical subject member not understood", "member", name)
		return inbox.Outcome{Seq: m.Seq, Verdict: inbox.Done}
	}
	d := newDelivery(m, token, r.cfg.Skew)
	r.record(d)
	began := time.Now()
	r.cfg.Crash("hook.before-run")
	err = r.call(ctx, d)
	r.cfg.Crash("hook.after-run")
	if err != nil && ctx.Err() != nil {
		return inbox.Outcome{Seq: m.Seq, Verdict: inbox.Released} // ended by shutdown, not by its own fault
	}
	outcome := r.outcome(ctx, log, m, err)
	r.cfg.Observer.Handled(outcome.Verdict, time.Since(began))
	if outcome.Verdict == inbox.Done {
		now := r.cfg.Now()
		r.cfg.Observer.Done(now.Sub(m.Received), max(now.Sub(token.IssuedAt), 0))
	}
	return outcome
}

// outcome is the verdict on a message whose hooks returned err.
func (r *Receiver) outcome(ctx context.Context, log *slog.Logger, m *inbox.Message, err error) inbox.Outcome {
	if err == nil {
		log.InfoContext(ctx, "event handled")
		return inbox.Outcome{Seq: m.Seq, Verdict: inbox.Done}
	}
	delay, again := r.cfg.Retry.Delay(m.Attempts + 1)
	if IsPermanent(err) || !again {
		log.ErrorContext(ctx, "event set aside", "err", err)
		return inbox.Outcome{Seq: m.Seq, Verdict: inbox.SetAside, Reason: err.Error()}
	}
	delay = max(delay, After(err))
	log.WarnContext(ctx, "hook failed, tried again later", "in", delay, "err", err)
	return inbox.Outcome{Seq: m.Seq, Verdict: inbox.Again, Due: r.cfg.Now().Add(delay)}
}

// call runs the hooks with their deadline; a panic is an error like others.
func (r *Receiver) call(ctx context.Context, d Delivery) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.HookTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "hook panicked", "jti", d.ID, "txn", d.TransactionID, "stack", string(debug.Stack()))
			err = errors.New("hook panicked: " + edge.PanicText(p))
		}
	}()
	return r.cfg.Mux.Dispatch(ctx, d)
}

// criticalMember returns the name of a member of the subject that the transmitter
// calls critical and the hooks do not understand, "" if there is none (U4).
func (r *Receiver) criticalMember(t *set.Token) string {
	critical := *r.critical.Load()
	if len(critical) == 0 || !t.Subject.IsComplex() {
		return ""
	}
	// By the text, since a member whose value is no subject is not understood
	// either and stands in the text alone.
	for name := range members(t.Subject.Raw()) {
		if slices.Contains(critical, name) && !slices.Contains(r.cfg.SubjectMembers, name) {
			return name
		}
	}
	return ""
}

// arrived notes and says once per SET how it came.
func (r *Receiver) arrived(ctx context.Context, m *inbox.Message, a inbox.Appended, how string) {
	r.traceArrival(ctx, m, a, how)
	if a.Err == nil {
		r.seen.received(m, a)
		r.awaited.answer(m)
		r.log.DebugContext(ctx, "SET received", "jti", m.ID, "txn", m.TransactionID, "event_type", m.Type, "delivery", how, "repeat", a.Duplicate)
	}
}
