package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// settle writes down r and what else comes back with it, in one transaction,
// with the stream's health where it changed.
func (w *worker) settle(ctx context.Context, r result) error {
	outcomes := w.gather(r)
	w.inFlight -= len(outcomes)
	w.unsettled = append(w.unsettled, outcomes...)
	if h := w.newHealth(); h != nil {
		w.unsaved = h
	}
	return w.flush(ctx)
}

// gather returns the outcome of r and of what has come back by now. Where
// several are out, it waits a moment for them: they share a transaction.
func (w *worker) gather(r result) []streams.Outcome {
	outcomes := append(make([]streams.Outcome, 0, w.inFlight), w.outcome(r))
	if w.inFlight < busy {
		return outcomes
	}
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	for len(outcomes) < w.inFlight {
		select {
		case r := <-w.results:
			outcomes = append(outcomes, w.outcome(r))
		case <-timer.C:
			return outcomes
		}
	}
	return outcomes
}

// flush writes down what has not been yet. What the store does not take stays
// with the worker, which tries again: dropped, it would hold back its subjects
// until the leases end, and then be delivered again.
func (w *worker) flush(ctx context.Context) error {
	if len(w.unsettled) == 0 {
		return nil
	}
	// A verdict that was received is written down also while the process stops.
	ctx = context.WithoutCancel(ctx)
	w.pusher.cfg.Crash(CrashBeforeSettle)
	if _, err := w.pusher.store.Settle(ctx, w.id, w.unsettled, w.unsaved); err != nil {
		return fmt.Errorf("push: settling: %w", err)
	}
	w.unsettled, w.unsaved = nil, nil
	w.pusher.cfg.Crash(CrashAfterSettle)
	return nil
}

// drain waits for what is in flight and settles it as well as it can: the
// store has just failed.
func (w *worker) drain(ctx context.Context) error {
	var err error
	for w.inFlight > 0 {
		err = errors.Join(err, w.settle(ctx, <-w.results))
	}
	return err
}

// outcome turns a result into the verdict of the queue and notes what it
// means for the stream.
func (w *worker) outcome(r result) streams.Outcome {
	if isAnnouncement(r.item) {
		w.news--
	}
	o := streams.Outcome{ID: r.item.ID, Code: r.Code, Description: r.Text}
	if r.Code == released || r.Code == changed || r.Code == unsigned {
		o.Verdict = streams.Released
		w.stale = w.stale || r.Code == changed
		return o
	}
	judgement, unknown := r.Judgement, w.pusher.unknownKeys(r)
	if unknown >= keyTries {
		judgement = SetAside
	}
	switch judgement {
	case Accepted:
		o.Verdict = streams.Delivered
		w.health.Refusals, w.round.answered = 0, true
	case SetAside:
		o.Verdict = streams.Refused
		if r.Code == erased {
			o.Verdict = streams.Delivered // off the queue, without a trace
			break
		}
		if r.Code != gone { // else it is not the receiver that refuses it
			w.round.answered = true
			w.refused(r)
		}
	case RetryKey:
		o.Verdict, o.After = streams.Failed, keyPause(unknown)
	case PauseStream:
		w.round.pause = r.Text
		fallthrough
	case BackOff:
		o.Verdict = streams.Failed
		if !r.Tried { // our own failure: no attempt
			o.Verdict = streams.Released
		}
		w.round.failed = true
		w.round.retryAfter = max(w.round.retryAfter, r.RetryAfter)
		w.round.lastError = r.Code + ": " + r.Text
	}
	return o
}

// unknownKeys returns how often the receiver has answered invalid_key to this
// SET, r included, and forgets it with any verdict that ends it. The count is
// in memory: a restart gives the SET its tries again.
func (p *Pusher) unknownKeys(r result) int {
	if r.Judgement != RetryKey && r.Judgement != Accepted && r.Judgement != SetAside {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Judgement != RetryKey {
		if len(p.keys) > 0 {
			delete(p.keys, r.item.ID)
		}
		return 0
	}
	if len(p.keys) >= maxKeyCounts {
		clear(p.keys)
	}
	p.keys[r.item.ID]++
	n := p.keys[r.item.ID]
	if n >= keyTries {
		delete(p.keys, r.item.ID)
	}
	return n
}

func (w *worker) refused(r result) {
	w.health.Refusals++
	if w.health.Refusals >= w.pusher.cfg.Refusals {
		w.round.pause = fmt.Sprintf("the receiver refused %d SETs in a row, the last with %s", w.health.Refusals, r.Code)
	}
}

// newHealth returns the stream's health if it has changed, else nil. The
// verdict on the stream falls when the last request in flight has ended: then
// the window is judged as a whole.
func (w *worker) newHealth() *streams.Health {
	cfg := &w.pusher.cfg
	switch {
	case w.round.failed && w.inFlight == 0:
		if w.round.answered {
			w.health.Failures, w.health.FirstFailure = 0, time.Time{}
		}
		now := cfg.Now()
		w.health.Failures++
		if w.health.FirstFailure.IsZero() {
			w.health.FirstFailure = now
		}
		w.health.NextDue = now.Add(cfg.pauseAfter(w.health.Failures, w.round.retryAfter))
		w.health.LastError = w.round.lastError
		if now.Sub(w.health.FirstFailure) >= cfg.GiveUp {
			w.round.pause = fmt.Sprintf("no delivery succeeded since %s; the last failure was %s",
				w.health.FirstFailure.UTC().Format(time.RFC3339), w.round.lastError)
		}
	case w.round.answered && !w.round.failed:
		w.health.Failures, w.health.FirstFailure, w.health.NextDue, w.health.LastError = 0, time.Time{}, time.Time{}, ""
	}
	if w.health == w.known {
		return nil
	}
	w.known = w.health
	health := w.health
	return &health
}

// pauseIfAsked pauses the stream once nothing is in flight any more. Its
// health keeps the next due time, for stream-updated leaves a paused stream too.
func (w *worker) pauseIfAsked(ctx context.Context) error {
	if w.round.pause == "" {
		return nil
	}
	if err := w.pusher.cfg.Pause(context.WithoutCancel(ctx), w.id, w.round.pause); err != nil {
		return fmt.Errorf("push: pausing: %w", err)
	}
	return nil
}
