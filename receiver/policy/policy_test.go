package policy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// The tests that stand beside the default rules.
func TestDefaults(t *testing.T) {
	rules := load(t, "", "redis", "sql")
	results := rules.Test()
	if len(results) < 15 {
		t.Errorf("got %d tests, want those of defaults.yaml", len(results))
	}
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, f)
		}
	}
}

// A hook that fails keeps no other from its part, and the retry runs it alone.
func TestRetryRunsWhatIsMissing(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql", "web")
	w.hooks["sql"].answer = fails(1, errDown)
	d := revoked("a")
	err := w.Handle(t.Context(), d)
	if err == nil || receiver.IsPermanent(err) || !errors.Is(err, errDown) || !strings.Contains(err.Error(), `"sql"`) {
		t.Fatalf("got error %v, want one to try again that names sql", err)
	}
	w.wants(t, "a", "redis end done", "sql end failed", "web end done")
	d.Attempt = 2
	w.done(t, d)
	w.wants(t, "a", "redis end done", "sql end done", "web end done")
	w.hooks["redis"].wants(t, "redis", hooks.End)
	w.hooks["sql"].wants(t, "sql", hooks.End, hooks.End)
	if a, b := w.hooks["sql"].asked[0], w.hooks["sql"].asked[1]; a.Key != b.Key || !a.Until.Equal(d.EventTime) || a.Scope.Kind() != "user" {
		t.Errorf("got actions %+v and %+v, want the same key, the event's time and the scope", a, b)
	}
	w.done(t, d) // the inbox asks again: nothing is left
	w.hooks["sql"].wants(t, "sql at rest", hooks.End, hooks.End)
	got, err := w.j.List(t.Context(), journal.Query{TransactionID: "txn-a", Hook: "sql", Max: 10})
	if err != nil || len(got) != 1 {
		t.Fatalf("got %d entries (%v), want 1", len(got), err)
	}
	if e := got[0]; e.Ended != 1 || e.Attempt != 2 || e.Rule != "session-revoked" || e.Type != caep.SessionRevokedType || e.Scope != "user" || !e.Time.Equal(d.EventTime) {
		t.Errorf("got %+v, want what sql did at its second attempt", e)
	}
}

// Permanent is the answer only if all that is left is permanent; what was set aside is
// asked again when somebody sends the event again.
func TestPermanent(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql")
	w.hooks["redis"].answer = fails(1, receiver.Permanent(errors.New("no such table")))
	w.hooks["sql"].answer = fails(1, errDown)
	d := revoked("a")
	if err := w.Handle(t.Context(), d); err == nil || receiver.IsPermanent(err) {
		t.Errorf("first: got error %v, want one to try again", err)
	}
	w.wants(t, "a", "redis end set-aside", "sql end failed")
	d.Attempt = 2
	if err := w.Handle(t.Context(), d); !receiver.IsPermanent(err) || !strings.Contains(err.Error(), `"redis"`) {
		t.Errorf("second: got error %v, want a permanent one that names redis", err)
	}
	w.hooks["redis"].wants(t, "redis", hooks.End)
	d.Attempt = 1 // sent again
	w.done(t, d)
	w.wants(t, "a", "redis end done", "sql end done")
	w.hooks["sql"].wants(t, "sql", hooks.End, hooks.End)
}

func TestPanic(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql")
	w.hooks["redis"].answer = func(int, hooks.Action) (hooks.Outcome, error) { panic("oh") }
	if err := w.Handle(t.Context(), revoked("a")); err == nil || receiver.IsPermanent(err) || !strings.Contains(err.Error(), "panicked: string") || strings.Contains(err.Error(), "oh") {
		t.Errorf("got error %v, want a panic to try again", err)
	}
	w.wants(t, "a", "redis end failed", "sql end done")
}

// Where no hook could end anything, that is noted once and warned of.
func TestUnmet(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql")
	for _, h := range w.hooks {
		h.answer = fails(9, hooks.ErrNotApplicable)
	}
	w.done(t, revoked("a"))
	w.done(t, revoked("a"))
	w.wants(t, "a", " end unmet", "redis end skipped", "sql end skipped")
	w.done(t, delivery("b", caep.TokenClaimsChangeType, "{}", 0)) // ends nothing
	w.wants(t, "b", "redis reload skipped", "sql reload skipped")
	w.hooks["sql"].answer = nil
	w.done(t, revoked("c"))
	w.wants(t, "c", "redis end skipped", "sql end done")
}

// Verification and stream-updated never come to a hook, whatever the rules say.
func TestControlEvents(t *testing.T) {
	w := newWorld(t, "rules: [{name: everything, do: notify}]", nil, "redis")
	for _, eventType := range ssf.Types() {
		w.done(t, delivery("v", eventType, "{}", 0))
	}
	w.hooks["redis"].wants(t, "control")
	w.done(t, delivery("x", "https://schemas.example/own", "{}", 0))
	w.hooks["redis"].wants(t, "any other", hooks.Notify)
}

// A hook is asked once for what several rules want of it: the strongest. To forget
// stands beside and comes behind.
func TestStrongest(t *testing.T) {
	w := newWorld(t, `
rules:
  - {name: one, do: notify}
  - {name: two, do: [{effect: allow, hooks: redis}, {effect: forget, hooks: redis}]}
  - {name: three, do: {effect: end, hooks: [redis]}}
  - {name: four, do: {effect: reload, hooks: sql}}
default_rules: false
`, nil, "redis", "sql", "web")
	w.done(t, revoked("a"))
	w.hooks["redis"].wants(t, "redis", hooks.End, hooks.Forget)
	w.hooks["sql"].wants(t, "sql", hooks.Reload)
	w.hooks["web"].wants(t, "web", hooks.Notify)
}

// What is to be forgotten may be what sessions are found by: it waits for all of them.
func TestForgetWaits(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql")
	w.hooks["sql"].answer = fails(1, errDown)
	d := delivery("a", risc.AccountPurgedType, "{}", 0)
	if err := w.Handle(t.Context(), d); err == nil {
		t.Error("got no error, want one")
	}
	w.hooks["redis"].wants(t, "while sql fails", hooks.Deny)
	w.done(t, d)
	w.hooks["redis"].wants(t, "redis", hooks.Deny, hooks.Forget)
	w.hooks["sql"].wants(t, "sql", hooks.Deny, hooks.Deny, hooks.Forget)

	w.hooks["sql"].answer = fails(4, receiver.Permanent(errDown))
	d = delivery("b", risc.AccountPurgedType, "{}", 0)
	if err := w.Handle(t.Context(), d); !receiver.IsPermanent(err) {
		t.Errorf("got error %v, want a permanent one", err)
	}
	w.wants(t, "b", "redis deny done", "redis forget set-aside", "sql deny set-aside", "sql forget set-aside")
	w.done(t, d)
	w.wants(t, "b", "redis deny done", "redis forget done", "sql deny done", "sql forget done")
}

// contracts.md §8: older state never overrides newer.
func TestOlderState(t *testing.T) {
	w := newWorld(t, "", nil, "redis")
	redis := w.hooks["redis"]
	w.done(t, disabled("d10", 10))
	w.done(t, enabled("e5", 5))
	redis.wants(t, "older allow", hooks.Deny)
	w.wants(t, "e5", "redis allow outdated")
	w.done(t, enabled("e10", 10)) // as old as the other: the later arrival counts
	redis.wants(t, "allow of the same time", hooks.Deny, hooks.Allow)
	w.done(t, disabled("d9", 9))
	redis.wants(t, "older deny", hooks.Deny, hooks.Allow, hooks.End)
	w.wants(t, "d9", "redis end done")
	w.done(t, disabled("d9", 9))
	redis.wants(t, "older deny again", hooks.Deny, hooks.Allow, hooks.End)
	w.done(t, disabled("d11", 11))
	redis.wants(t, "newer deny", hooks.Deny, hooks.Allow, hooks.End, hooks.Deny)

	other := enabled("o", 5)
	other.Subject = subject.Email("al@example.com")
	w.done(t, other)
	redis.wants(t, "another subject", hooks.Deny, hooks.Allow, hooks.End, hooks.Deny, hooks.Allow)
	w.wants(t, "o", "redis allow done")
}

// A state that was not reached is none: the deny failed, so the allow is not outdated.
func TestStateOfFailures(t *testing.T) {
	w := newWorld(t, "", nil, "redis", "sql")
	w.hooks["redis"].answer = fails(1, receiver.Permanent(errDown))
	if err := w.Handle(t.Context(), disabled("d10", 10)); !receiver.IsPermanent(err) {
		t.Fatalf("got error %v, want a permanent one", err)
	}
	w.done(t, enabled("e5", 5))
	w.wants(t, "e5", "redis allow done", "sql allow outdated")
}

// A condition that cannot be told keeps no other rule from its part; the event is set
// aside, so that nothing is lost.
func TestConditionFails(t *testing.T) {
	w := newWorld(t, `
rules:
  - name: risky
    when: {type: risk-level-change, if: event.score > 5}
    do: end
    stop: true
`, nil, "redis")
	err := w.Handle(t.Context(), delivery("a", caep.RiskLevelChangeType, `{"score":"high"}`, 0))
	if !receiver.IsPermanent(err) || !strings.Contains(err.Error(), "rules.yaml:3") || strings.Contains(err.Error(), "high") {
		t.Errorf("got error %v, want a permanent one that names the rule and its line, and nothing of the event", err)
	}
	w.wants(t, "a", "redis notify done")
	w.done(t, delivery("b", caep.RiskLevelChangeType, `{}`, 0)) // what is absent is not true
	w.done(t, delivery("c", caep.RiskLevelChangeType, `{"score":6}`, 0))
	w.hooks["redis"].wants(t, "all", hooks.Notify, hooks.Notify, hooks.End)
}

// A token with several events names one happening: a rule may know any of them.
func TestSeveralEvents(t *testing.T) {
	w := newWorld(t, "", nil, "redis")
	d := delivery("a", "https://schemas.example/own", "{}", 0)
	d.Token.Events = append(d.Token.Events, set.Event{Type: risc.AccountDisabledType, Payload: []byte("{}")})
	w.done(t, d)
	w.hooks["redis"].wants(t, "second event", hooks.Deny)
	got, err := w.j.List(t.Context(), journal.Query{ID: "a", Max: 1})
	if err != nil || len(got) != 1 || got[0].Type != risc.AccountDisabledType {
		t.Errorf("got %+v %v, want an entry of the event that matched", got, err)
	}
}

// Feeds that share a journal do not take one another's events for done.
func TestFeeds(t *testing.T) {
	w := newWorld(t, "", nil, "redis")
	for _, feed := range []string{"one", "two", "one"} {
		if err := w.Feed(feed)(t.Context(), revoked("a")); err != nil {
			t.Fatal(err)
		}
	}
	w.hooks["redis"].wants(t, "two feeds", hooks.End, hooks.End)
}

// A rule of an issuer's name is of that one alone, also where several have one iss; a
// rule of the iss is of all.
func TestIssuersOfOneISS(t *testing.T) {
	known := policy.Known{Hooks: []string{"web", "mobile", "both"}, Issuers: map[string]string{"web": issuer, "mobile": issuer}}
	rules, err := policy.Load(known, policy.Source{Name: "rules.yaml", YAML: []byte(`
default_rules: false
rules:
- {name: web, when: {issuer: web}, do: {effect: end, hooks: web}}
- {name: mobile, when: {issuer: mobile}, do: {effect: end, hooks: mobile}}
- {name: both, when: {issuer: "` + issuer + `"}, do: {effect: end, hooks: both}}
tests:
- name: a test is of the issuer that it names
  issuer: mobile
  event: {type: session-revoked}
  subject: {format: email, email: jo@example.com}
  want: {rules: [mobile, both]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range rules.Test() {
		if len(test.Failures) > 0 {
			t.Errorf("%s: got %v", test.Name, test.Failures)
		}
	}
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.Rules = rules }, known.Hooks...)
	for _, feed := range []string{"web", "a feed of no issuer's name"} {
		if err := w.Feed(feed)(t.Context(), revoked(feed)); err != nil {
			t.Fatal(err)
		}
	}
	w.hooks["web"].wants(t, "web", hooks.End, hooks.End)
	w.hooks["mobile"].wants(t, "mobile", hooks.End) // of the feed that tells them not apart
	w.hooks["both"].wants(t, "both", hooks.End, hooks.End)
}

// A jti is unique within a feed, so the keys of idempotence of two feeds are not one: what
// stands behind a hook would take the second event for a repetition.
func TestKeysOfFeeds(t *testing.T) {
	w := newWorld(t, "", nil, "a")
	keys := map[string]bool{}
	for _, feed := range []string{"", "x", "y"} {
		if err := w.Feed(feed)(t.Context(), revoked("j")); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range w.hooks["a"].asked {
		keys[a.Key] = true
	}
	if len(keys) != 3 || len(w.hooks["a"].asked) != 3 {
		t.Errorf("got %d keys of %d actions, want 3 of 3", len(keys), len(w.hooks["a"].asked))
	}
}

// What a hook did, but could not be noted, is asked again.
func TestJournalDown(t *testing.T) {
	broken := &brokenJournal{}
	w := newWorld(t, "", func(cfg *policy.Config) { broken.Journal, cfg.Journal = cfg.Journal, broken }, "redis")
	for _, b := range []struct{ read, write bool }{{true, false}, {false, true}} {
		broken.read, broken.write = b.read, b.write
		if err := w.Handle(t.Context(), revoked("a")); err == nil || receiver.IsPermanent(err) {
			t.Errorf("%+v: got error %v, want one to try again", b, err)
		}
	}
	broken.write = false
	w.done(t, revoked("a"))
	w.hooks["redis"].wants(t, "in all", hooks.End, hooks.End)
}

type brokenJournal struct {
	journal.Journal
	read, write, denials bool
}

func (b *brokenJournal) Denials(ctx context.Context, issuer string, whom journal.Whom) (map[string]time.Time, error) {
	if b.denials {
		return nil, errDown
	}
	return b.Journal.Denials(ctx, issuer, whom)
}

func (b *brokenJournal) Of(ctx context.Context, e journal.Event) ([]journal.Entry, error) {
	if b.read {
		return nil, errDown
	}
	return b.Journal.Of(ctx, e)
}

func (b *brokenJournal) Record(ctx context.Context, entries ...journal.Entry) error {
	if b.write {
		return errDown
	}
	return b.Journal.Record(ctx, entries...)
}

func TestConfig(t *testing.T) {
	h := hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) { return hooks.Outcome{}, nil })
	_, err := policy.New(policy.Config{
		Rules: load(t, "", "redis"), Hooks: map[string]hooks.Hook{"sql": h}, DryHooks: []string{"web"}, AnyIssuer: []string{"mail"},
		Parallel: -1, HookTimeout: -time.Second,
	})
	for _, name := range []string{"Journal", "Parallel", "HookTimeout", `lacks "redis"`, `has "sql"`, `DryHooks has "web"`, `AnyIssuer has "mail"`} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one that names %s", err, name)
		}
	}
	if _, err := policy.New(policy.Config{}); err == nil || !strings.Contains(err.Error(), "Rules is missing") {
		t.Errorf("got error %v, want one that names Rules", err)
	}
}
