package gate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func TestNew(t *testing.T) {
	if _, err := gate.New(gate.Config{}); err == nil {
		t.Error("without Revocations: got no error, want one")
	}
}

// kit is a hook with what it feeds, and jo's session begun at start.
type kit struct {
	*testing.T
	hook  *gate.Hook
	door  *sessions.Gate
	index *sessions.Memory
	start time.Time
}

func newKit(t *testing.T) kit {
	t.Helper()
	r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := gate.New(gate.Config{Revocations: r, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	door, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	k := kit{t, hook, door, index, time.Now().Add(-time.Minute)}
	for i := range 3 {
		s := k.session(k.start)
		s.ID = fmt.Sprint("s", i)
		if err := index.Add(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (kit) session(begun time.Time) sessions.Session {
	return sessions.Session{ID: "a", Begun: begun, Members: map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}}}
}

func (k kit) action(effect hooks.Effect, after time.Duration) hooks.Action {
	return hooks.Action{Effect: effect, Scope: receiver.ScopeOf(subject.Email("jo@example.com")), Until: k.start.Add(after), Key: "k"}
}

// act does one effect and fails the test unless the session begun after start has the verdict then.
func (k kit) act(effect hooks.Effect, at, begun time.Duration, want sessions.Verdict) hooks.Outcome {
	k.Helper()
	o, err := k.hook.Act(k.Context(), k.action(effect, at))
	if err != nil {
		k.Fatalf("%s: %v", effect, err)
	}
	if got := k.door.Session(k.session(k.start.Add(begun))); got != want {
		k.Errorf("%s: got %v, want %v", effect, got, want)
	}
	return o
}

func TestAct(t *testing.T) {
	k := newKit(t)
	if o := k.act(hooks.End, 0, 0, sessions.Revoked); o.Ended != 3 || o.Detail == "" {
		t.Errorf("got %+v, want 3 ended", o)
	}
	k.act(hooks.End, 0, time.Second, sessions.Good)
	if o := k.act(hooks.Deny, time.Second, time.Minute, sessions.Denied); o.Ended != 3 {
		t.Errorf("got %+v, want 3 ended", o)
	}
	k.act(hooks.Allow, 2*time.Second, 3*time.Second, sessions.Good)
	k.act(hooks.Deny, time.Second, 3*time.Second, sessions.Good) // again, late
	k.act(hooks.Deny, 4*time.Second, time.Minute, sessions.Denied)
	if o := k.act(hooks.Forget, 5*time.Second, time.Minute, sessions.Good); o.Ended != 0 {
		t.Errorf("got %+v, want none ended", o)
	}
	k.act(hooks.Forget, 6*time.Second, 0, sessions.Revoked)
	k.act(hooks.Deny, 7*time.Second, time.Minute, sessions.Denied)
	k.act(hooks.Forget, 7*time.Second, time.Minute, sessions.Denied) // of the same event: account-purged
}

// What one issuer denied another does not take back, neither by an allowance nor when it
// forgets; where any issuer may, it does.
func TestAnotherIssuer(t *testing.T) {
	for _, any := range []bool{false, true} {
		r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		hook, err := gate.New(gate.Config{Revocations: r, AnyIssuer: any})
		if err != nil {
			t.Fatal(err)
		}
		door, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: sessions.FailClosed})
		if err != nil {
			t.Fatal(err)
		}
		k := kit{t, hook, door, nil, time.Now().Add(-time.Minute)}
		say := func(issuer string, effect hooks.Effect, at time.Duration) {
			a := k.action(effect, at)
			a.Delivery.Issuer = issuer
			if _, err := hook.Act(t.Context(), a); err != nil {
				t.Fatalf("%s: %v", effect, err)
			}
		}
		for _, effect := range []hooks.Effect{hooks.Allow, hooks.Forget} {
			say("https://idp.example", hooks.Deny, time.Second)
			say("https://other.example", effect, 2*time.Second)
			want := sessions.Denied
			if any {
				want = sessions.Good
			}
			if got := door.Session(k.session(k.start.Add(time.Minute))); got != want {
				t.Errorf("any issuer %v, %s of another: got %v, want %v", any, effect, got, want)
			}
			say("https://idp.example", effect, 3*time.Second)
			if got := door.Session(k.session(k.start.Add(time.Minute))); got != sessions.Good {
				t.Errorf("any issuer %v, %s of its own: got %v, want %v", any, effect, got, sessions.Good)
			}
			k.start = k.start.Add(10 * time.Second)
		}
	}
}

// Preview says the same and does nothing.
func TestPreview(t *testing.T) {
	k := newKit(t)
	for _, effect := range hooks.Effects() {
		preview, previewErr := k.hook.Preview(t.Context(), k.action(effect, 0))
		if got := k.door.Session(k.session(k.start)); got != sessions.Good {
			t.Fatalf("preview of %s: got %v, want the session untouched", effect, got)
		}
		other := newKit(t)
		done, err := other.hook.Act(t.Context(), other.action(effect, 0))
		if preview != done || !errors.Is(previewErr, err) {
			t.Errorf("%s: got preview %+v %v, want %+v %v", effect, preview, previewErr, done, err)
		}
		if notFor := effect == hooks.Reload || effect == hooks.Notify; errors.Is(err, hooks.ErrNotApplicable) != notFor {
			t.Errorf("%s: got %v, want not applicable %v", effect, err, notFor)
		}
	}
}

// broken is a store that fails.
type broken struct{ *sessions.MemoryRevocations }

func (broken) Revoke(context.Context, receiver.Scope, time.Time) error {
	return errors.New("disk full")
}

type brokenIndex struct{ sessions.Index }

func (brokenIndex) Find(context.Context, receiver.Scope, time.Time, string, int) ([]sessions.Session, error) {
	return nil, errors.New("away")
}

// A scope of nobody is not applicable, one that cannot be kept is a permanent failure,
// a store's failure is tried again; an index that is away holds nothing up.
func TestErrors(t *testing.T) {
	k := newKit(t)
	many := make([]subject.Identifier, sessions.MaxClauses+1)
	for i := range many {
		many[i] = subject.Opaque(fmt.Sprint(i))
	}
	nobody, wide := k.action(hooks.End, 0), k.action(hooks.End, 0)
	nobody.Scope, wide.Scope = nil, receiver.Scope{{Name: "user", Identifiers: many}}
	if _, err := k.hook.Act(t.Context(), nobody); !errors.Is(err, hooks.ErrNotApplicable) {
		t.Errorf("nobody: got %v, want ErrNotApplicable", err)
	}
	if _, err := k.hook.Act(t.Context(), wide); !receiver.IsPermanent(err) {
		t.Errorf("too wide: got %v, want a permanent error", err)
	}
	r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	failing, err := gate.New(gate.Config{Revocations: broken{r}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := failing.Act(t.Context(), k.action(hooks.End, 0)); err == nil || receiver.IsPermanent(err) || errors.Is(err, hooks.ErrNotApplicable) {
		t.Errorf("store away: got %v, want an error to try again", err)
	}
	away, err := gate.New(gate.Config{Revocations: r, Index: brokenIndex{}})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := away.Act(t.Context(), k.action(hooks.End, 0)); err != nil || o.Ended != hooks.Unknown {
		t.Errorf("index away: got %+v %v, want it done and nothing known of the number", o, err)
	}
}

// A session that does not know its tenant fits an event about a user in one only if that
// is left out of account, and then never an event about the tenant alone.
func TestIgnore(t *testing.T) {
	user, tenant := subject.Email("jo@example.com"), subject.Opaque("t")
	complexOf := func(members map[string]subject.Identifier) receiver.Scope {
		id, err := subject.Complex(members)
		if err != nil {
			t.Fatal(err)
		}
		return receiver.ScopeOf(id)
	}
	both, alone := complexOf(map[string]subject.Identifier{"user": user, "tenant": tenant}), complexOf(map[string]subject.Identifier{"tenant": tenant})
	for _, tt := range []struct {
		ignore []string
		scope  receiver.Scope
		na     bool
		ended  int
		want   sessions.Verdict
	}{
		{nil, both, false, 0, sessions.Good},
		{[]string{"tenant", "device"}, both, false, 3, sessions.Revoked},
		{[]string{"device"}, both, false, 0, sessions.Good},
		{[]string{"tenant"}, alone, true, 0, sessions.Good},
		{[]string{"*"}, both, false, 3, sessions.Revoked},
		{[]string{"*"}, alone, true, 0, sessions.Good},
		{[]string{"*"}, receiver.ScopeOf(user), false, 3, sessions.Revoked},
	} {
		k := newKit(t)
		r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		hook, err := gate.New(gate.Config{Revocations: r, Index: k.index, Ignore: tt.ignore})
		if err != nil {
			t.Fatal(err)
		}
		door, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: sessions.FailClosed})
		if err != nil {
			t.Fatal(err)
		}
		a := k.action(hooks.End, 0)
		a.Scope = tt.scope
		for name, do := range map[string]func(context.Context, hooks.Action) (hooks.Outcome, error){"preview": hook.Preview, "act": hook.Act} {
			if o, err := do(t.Context(), a); errors.Is(err, hooks.ErrNotApplicable) != tt.na || err != nil && !tt.na || o.Ended != tt.ended {
				t.Errorf("%s, %v ignored: got %+v, %v, want %d ended", name, tt.ignore, o, err, tt.ended)
			}
		}
		if got := door.Session(k.session(k.start)); got != tt.want {
			t.Errorf("%v ignored: got %v, want %v", tt.ignore, got, tt.want)
		}
	}
	for _, name := range []string{"", "user", "session"} {
		if _, err := gate.New(gate.Config{Revocations: &sessions.MemoryRevocations{}, Ignore: []string{name}}); err == nil {
			t.Errorf("%q ignored: got no error, want one", name)
		}
	}
}
