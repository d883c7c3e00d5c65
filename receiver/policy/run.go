package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// Times of a run.
const (
	recordLimit = 5 * time.Second // for one entry of the journal
	reserve     = 10              // 1/reserve of the deadline is left for the journal
)

// errUnfinished: the process ended, or a test made it look so.
var errUnfinished = errors.New("policy: hook was not run to its end")

// handle does what the rules say about d.
func (e *Engine) handle(ctx context.Context, feed string, d receiver.Delivery) error {
	p, err := e.plan(ctx, feed, d, nil)
	if err != nil {
		return fmt.Errorf("policy: the journal cannot be read: %w", err)
	}
	log := e.cfg.Logger.With("jti", d.ID, "txn", d.TransactionID, "event_type", d.Type)
	for _, err := range p.wrong {
		log.ErrorContext(ctx, "rule left out", "err", err)
	}
	if len(p.tasks) == 0 && !control(d.Type) {
		log.InfoContext(ctx, "no rule leads from the event to a hook")
	}
	e.speak(ctx, p)
	first, forget := p.split()
	if waves := e.waves(first) + e.waves(forget); waves > 0 {
		limit := e.share(ctx, waves)
		e.run(ctx, log, p, first, limit)
		e.warnUnmet(ctx, log, p)
		if p.mayForget() {
			e.run(ctx, log, p, forget, limit)
		} else {
			e.postpone(ctx, log, p, forget)
		}
	}
	return p.result()
}

// split returns the tasks of two turns: to forget comes behind, since what is to be
// forgotten may be what sessions are found by.
func (p *plan) split() (first, forget []*task) {
	for _, t := range p.tasks {
		if t.effect == hooks.Forget {
			forget = append(forget, t)
		} else {
			first = append(first, t)
		}
	}
	return first, forget
}

// mayForget reports whether all that may need what is to be forgotten is done.
func (p *plan) mayForget() bool {
	for _, t := range p.tasks {
		if t.effect != hooks.Forget && t.effect != hooks.Notify && !t.verdict.Settled() {
			return false
		}
	}
	return true
}

// waves is how many times in a row hooks are run at most.
func (e *Engine) waves(tasks []*task) int {
	return (len(tasks) + e.cfg.Parallel - 1) / e.cfg.Parallel
}

// share is how long one hook may run, so that each comes to its turn before the
// deadline of ctx.
func (e *Engine) share(ctx context.Context, waves int) time.Duration {
	limit := e.cfg.HookTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		limit = min(limit, (left-left/reserve)/time.Duration(waves))
	}
	return limit
}

// run runs tasks, Parallel at once, and returns when all have ended.
func (e *Engine) run(ctx context.Context, log *slog.Logger, p *plan, tasks []*task, limit time.Duration) {
	free := make(chan struct{}, e.cfg.Parallel)
	var running sync.WaitGroup
	for _, t := range tasks {
		if t.verdict != "" {
			continue // at an earlier attempt
		}
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			e.runOne(ctx, log, p, t, limit)
		})
	}
	running.Wait()
}

// runOne asks one hook and notes what became of it.
func (e *Engine) runOne(ctx context.Context, log *slog.Logger, p *plan, t *task, limit time.Duration) {
	t.verdict, t.err = journal.Failed, errUnfinished
	var out hooks.Outcome
	var err error
	begun := time.Now()
	ctx, traced := p.traceHook(ctx, t)
	defer func() { traced(t.verdict) }()
	switch {
	case t.outdated:
	case t.effect == hooks.Allow && !t.dry && !t.issuers && len(p.whom()) > 0:
		out, err = e.settle(ctx, log, p, t, limit)
	default:
		out, err = t.ask(ctx, log, p.action(t), limit)
	}
	took := time.Since(begun)
	e.cfg.Crash(CrashAfterAct)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		t.err = err // ended by shutdown, not by its own fault: nothing is noted
		return
	}
	verdict := t.judge(err)
	entry := p.entry(t, verdict)
	entry.At, entry.Took = e.cfg.Now(), took
	entry.Ended, entry.Detail = out.Ended, join(t.note(), out.Detail)
	if err != nil && verdict != journal.Skipped {
		entry.Err = err.Error()
	}
	switch {
	case lasts(t.effect):
		entry.Lane, entry.Time = p.lane, p.time()
	case t.effect == hooks.Forget && !t.issuers && (verdict == journal.Done || verdict == journal.Skipped): // also of a hook that has nothing to forget
		entry.Whom = p.whom()
	}
	if failure := e.record(ctx, entry); failure != nil {
		t.err = fmt.Errorf("what it did cannot be noted: %w", failure)
		return
	}
	e.cfg.Observer.Asked(t.hook, t.effect, verdict, took)
	log.DebugContext(ctx, "hook asked", "hook", t.hook, "effect", t.effect, "verdict", verdict, "took", took)
	t.verdict, t.err = verdict, nil
	if !verdict.Settled() {
		t.err = err
	}
	e.cfg.Crash(CrashAfterRecord)
}

// action is what a task asks for. Its key is of the feed, too: a jti is unique within it.
func (p *plan) action(t *task) hooks.Action { return hooks.NewAction(p.d, p.name(t), t.effect) }

func (p *plan) name(t *task) string {
	if p.feed == "" {
		return t.hook
	}
	return p.feed + "\n" + t.hook
}

// judge is the verdict on what a hook answered.
func (t *task) judge(err error) journal.Verdict {
	switch {
	case t.outdated:
		return journal.Outdated
	case errors.Is(err, hooks.ErrNotApplicable):
		return journal.Skipped
	case t.dry:
		return journal.Dry // a preview that failed is no reason to try again
	case err == nil && t.held:
		return journal.Held
	case err == nil:
		return journal.Done
	case receiver.IsPermanent(err):
		return journal.SetAside
	}
	return journal.Failed
}

// entry is what the journal says of a task, without what the hook answered.
func (p *plan) entry(t *task, verdict journal.Verdict) journal.Entry {
	return journal.Entry{
		Event: p.event(), Type: cut(t.eventType, journal.MaxFeedBytes), TransactionID: cut(p.d.TransactionID, journal.MaxIDBytes),
		Scope: cut(p.scope.Kind(), journal.MaxNameBytes), Time: p.d.EventTime,
		Rule: t.rule, Hook: t.hook, Effect: string(t.effect), Verdict: verdict, Attempt: p.d.Attempt,
	}
}

// cut shortens a text of the sender's own, which may be of any length, to what the journal
// takes: what a hook did is noted whatever the event says.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// record keeps an entry, also when the event's time is over.
func (e *Engine) record(ctx context.Context, entry journal.Entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	return e.cfg.Journal.Record(ctx, entry)
}

// warnUnmet notes it once if sessions were to be ended and no hook could do anything.
func (e *Engine) warnUnmet(ctx context.Context, log *slog.Logger, p *plan) {
	var unmet *task
	for _, t := range p.tasks {
		switch {
		case !ends(t.effect):
		case t.verdict != journal.Skipped:
			return
		case unmet == nil || t.effect == hooks.Deny:
			unmet = t
		}
	}
	if unmet == nil {
		return
	}
	entry := p.entry(unmet, journal.Unmet)
	entry.Hook, entry.At = "", e.cfg.Now()
	entry.Detail = "to no hook was it applicable: no session was ended"
	for _, known := range p.known {
		if known.Hook == "" && known.Effect == entry.Effect {
			return
		}
	}
	log.WarnContext(ctx, "no hook could end the sessions of an event", "effect", entry.Effect, "scope", entry.Scope)
	if err := e.record(ctx, entry); err != nil {
		unmet.verdict, unmet.err = journal.Failed, fmt.Errorf("what it did cannot be noted: %w", err)
		return
	}
	e.cfg.Observer.Asked("", unmet.effect, journal.Unmet, 0)
}

// postpone sets aside what is to be forgotten if sessions that it may be needed for
// were set aside. What fails and is tried again it only waits for.
func (e *Engine) postpone(ctx context.Context, log *slog.Logger, p *plan, forget []*task) {
	for _, t := range p.tasks {
		if t.effect != hooks.Forget && t.verdict == journal.Failed {
			return
		}
	}
	for _, t := range forget {
		if t.verdict != "" {
			continue
		}
		t.verdict, t.err = journal.SetAside, errors.New("waits for what was set aside")
		entry := p.entry(t, t.verdict)
		entry.At, entry.Err = e.cfg.Now(), t.err.Error()
		if err := e.record(ctx, entry); err != nil {
			t.verdict, t.err = journal.Failed, err
			log.ErrorContext(ctx, "journal cannot be written", "err", err)
		}
	}
}

// result is the error of the whole: one to try again if that can mend something.
func (p *plan) result() error {
	var again, given []error
	for _, t := range p.tasks {
		switch t.verdict {
		case journal.Failed:
			again = append(again, fmt.Errorf("hook %q (%s): %w", t.hook, t.effect, t.err))
		case journal.SetAside:
			reason := "was set aside at an earlier attempt"
			if t.err != nil {
				reason = t.err.Error()
			}
			given = append(given, fmt.Errorf("hook %q (%s): %s", t.hook, t.effect, reason))
		}
	}
	if again != nil {
		return errors.Join(append(again, given...)...)
	}
	return receiver.Permanent(errors.Join(append(given, p.wrong...)...))
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
