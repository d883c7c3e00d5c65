package policy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/scs"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const foreign = "https://other.example"

// of makes an event one of another issuer.
func of(iss string, d receiver.Delivery) receiver.Delivery {
	d.Issuer, d.Token.Issuer = iss, iss
	return d
}

// about makes it one about somebody.
func about(id subject.Identifier, d receiver.Delivery) receiver.Delivery {
	d.Subject, d.Token.Subject = id, id
	return d
}

func (w *world) verdict(t *testing.T, d receiver.Delivery, want string) {
	t.Helper()
	entries, err := w.j.Of(t.Context(), journal.Event{Issuer: d.Issuer, ID: d.ID})
	if err != nil || len(entries) != 1 || string(entries[0].Verdict) != want {
		t.Errorf("%s: got %+v (%v), want %s", d.ID, entries, err, want)
	}
}

// contracts.md §8: what one issuer denied no other takes back, at no hook, by whatever of
// the user's names; nor does a restart.
func TestAllowOfAnotherIssuer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var file *sqlitejournal.Journal
	reopen := func(cfg *policy.Config) {
		j, err := sqlitejournal.Open(t.Context(), sqlitejournal.Config{Path: path, Now: begin})
		if err != nil {
			t.Fatal(err)
		}
		file, cfg.Journal = j, j
	}
	email, id := subject.Email("jo@example.com"), subject.Opaque("1")
	both := subject.Aliases(email, id)
	user, err := subject.Complex(map[string]subject.Identifier{"user": email, "tenant": subject.Opaque("x")})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "", reopen, "redis")
	w.done(t, about(both, disabled("d10", 10)))
	for i, who := range []subject.Identifier{email, id, both, user} {
		e := about(who, of(foreign, enabled(fmt.Sprint("e20", i), 20)))
		x, err := w.Explain(t.Context(), "", e)
		if err != nil || len(x.Hooks) != 1 || x.Hooks[0].Known != "held" {
			t.Errorf("got explanation %+v (%v), want it held", x.Hooks, err)
		}
		w.done(t, e)
		w.verdict(t, e, "held")
		w.done(t, e)
	}
	w.hooks["redis"].wants(t, "allowed by another", hooks.Deny)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	w = newWorld(t, "", reopen, "redis")
	defer func() { _ = file.Close() }()
	w.done(t, of(foreign, enabled("e21", 21)))
	w.hooks["redis"].wants(t, "after a restart")
	late := of(foreign, disabled("d15", 15)) // it has allowed since
	w.done(t, late)
	w.hooks["redis"].wants(t, "its own older denial", hooks.End)
	w.done(t, of(foreign, disabled("d22", 22)))
	w.done(t, about(both, enabled("e30", 30)))
	w.hooks["redis"].wants(t, "while the other denies", hooks.End, hooks.Deny)
	w.done(t, of(foreign, enabled("e31", 31)))
	w.hooks["redis"].wants(t, "allowed by all", hooks.End, hooks.Deny, hooks.Allow)
	w.done(t, about(subject.Email("al@example.com"), of(foreign, enabled("al", 5))))
	w.hooks["redis"].wants(t, "somebody else", hooks.End, hooks.Deny, hooks.Allow, hooks.Allow)
}

// What an issuer has forgotten it does not deny any more.
func TestForgetTakesBack(t *testing.T) {
	w := newWorld(t, "", nil, "redis")
	w.done(t, disabled("d10", 10))
	w.done(t, delivery("f", risc.OptOutEffectiveType, "{}", 11))
	w.done(t, of(foreign, enabled("e12", 12)))
	w.hooks["redis"].wants(t, "forgotten", hooks.Deny, hooks.Forget, hooks.Allow)
	w.done(t, delivery("p", risc.AccountPurgedType, "{}", 20)) // denies and forgets
	w.done(t, of(foreign, enabled("e21", 21)))
	w.hooks["redis"].wants(t, "purged", hooks.Deny, hooks.Forget, hooks.Allow, hooks.Deny, hooks.Forget)
}

// Also where a hook has nothing to forget, as most do not: else whoever an identifier is of
// from then on would be denied for ever, and a digest of whom it was of be kept.
func TestForgetAtHookThatCannot(t *testing.T) {
	for _, kind := range []string{risc.OptOutEffectiveType, risc.IdentifierRecycledType} {
		w := newWorld(t, "", nil, "redis")
		w.hooks["redis"].answer = func(_ int, a hooks.Action) (hooks.Outcome, error) {
			if a.Effect == hooks.Forget {
				return hooks.Outcome{}, hooks.ErrNotApplicable
			}
			return hooks.Outcome{}, nil
		}
		w.done(t, disabled("d10", 10))
		w.done(t, delivery("f", kind, "{}", 11))
		w.done(t, of(foreign, enabled("e12", 12)))
		w.hooks["redis"].wants(t, kind, hooks.Deny, hooks.Forget, hooks.Allow)
	}
}

// A denial that its hook has not done yet is the issuer's word all the same.
func TestDenialUnderWay(t *testing.T) {
	w := newWorld(t, "", nil, "redis")
	w.hooks["redis"].answer = fails(1, errDown)
	if err := w.Handle(t.Context(), disabled("d10", 10)); err == nil {
		t.Fatal("got no error, want one")
	}
	w.done(t, of(foreign, enabled("e20", 20)))
	w.hooks["redis"].wants(t, "while the denial fails", hooks.Deny)
}

// A hook that keeps denials by issuer is told every allowance.
func TestPerIssuerHooks(t *testing.T) {
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.Hooks["gate"] = perIssuer{cfg.Hooks["gate"]} }, "gate")
	w.done(t, disabled("d10", 10))
	w.done(t, of(foreign, enabled("e20", 20)))
	w.hooks["gate"].wants(t, "it keeps them itself", hooks.Deny, hooks.Allow)
	w = newWorld(t, "", func(cfg *policy.Config) { cfg.AnyIssuer = []string{"any"} }, "any", "own")
	w.done(t, disabled("d10", 10))
	w.done(t, of(foreign, enabled("e20", 20)))
	w.hooks["any"].wants(t, "any issuer allows", hooks.Deny, hooks.Allow)
	w.hooks["own"].wants(t, "its own issuer allows", hooks.Deny)
	for _, h := range []hooks.PerIssuer{&gate.Hook{}, &scs.Hook{}} {
		if !h.PerIssuer() {
			t.Errorf("%T: got none, want one that keeps denials by issuer", h)
		}
	}
}

type perIssuer struct{ hooks.Hook }

func (perIssuer) PerIssuer() bool { return true }

// last is the state that a hook was left with.
func (s *script) last() hooks.Effect {
	for _, e := range slices.Backward(s.effects()) {
		if e != hooks.End {
			return e
		}
	}
	return ""
}

// A denial that comes while the hook is being asked to allow holds, also if the process that
// allowed is killed before it could look again.
func TestDenialMeanwhile(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			down := &brokenJournal{}
			w := newWorld(t, "", func(cfg *policy.Config) { down.Journal, cfg.Journal = cfg.Journal, down }, "redis")
			redis := w.hooks["redis"]
			denied := make(chan error, 1)
			redis.answer = func(n int, a hooks.Action) (hooks.Outcome, error) {
				if n == 1 { // behind the reading, before the act
					redis.mu.Unlock()
					denied <- w.Handle(t.Context(), disabled("d10", 10))
					redis.mu.Lock()
					redis.asked = append(redis.asked, a) // its act is the last
					down.denials, down.write = killed, killed
				}
				return hooks.Outcome{}, nil
			}
			e := of(foreign, enabled("e20", 20))
			err := w.Handle(t.Context(), e)
			if (err != nil) != killed || <-denied != nil {
				t.Fatalf("got error %v, want one if it was killed", err)
			}
			down.denials, down.write = false, false
			w.done(t, e)
			if got := redis.last(); got != hooks.Deny {
				t.Errorf("got the hook left with %s of %v, want deny", got, redis.effects())
			}
			if got := redis.asked[len(redis.asked)-1].Until; !got.Equal(begin().Add(10e9)) {
				t.Errorf("got a denial until %v, want the time of the one that stands", got)
			}
			w.verdict(t, e, "held")
		})
	}
}

// Where it cannot be noted or read what issuers say, no hook is asked.
func TestWordsUnknown(t *testing.T) {
	broken := &brokenJournal{}
	w := newWorld(t, "", func(cfg *policy.Config) { broken.Journal, cfg.Journal = cfg.Journal, broken }, "redis")
	w.done(t, disabled("d10", 10))
	for _, b := range []struct{ denials, write bool }{{true, false}, {false, true}} {
		broken.denials, broken.write = b.denials, b.write
		if err := w.Handle(t.Context(), of(foreign, enabled("e20", 20))); err == nil || receiver.IsPermanent(err) || !errors.Is(err, errDown) {
			t.Errorf("%+v: got error %v, want one to try again", b, err)
		}
	}
	w.hooks["redis"].wants(t, "unknown", hooks.Deny)
}

// In a dry run nothing is anybody's word.
func TestDryWords(t *testing.T) {
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.DryRun = true }, "redis")
	w.done(t, disabled("d10", 10))
	e := of(foreign, enabled("e20", 20))
	w.done(t, e)
	w.verdict(t, e, "dry")
	if got, err := w.j.Denials(t.Context(), foreign, journal.NewWhom("user\n"+e.Subject.OrderKey())); err != nil || len(got) != 0 {
		t.Errorf("got denials %v (%v) of a dry run, want none", got, err)
	}
}

// However two issuers' events interleave, fail and are killed, on two processes at once: the
// hook is left denying exactly if the last word of one of them denies.
func TestWordsOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loaded, err := policy.Load(policy.Known{Hooks: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		issuers := []string{issuer, foreign, "https://third.example"}
		j := memjournal.New(0)
		var mu sync.Mutex
		state := hooks.Allow
		var lives sync.WaitGroup
		want := hooks.Allow
		for i, iss := range issuers {
			words := rapid.SliceOfN(rapid.Bool(), 0, 5).Draw(t, "denies")
			faults := rapid.SliceOfN(rapid.IntRange(0, 3), 20, 20).Draw(t, "faults")
			if len(words) > 0 && words[len(words)-1] {
				want = hooks.Deny
			}
			lives.Go(func() {
				turn := 0
				fault := func(of int) bool { turn++; return faults[turn%len(faults)] == of && turn < 15 }
				kept := &mortal{Journal: j, kept: map[asking]int{}, lost: map[asking]int{}}
				engine, err := policy.New(policy.Config{
					Rules: loaded, Journal: kept, Logger: slog.New(slog.DiscardHandler),
					Hooks: map[string]hooks.Hook{"a": hooks.Func(func(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
						if fault(1) {
							return hooks.Outcome{}, errDown
						}
						mu.Lock()
						if a.Effect != hooks.End {
							state = a.Effect
						}
						mu.Unlock()
						if fault(2) {
							return hooks.Outcome{}, errDown // it did, and cannot say so
						}
						return hooks.Outcome{}, nil
					})},
					Crash: func(string) {
						if fault(3) {
							kept.mu.Lock()
							kept.dead = true
							kept.mu.Unlock()
						}
					},
				})
				if err != nil {
					t.Error(err)
					return
				}
				for n, denies := range words {
					d := of(iss, enabled(fmt.Sprint(i, n), n))
					if denies {
						d = of(iss, disabled(fmt.Sprint(i, n), n))
					}
					for engine.Handle(context.Background(), d) != nil {
						d.Attempt++
						kept.mu.Lock()
						kept.dead = false
						kept.mu.Unlock()
					}
				}
			})
		}
		lives.Wait()
		if state != want {
			t.Fatalf("got the hook left with %s, want %s", state, want)
		}
	})
}
