package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// maxTurns bounds how often what is in force may change while a hook is asked for it.
const maxTurns = 4

var (
	errBegun  = errors.New("begun, and its end is not noted")
	errTurned = errors.New("what other issuers say changed again and again meanwhile")
)

// An allowance of one issuer does not undo what another denies: a denial is an issuer's word
// in the journal, and a hook is asked to allow only where no other issuer's word stands
// (docs/contracts.md §8). Words are noted before the hook is asked, and what others say is
// read behind that and again when the hook has answered: so whoever asks it last, on whatever
// node, asks for what all words together come to.

// whom returns what the journal knows by whom an event is about: the user's identifiers,
// those of the session if the event is about one, else the whole subject.
func (p *plan) whom() journal.Whom {
	kind, ids := subject.MemberSession, p.scope.Member(subject.MemberSession)
	if ids == nil {
		kind, ids = subject.MemberUser, p.scope.Users()
	}
	var keys []string
	for _, id := range ids {
		keys = append(keys, kind+"\n"+id.OrderKey())
	}
	if key := p.d.Subject.OrderKey(); keys == nil && key != "" {
		keys = append(keys, "\n"+key)
	}
	return journal.NewWhom(keys...)
}

// speaks reports whether t is the issuer's word to its hook, which others may gainsay.
func (p *plan) speaks(t *task) bool {
	return lasts(t.effect) && t.verdict == "" && !t.outdated && !t.dry && !t.issuers && len(p.whom()) > 0
}

// speak notes what the event's issuer says before a hook is asked, and reads what others say.
// Where that cannot be done the hooks are not asked.
func (e *Engine) speak(ctx context.Context, p *plan) {
	var words []journal.Entry
	for _, t := range p.tasks {
		if p.speaks(t) {
			entry := p.entry(t, journal.Failed)
			entry.At, entry.Err, entry.Whom, entry.Time = e.cfg.Now(), errBegun.Error(), p.whom(), p.time()
			words = append(words, entry)
		}
	}
	if words == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	err := e.cfg.Journal.Record(ctx, words...)
	if err == nil {
		err = e.hear(ctx, p)
	}
	for _, t := range p.tasks {
		if err != nil && p.speaks(t) {
			t.verdict, t.err = journal.Failed, fmt.Errorf("was not asked: what it says cannot be noted: %w", err)
		}
	}
}

// hear reads what other issuers deny of whom the event is about.
func (e *Engine) hear(ctx context.Context, p *plan) error {
	denials, err := e.cfg.Journal.Denials(ctx, p.d.Issuer, p.whom())
	if err != nil {
		return err
	}
	for _, t := range p.tasks {
		if p.speaks(t) {
			t.denied, t.held = denials[t.hook]
		}
	}
	return nil
}

// settle asks a hook to allow what no other issuer denies, until that and what it was asked
// for are the same. Where another does the hook is not asked, or, if it may have been asked to
// allow meanwhile or at an earlier attempt, to deny again.
func (e *Engine) settle(ctx context.Context, log *slog.Logger, p *plan, t *task, limit time.Duration) (out hooks.Outcome, err error) {
	allowed := p.begunBefore(t)
	for range maxTurns {
		action := p.action(t)
		if t.held {
			action = hooks.NewAction(p.d, p.name(t), hooks.Deny)
			action.Until = t.denied
		}
		if !t.held || allowed {
			if out, err = t.ask(ctx, log, action, limit); err != nil {
				return out, err
			}
		}
		before := t.held
		if t.denied, t.held, err = e.others(ctx, p, t); err != nil {
			return out, fmt.Errorf("what other issuers say cannot be read: %w", err)
		}
		if t.held == before {
			return out, nil
		}
		allowed = true
	}
	return out, errTurned
}

// others returns whether another issuer denies at a hook, and since when.
func (e *Engine) others(ctx context.Context, p *plan, t *task) (time.Time, bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	denials, err := e.cfg.Journal.Denials(ctx, p.d.Issuer, p.whom())
	at, denied := denials[t.hook]
	return at, denied, err
}

// begunBefore reports whether a hook may have done t at an attempt before.
func (p *plan) begunBefore(t *task) bool {
	for _, e := range p.known {
		if e.Hook == t.hook && e.Effect == string(t.effect) && !e.Verdict.Settled() {
			return true
		}
	}
	return false
}
