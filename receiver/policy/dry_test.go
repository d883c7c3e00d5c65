package policy_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// previewer is a hook that can say what it would do.
type previewer struct {
	script
	err error
}

func (p *previewer) Preview(context.Context, hooks.Action) (hooks.Outcome, error) {
	return hooks.Outcome{Ended: 3, Detail: "3 keys"}, p.err
}

// In a dry run nothing acts; what would have is in the journal.
func TestDryRun(t *testing.T) {
	able := &previewer{}
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.DryRun, cfg.Hooks["redis"] = true, able }, "redis", "sql")
	w.done(t, revoked("a"))
	w.done(t, revoked("b"))
	w.done(t, disabled("c", 10))
	w.done(t, enabled("d", 5)) // no state was reached: it is not outdated
	able.wants(t, "redis")
	w.hooks["sql"].wants(t, "sql")
	w.wants(t, "d", "redis allow dry", "sql allow dry")
	got, err := w.j.Totals(t.Context())
	want := []journal.Total{
		{Rule: "account-disabled", Hook: "redis", Effect: "deny", Verdict: journal.Dry, Entries: 1, Ended: 3},
		{Rule: "account-disabled", Hook: "sql", Effect: "deny", Verdict: journal.Dry, Entries: 1, Unknown: 1},
		{Rule: "account-enabled", Hook: "redis", Effect: "allow", Verdict: journal.Dry, Entries: 1, Ended: 3},
		{Rule: "account-enabled", Hook: "sql", Effect: "allow", Verdict: journal.Dry, Entries: 1, Unknown: 1},
		{Rule: "session-revoked", Hook: "redis", Effect: "end", Verdict: journal.Dry, Entries: 2, Ended: 6},
		{Rule: "session-revoked", Hook: "sql", Effect: "end", Verdict: journal.Dry, Entries: 2, Unknown: 2},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	able.err = errors.New("cannot look")
	w.done(t, revoked("e")) // is no reason to try again
	able.err = hooks.ErrNotApplicable
	w.done(t, revoked("f"))
	w.wants(t, "e", "redis end dry", "sql end dry")
	w.wants(t, "f", "redis end skipped", "sql end dry")
}

// One hook alone may be dry; once it is not, an event that is sent again reaches it.
func TestDryHook(t *testing.T) {
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.DryHooks = []string{"sql"} }, "redis", "sql")
	w.done(t, revoked("a"))
	w.done(t, revoked("a"))
	w.wants(t, "a", "redis end done", "sql end dry")
	w.hooks["redis"].wants(t, "redis", hooks.End)

	live := newWorld(t, "", func(cfg *policy.Config) { cfg.Journal = w.j }, "redis", "sql")
	live.done(t, revoked("a"))
	live.hooks["redis"].wants(t, "redis, done before")
	live.hooks["sql"].wants(t, "sql, only dry before", hooks.End)
	live.wants(t, "a", "redis end done", "sql end done")
}
