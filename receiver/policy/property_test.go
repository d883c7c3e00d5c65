package policy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// asking is what a hook is asked for.
type asking struct {
	hook   string
	effect hooks.Effect
}

// mortal is a journal of a process that can be killed: from then on it keeps nothing.
type mortal struct {
	journal.Journal
	mu   sync.Mutex
	dead bool
	kept map[asking]int // entries that say done
	lost map[asking]int // those that the death kept out
}

func (m *mortal) Record(ctx context.Context, entries ...journal.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		of := asking{e.Hook, hooks.Effect(e.Effect)}
		switch {
		case m.dead:
			if e.Verdict == journal.Done {
				m.lost[of]++
			}
		case e.Verdict == journal.Done:
			m.kept[of]++
		}
	}
	if m.dead {
		return errors.New("killed")
	}
	return m.Journal.Record(ctx, entries...)
}

func (m *mortal) killed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// ruleOf is a rule of the property and the model's view of it.
type ruleOf struct {
	matches, stop bool
	do            []asking
}

func drawRules(t *rapid.T, names []string) (yaml string, rules []ruleOf) {
	var b strings.Builder
	b.WriteString("default_rules: false\nrules:\n")
	for i := range rapid.IntRange(1, 5).Draw(t, "rules") {
		r := ruleOf{matches: rapid.IntRange(0, 3).Draw(t, "matches") > 0, stop: rapid.IntRange(0, 4).Draw(t, "stop") == 0}
		fmt.Fprintf(&b, "- name: r%d\n  when: {if: %v}\n  stop: %v\n  do:\n", i, r.matches, r.stop)
		for range rapid.IntRange(1, 3).Draw(t, "do") {
			effect := rapid.SampledFrom(hooks.Effects()).Draw(t, "effect")
			some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(t, "hooks")
			fmt.Fprintf(&b, "  - {effect: %s, hooks: [%s]}\n", effect, strings.Join(some, ", "))
			for _, hook := range some {
				r.do = append(r.do, asking{hook, effect})
			}
		}
		rules = append(rules, r)
	}
	return b.String(), rules
}

// model is what is to be asked: of each hook the strongest, and forget beside it.
func model(rules []ruleOf) map[asking]bool {
	strength := map[hooks.Effect]int{hooks.Notify: 1, hooks.Reload: 2, hooks.Allow: 3, hooks.End: 4, hooks.Deny: 5}
	strongest := map[string]hooks.Effect{}
	want := map[asking]bool{}
	for _, r := range rules {
		if !r.matches {
			continue
		}
		for _, a := range r.do {
			if a.effect == hooks.Forget {
				want[a] = true
			} else if strength[a.effect] > strength[strongest[a.hook]] {
				strongest[a.hook] = a.effect
			}
		}
		if r.stop {
			break
		}
	}
	for hook, effect := range strongest {
		want[asking{hook, effect}] = true
	}
	return want
}

// Whatever the rules and however hooks fail and the process is killed: in the end each
// chosen hook has done its part once, or was not applicable, or is set aside; no other
// was asked; and none did its part twice but where it was killed before that was noted.
func TestEveryHookOnce(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		text, rules := drawRules(t, names)
		want := model(rules)
		loaded, err := policy.Load(policy.Known{Hooks: names}, policy.Source{Name: "r.yaml", YAML: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		j := &mortal{Journal: memjournal.New(0), kept: map[asking]int{}, lost: map[asking]int{}}
		var mu sync.Mutex
		did := map[asking]int{}
		failing := map[asking]int{}
		final := map[asking]error{}
		for _, name := range names {
			for _, effect := range hooks.Effects() {
				of := asking{name, effect}
				failing[of] = rapid.IntRange(0, 2).Draw(t, "failures")
				final[of] = rapid.SampledFrom([]error{nil, nil, nil, hooks.ErrNotApplicable, receiver.Permanent(errDown)}).Draw(t, "final")
			}
		}
		cfg := policy.Config{Rules: loaded, Journal: j, Hooks: map[string]hooks.Hook{}, Logger: slog.New(slog.DiscardHandler), Parallel: rapid.IntRange(1, 3).Draw(t, "parallel")}
		for _, name := range names {
			cfg.Hooks[name] = hooks.Func(func(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
				if j.killed() {
					return hooks.Outcome{}, errDown // nobody acts any more
				}
				mu.Lock()
				defer mu.Unlock()
				of := asking{name, a.Effect}
				if !want[of] {
					t.Errorf("got %v asked, want only %v", of, want)
				}
				if failing[of] > 0 {
					failing[of]--
					return hooks.Outcome{}, errDown
				}
				if final[of] == nil {
					did[of]++
				}
				return hooks.Outcome{}, final[of]
			})
		}
		attempt := 1
		for life := 0; ; life++ {
			if life > 40 {
				t.Fatal("got no end after 40 attempts, want one")
			}
			kill := -1
			if life < 6 {
				kill = rapid.IntRange(-5, 8).Draw(t, "killed at")
			}
			point := 0
			cfg.Crash = func(string) {
				j.mu.Lock()
				point++
				j.dead = j.dead || point == kill
				j.mu.Unlock()
			}
			engine, err := policy.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			d := revoked("x")
			d.Attempt = attempt
			err = engine.Handle(t.Context(), d)
			if j.killed() {
				j.dead = false // the next process
				continue
			}
			if err == nil || receiver.IsPermanent(err) {
				break
			}
			attempt++
		}
		entries, err := j.Of(t.Context(), journal.Event{Issuer: issuer, ID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[asking]journal.Verdict{}
		for _, e := range entries {
			if e.Hook != "" {
				got[asking{e.Hook, hooks.Effect(e.Effect)}] = e.Verdict
			}
		}
		for of := range want {
			if v := got[of]; v != journal.Done && v != journal.Skipped && v != journal.SetAside {
				t.Errorf("%v: got verdict %q, want an end", of, v)
			}
			if n := j.kept[of]; n > 1 || (n == 1) != (got[of] == journal.Done) {
				t.Errorf("%v: got done noted %d times and %q at last, want once", of, n, got[of])
			}
			if did[of] != j.kept[of]+j.lost[of] {
				t.Errorf("%v: got it done %d times, want %d, and %d where it was killed", of, did[of], j.kept[of], j.lost[of])
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// Whatever the order in which denials and allowances arrive and however often they
// fail: a hook is left with the one of the latest time, of the same time the last that
// arrived (docs/contracts.md §8).
func TestLatestStateWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loaded, err := policy.Load(policy.Known{Hooks: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		var state hooks.Effect
		fail := 0
		engine, err := policy.New(policy.Config{
			Rules: loaded, Journal: memjournal.New(0), Logger: slog.New(slog.DiscardHandler),
			Hooks: map[string]hooks.Hook{"a": hooks.Func(func(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
				if fail > 0 {
					fail--
					return hooks.Outcome{}, errDown
				}
				if a.Effect != hooks.End {
					state = a.Effect
				}
				return hooks.Outcome{}, nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		latest, want := -1, hooks.Effect("")
		for n := range rapid.IntRange(1, 12).Draw(t, "events") {
			at, id := rapid.IntRange(0, 6).Draw(t, "time"), fmt.Sprint(n)
			d, effect := disabled(id, at), hooks.Deny
			if rapid.Bool().Draw(t, "allow") {
				d, effect = enabled(id, at), hooks.Allow
			}
			d.Received = begin().AddDate(0, 0, 1)
			if at >= latest {
				latest, want = at, effect
			}
			fail = rapid.IntRange(0, 2).Draw(t, "failures")
			for engine.Handle(t.Context(), d) != nil {
				d.Attempt++
			}
			if state != want {
				t.Fatalf("after %s at %d: got %s, want %s", effect, at, state, want)
			}
		}
	})
}
