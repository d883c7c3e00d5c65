package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const issuer = "https://transmitter.example"

// begin is when the events of the tests happen.
func begin() time.Time { return time.Unix(1700000000, 0) }

// delivery is an event about jo, n seconds after the begin.
func delivery(id, eventType, payload string, n int) receiver.Delivery {
	at := begin().Add(time.Duration(n) * time.Second)
	return receiver.Delivery{
		Issuer: issuer, ID: id, Type: eventType, TransactionID: "txn-" + id,
		Subject: subject.Email("jo@example.com"), EventTime: at, Received: at, Attempt: 1,
		Token: &set.Token{
			Issuer: issuer, ID: id, IssuedAt: at, Subject: subject.Email("jo@example.com"),
			Events: []set.Event{{Type: eventType, Payload: []byte(payload)}},
		},
	}
}

func revoked(id string) receiver.Delivery { return delivery(id, caep.SessionRevokedType, "{}", 0) }

// script is a hook that answers as it is told and notes what it was asked.
type script struct {
	mu     sync.Mutex
	asked  []hooks.Action
	answer func(n int, a hooks.Action) (hooks.Outcome, error) // n from 1; nil: one session ended
}

func (s *script) Act(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, a)
	if s.answer == nil {
		return hooks.Outcome{Ended: 1}, nil
	}
	return s.answer(len(s.asked), a)
}

// effects are those that it was asked for.
func (s *script) effects() []hooks.Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []hooks.Effect
	for _, a := range s.asked {
		list = append(list, a.Effect)
	}
	return list
}

func (s *script) wants(t *testing.T, what string, want ...hooks.Effect) {
	t.Helper()
	if got := s.effects(); !slices.Equal(got, want) {
		t.Errorf("%s: got asked for %v, want %v", what, got, want)
	}
}

// fails is an answer that is an error the first n times.
func fails(n int, err error) func(int, hooks.Action) (hooks.Outcome, error) {
	return func(asked int, _ hooks.Action) (hooks.Outcome, error) {
		if asked <= n {
			return hooks.Outcome{}, err
		}
		return hooks.Outcome{Ended: 1}, nil
	}
}

var errDown = errors.New("connection refused")

// world is an engine with scripted hooks.
type world struct {
	*policy.Engine
	j     journal.Journal
	hooks map[string]*script
}

// newWorld makes an engine of rules, behind which the default ones come, with hooks of
// these names. change may change its configuration.
func newWorld(t *testing.T, rules string, change func(*policy.Config), names ...string) *world {
	t.Helper()
	w := &world{j: memjournal.New(0), hooks: map[string]*script{}}
	cfg := policy.Config{
		Rules: load(t, rules, names...), Hooks: map[string]hooks.Hook{}, Journal: w.j,
		Now: begin, Logger: slog.New(slog.DiscardHandler),
	}
	for _, name := range names {
		w.hooks[name] = &script{}
		cfg.Hooks[name] = w.hooks[name]
	}
	if change != nil {
		change(&cfg)
	}
	w.j = cfg.Journal
	engine, err := policy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Engine = engine
	return w
}

func load(t *testing.T, rules string, names ...string) *policy.Rules {
	t.Helper()
	r, err := policy.Load(policy.Known{Hooks: names}, policy.Source{Name: "rules.yaml", YAML: []byte(rules)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verdicts are the journal's entries of an event: hook, effect and verdict.
func (w *world) verdicts(t *testing.T, id string) []string {
	t.Helper()
	entries, err := w.j.Of(t.Context(), journal.Event{Issuer: issuer, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Hook+" "+e.Effect+" "+string(e.Verdict))
	}
	slices.Sort(list)
	return list
}

func (w *world) wants(t *testing.T, id string, want ...string) {
	t.Helper()
	if got := w.verdicts(t, id); !slices.Equal(got, want) {
		t.Errorf("journal of %s: got %q, want %q", id, got, want)
	}
}

// done handles an event of which nothing must be left.
func (w *world) done(t *testing.T, d receiver.Delivery) {
	t.Helper()
	if err := w.Handle(t.Context(), d); err != nil {
		t.Errorf("%s: got error %v, want none", d.ID, err)
	}
}

func disabled(id string, n int) receiver.Delivery {
	return delivery(id, risc.AccountDisabledType, "{}", n)
}

func enabled(id string, n int) receiver.Delivery {
	return delivery(id, risc.AccountEnabledType, "{}", n)
}
