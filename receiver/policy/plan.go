package policy

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// plan is what is to be done about one delivery.
type plan struct {
	feed  string
	d     receiver.Delivery
	scope receiver.Scope
	lane  journal.Digest
	tasks []*task
	known []journal.Entry // of the event, before
	wrong []error         // rules that cannot be told
}

// task is what one hook is asked for, and what became of it.
type task struct {
	chosen
	*guarded
	verdict  journal.Verdict // "": not asked yet
	outdated bool            // and it shall not be: a newer state is known
	held     bool            // nor shall it: another issuer denies,
	denied   time.Time       // since then
	detail   string
	err      error // of a failure
}

// note says why a hook was asked for less than the rule wants.
func (t *task) note() string {
	if t.held && t.effect == hooks.Allow {
		return join(t.detail, "another issuer denies")
	}
	return t.detail
}

// event is the identity of the plan's event in the journal.
func (p *plan) event() journal.Event {
	return journal.Event{Feed: p.feed, Issuer: p.d.Issuer, ID: p.d.ID}
}

// plan chooses hooks and looks at what they have done already. told, if not nil, is
// told of each rule. The error is the journal's.
func (e *Engine) plan(ctx context.Context, feed string, d receiver.Delivery, told func(Step)) (*plan, error) {
	in := inputOf(feed, d, e.cfg.Now())
	p := &plan{feed: feed, d: d, scope: in.scope, lane: journal.Lane(d.Issuer, d.Subject.OrderKey())}
	list, wrong := e.cfg.Rules.choose(in, told)
	p.wrong = wrong
	if len(list) == 0 {
		return p, nil
	}
	var err error
	if p.known, err = e.cfg.Journal.Of(ctx, p.event()); err != nil {
		return nil, err
	}
	var states map[string]journal.State
	if slices.ContainsFunc(list, func(c chosen) bool { return lasts(c.effect) }) {
		if states, err = e.cfg.Journal.States(ctx, p.lane); err != nil {
			return nil, err
		}
	}
	for _, c := range list {
		p.tasks = append(p.tasks, p.task(c, e.hooks[c.hook], states[c.hook]))
	}
	return p, nil
}

// task decides what c comes to: the same, nothing since it is done, or less since the
// hook was told of a newer state.
func (p *plan) task(c chosen, h *guarded, state journal.State) *task {
	t := &task{chosen: c, guarded: h}
	if t.verdict = p.settled(t); t.verdict != "" || !p.older(c.effect, state) {
		return t
	}
	switch c.effect {
	case hooks.Allow:
		t.outdated, t.detail = true, "a newer event denied"
	case hooks.Deny:
		t.effect, t.detail = hooks.End, "a newer event allowed: only older sessions are ended"
		t.verdict = p.settled(t)
	}
	return t
}

// settled returns the verdict of the task of an earlier attempt, if it stands. What
// was set aside is asked again when somebody sends the event again, which then comes
// as at first.
func (p *plan) settled(t *task) journal.Verdict {
	for _, e := range p.known {
		if e.Hook != t.hook || e.Effect != string(t.effect) {
			continue
		}
		switch {
		case e.Verdict == journal.Dry && !t.dry:
			return ""
		case e.Verdict.Settled(), e.Verdict == journal.SetAside && p.d.Attempt > 1:
			return e.Verdict
		}
	}
	return ""
}

// older reports whether the plan's event is older than a state of the other effect.
func (p *plan) older(effect hooks.Effect, state journal.State) bool {
	return lasts(effect) && state.Effect != "" && state.Effect != string(effect) && p.time().Before(state.Time)
}

// time is the event's time as a state has it.
func (p *plan) time() time.Time {
	return time.UnixMilli(p.d.EventTime.UnixMilli())
}

// lasts reports whether an effect is a state that holds until another comes.
func lasts(effect hooks.Effect) bool { return effect == hooks.Deny || effect == hooks.Allow }

// ends reports whether an effect ends sessions.
func ends(effect hooks.Effect) bool { return effect == hooks.Deny || effect == hooks.End }
