package receiver_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// recorder notes the events that its hook saw.
type recorder struct {
	mu   sync.Mutex
	ids  []string
	last receiver.Delivery
	// fail, if set, is the hook's answer.
	fail func(context.Context, receiver.Delivery) error
}

func (r *recorder) hook(ctx context.Context, d receiver.Delivery) error {
	r.mu.Lock()
	r.ids, r.last = append(r.ids, d.ID), d
	r.mu.Unlock()
	if r.fail != nil {
		return r.fail(ctx, d)
	}
	return nil
}

func (r *recorder) want(t *testing.T, ids ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.ids, ids) {
		t.Errorf("got hooks for %q, want %q", r.ids, ids)
	}
}

// hooked runs a test under virtual time with a receiver whose default hook is rec's.
func hooked(t *testing.T, rec *recorder, change func(*receiver.Config), test func(t *testing.T, r *receiver.Receiver, in inbox.Inbox)) {
	t.Helper()
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Workers = 4
		if change != nil {
			change(&cfg)
		}
		test(t, build(t, cfg), cfg.Inbox)
	})
}

// Hooks run behind the answer, in order of arrival per subject; what a hook gets.
func TestHooksRun(t *testing.T) {
	rec := &recorder{}
	hooked(t, rec, nil, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		now := time.Now()
		for _, id := range []string{"a", "b", "c"} {
			wantAccepted(t, push(r, sign(t, builder(id))))
		}
		rec.want(t) // kept, not run
		stop := running(t, r)
		synctest.Wait()
		rec.want(t, "a", "b", "c")
		wantAccepted(t, push(r, sign(t, builder("d"))))
		wantAccepted(t, push(r, sign(t, builder("d"))))
		synctest.Wait()
		stop()
		rec.want(t, "a", "b", "c", "d")
		d := rec.last
		if d.Issuer != issuer || d.ID != "d" || d.TransactionID != "txn-d" || d.Type != caep.SessionRevokedType || d.Attempt != 1 ||
			!d.Subject.Equal(subject.Email("alice@example.com")) || d.Token == nil || !d.Received.Equal(now) {
			t.Errorf("got %+v, want the event whole", d)
		}
		if c := counts(t, in); c.Waiting != 0 || c.Dead != 0 {
			t.Errorf("got %+v, want nothing left", c)
		}
	})
}

// A failing hook is tried again and holds back its subject alone; a slow or failing
// one never changes the answer to a push.
func TestHookFails(t *testing.T) {
	rec := &recorder{}
	var broken atomic.Bool
	broken.Store(true)
	rec.fail = func(_ context.Context, d receiver.Delivery) error {
		if broken.Load() && d.ID == "a1" {
			return errors.New("session store is down")
		}
		return nil
	}
	retry := func(c *receiver.Config) { c.Retry = inbox.Schedule{time.Minute, time.Minute, time.Minute} }
	hooked(t, rec, retry, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		stop := running(t, r)
		wantAccepted(t, push(r, sign(t, about(builder("a1"), "alice"))))
		synctest.Wait()
		wantAccepted(t, push(r, sign(t, about(builder("a2"), "alice"))))
		wantAccepted(t, push(r, sign(t, about(builder("b1"), "bob"))))
		synctest.Wait()
		rec.want(t, "a1", "b1")
		if c := counts(t, in); c.Failing != 1 || c.Waiting != 2 {
			t.Errorf("got %+v, want a1 failing and a2 behind it", c)
		}
		<-time.After(2 * time.Minute)
		broken.Store(false)
		<-time.After(2 * time.Minute)
		stop()
		if got := rec.ids; got[len(got)-1] != "a2" || got[len(got)-2] != "a1" || rec.last.ID != "a2" {
			t.Errorf("got hooks for %q, want a1 until it works, then a2", got)
		}
	})
}

// A hook that asks for more time than the schedule gives has it.
func TestHookAsksForLater(t *testing.T) {
	rec := &recorder{}
	rec.fail = func(_ context.Context, d receiver.Delivery) error {
		if d.Attempt == 1 {
			return receiver.Later(errors.New("429"), 10*time.Minute)
		}
		return nil
	}
	retry := func(c *receiver.Config) { c.Retry = inbox.Schedule{time.Second} }
	hooked(t, rec, retry, func(t *testing.T, r *receiver.Receiver, _ inbox.Inbox) {
		stop := running(t, r)
		wantAccepted(t, push(r, sign(t, builder("a1"))))
		<-time.After(9 * time.Minute)
		rec.want(t, "a1")
		<-time.After(2 * time.Minute)
		stop()
		rec.want(t, "a1", "a1")
	})
}

// Failures end in a dead letter: at once if permanent, else after the schedule.
func TestHookGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fail  func(context.Context, receiver.Delivery) error
		tries int
	}{
		{"permanent", func(context.Context, receiver.Delivery) error { return receiver.Permanent(errors.New("no such user")) }, 1},
		{"schedule", func(context.Context, receiver.Delivery) error { return errors.New("down") }, 3},
		{"panic", func(context.Context, receiver.Delivery) error { panic("boom") }, 3},
		{"deadline", func(ctx context.Context, _ receiver.Delivery) error { <-ctx.Done(); return ctx.Err() }, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{fail: tt.fail}
			retry := func(c *receiver.Config) { c.Retry = inbox.Schedule{time.Second, time.Second} }
			hooked(t, rec, retry, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
				stop := running(t, r)
				wantAccepted(t, push(r, sign(t, builder("a"))))
				<-time.After(5 * time.Minute)
				stop()
				if len(rec.ids) != tt.tries || rec.last.Attempt != tt.tries {
					t.Errorf("got %d tries, the last as attempt %d, want %d", len(rec.ids), rec.last.Attempt, tt.tries)
				}
				dead, err := in.DeadLetters(t.Context(), issuer, 0, 10)
				if err != nil {
					t.Fatal(err)
				}
				if len(dead) != 1 || dead[0].ID != "a" || dead[0].Reason == "" || dead[0].Attempts != tt.tries {
					t.Errorf("got dead letters %+v, want a with its reason", dead)
				}
			})
		})
	}
}

// A hook that runs when Run ends may finish within the grace; one that is cut off
// runs again without an attempt counted.
func TestShutdown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		runs  int
	}{
		{"finishes", 5 * time.Second, 1},
		{"cut off", time.Minute, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{}
			began := make(chan struct{}, 2)
			var runs atomic.Int32
			rec.fail = func(ctx context.Context, d receiver.Delivery) error {
				began <- struct{}{}
				if runs.Add(1) > 1 {
					return nil
				}
				select {
				case <-time.After(tt.takes):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			timeout := func(c *receiver.Config) { c.HookTimeout = time.Hour }
			hooked(t, rec, timeout, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
				stop := running(t, r)
				wantAccepted(t, push(r, sign(t, builder("a"))))
				<-began
				stop()
				stop = running(t, r)
				synctest.Wait()
				stop()
				if len(rec.ids) != tt.runs || rec.last.Attempt != 1 {
					t.Errorf("got %d runs, the last as attempt %d, want %d runs of attempt 1", len(rec.ids), rec.last.Attempt, tt.runs)
				}
				if c := counts(t, in); c.Waiting != 0 {
					t.Errorf("got %+v, want nothing left", c)
				}
			})
		})
	}
}

// SSF-3.6-01, U4: a critical member that is not understood: acknowledged, not processed.
func TestCriticalSubjectMember(t *testing.T) {
	rec := &recorder{}
	critical := func(c *receiver.Config) { c.CriticalMembers = []string{"session", "x-ring"} }
	hooked(t, rec, critical, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		stop := running(t, r)
		for id, member := range map[string]string{"known": "session", "not critical": "x-other", "critical": "x-ring"} {
			b := builder(id)
			s, err := subject.Complex(map[string]subject.Identifier{"user": subject.Opaque(id), member: subject.Opaque("1")})
			if err != nil {
				t.Fatal(err)
			}
			b.Subject = s
			wantAccepted(t, push(r, sign(t, b)))
		}
		synctest.Wait()
		stop()
		slices.Sort(rec.ids)
		rec.want(t, "known", "not critical")
		if c := counts(t, in); c.Waiting != 0 || c.Dead != 0 {
			t.Errorf("got %+v, want the discarded event gone", c)
		}
	})
}

// A critical member that no subject identifier can be read from is not
// understood either, whatever its name.
func TestCriticalMemberThatIsNoSubject(t *testing.T) {
	rec := &recorder{}
	critical := func(c *receiver.Config) { c.CriticalMembers = []string{"x-region"} }
	hooked(t, rec, critical, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		stop := running(t, r)
		for id, more := range map[string]string{"critical": `"x-region":"eu"`, "other": `"x-note":"eu"`} {
			s, err := subject.Parse([]byte(`{"format":"complex","user":{"format":"opaque","id":"` + id + `"},` + more + `}`))
			if err != nil {
				t.Fatal(err)
			}
			b := builder(id)
			b.Subject = s
			wantAccepted(t, push(r, sign(t, b)))
		}
		synctest.Wait()
		stop()
		rec.want(t, "other")
	})
}

func TestRunOnce(t *testing.T) {
	hooked(t, &recorder{}, nil, func(t *testing.T, r *receiver.Receiver, _ inbox.Inbox) {
		stop := running(t, r)
		synctest.Wait()
		if err := r.Run(t.Context()); err == nil {
			t.Error("got no error from a second Run, want one")
		}
		stop()
	})
}

// New names every wrong field at once.
func TestConfig(t *testing.T) {
	_, err := receiver.New(receiver.Config{Workers: -1, Poll: &receiver.Poll{MaxEvents: -1}})
	if err == nil {
		t.Fatal("got no error for an empty configuration, want one")
	}
	for _, field := range []string{"Issuer", "Audience", "Inbox", "Mux", "Workers", "Poll.Endpoint", "Poll.MaxEvents"} {
		if !contains(err, field) {
			t.Errorf("got %v, want it to name %s", err, field)
		}
	}
}
