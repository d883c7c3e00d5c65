// Package policy decides which event leads to which hook, and runs them.
//
// [Load] compiles rules, which are YAML with conditions in CEL (docs/policy.md); the
// default ones are data, too ([Defaults]). [New] returns an [Engine] of them, whose
// Handle serves as the hook of every event:
//
//	rules, err := policy.Load(policy.Known{Hooks: []string{"redis"}}, policy.Source{Name: "rules.yaml", YAML: text})
//	engine, err := policy.New(policy.Config{Rules: rules, Hooks: map[string]hooks.Hook{"redis": redis}, Journal: journal})
//	mux.Default(engine.Handle)
//
// What each hook did is in the journal, so that a retry runs only those that have not
// done their part, and an older state never overrides a newer one.
package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// Defaults of [Config].
const (
	DefaultParallel    = 4
	DefaultHookTimeout = 10 * time.Second
)

// Crash points: a hook has answered and that is not noted yet, or just was.
const (
	CrashAfterAct    = "policy.after-act"
	CrashAfterRecord = "policy.after-record"
)

// Config says what is done about events.
type Config struct {
	// Rules are required.
	Rules *Rules
	// Hooks by their names: those that the rules know, and no other.
	Hooks map[string]hooks.Hook
	// Journal is required. It outlives the engine, which does not close it.
	Journal journal.Journal

	// DryRun asks no hook to act: what would have been done is in the journal.
	// DryHooks are the names of hooks for which alone that holds.
	DryRun   bool
	DryHooks []string
	// AnyIssuer are the names of hooks at which each issuer may take back what others
	// denied, where all speak for the same users. Else a hook is asked to allow only where
	// no other issuer still denies.
	AnyIssuer []string

	// Parallel is how many hooks run at once about one event; zero: DefaultParallel.
	Parallel int
	// HookTimeout bounds one run of a hook; it is shorter where the event's own
	// deadline leaves each hook less. Zero: DefaultHookTimeout.
	HookTimeout time.Duration

	// Observer is told of every asking; nil: nobody.
	Observer Observer
	// Crash is called at the named points of the work (tests); nil: nobody.
	Crash func(point string)
	// Now is the clock of conditions and of the journal; nil: time.Now.
	Now func() time.Time
	// Logger gets what happens; nil: slog.Default.
	Logger *slog.Logger
}

// Observer is told what became of each asking of a hook, for metrics: the labels are
// bounded by the configuration. It must be quick and safe for concurrent use. The hook
// is "" where no hook could end the sessions of an event ([journal.Unmet]).
type Observer interface {
	Asked(hook string, effect hooks.Effect, verdict journal.Verdict, took time.Duration)
}

// Engine runs the hooks that rules choose. Safe for concurrent use.
type Engine struct {
	cfg   Config
	hooks map[string]*guarded
}

// guarded is a hook and what is known of it.
type guarded struct {
	hooks.Hook
	dry bool
	// issuers: it keeps denials by issuer itself, or each may take back what others denied.
	issuers bool
	// lost counts the calls that did not end when they had to and still run.
	lost atomic.Int32
}

// New returns an engine. The error names all that is wrong with cfg.
func New(cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = DefaultParallel
	}
	if cfg.HookTimeout == 0 {
		cfg.HookTimeout = DefaultHookTimeout
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	e := &Engine{cfg: cfg, hooks: make(map[string]*guarded, len(cfg.Hooks))}
	for name, h := range cfg.Hooks {
		keeps, ok := h.(hooks.PerIssuer)
		e.hooks[name] = &guarded{Hook: h, dry: cfg.DryRun || slices.Contains(cfg.DryHooks, name), issuers: ok && keeps.PerIssuer() || slices.Contains(cfg.AnyIssuer, name)}
	}
	return e, nil
}

func (cfg *Config) check() error {
	var wrong []error
	fault := func(when bool, format string, args ...any) {
		if when {
			wrong = append(wrong, fmt.Errorf("policy: Config."+format, args...))
		}
	}
	fault(cfg.Rules == nil, "Rules is missing")
	fault(cfg.Journal == nil, "Journal is missing")
	fault(cfg.Parallel < 0, "Parallel must not be negative")
	fault(cfg.HookTimeout < 0, "HookTimeout must not be negative")
	if cfg.Rules != nil {
		for _, name := range cfg.Rules.hooks {
			fault(cfg.Hooks[name] == nil, "Hooks lacks %q, which the rules know", name)
		}
		for name := range cfg.Hooks {
			fault(!slices.Contains(cfg.Rules.hooks, name), "Hooks has %q, which the rules do not know", name)
		}
	}
	for _, name := range cfg.DryHooks {
		fault(cfg.Hooks[name] == nil, "DryHooks has %q, which is no hook", name)
	}
	for _, name := range cfg.AnyIssuer {
		fault(cfg.Hooks[name] == nil, "AnyIssuer has %q, which is no hook", name)
	}
	return errors.Join(wrong...)
}

type nobody struct{}

// Asked does nothing.
func (nobody) Asked(string, hooks.Effect, journal.Verdict, time.Duration) {}

// Handle does what the rules say about d, as a hook of a Mux ([receiver.Mux.Default]);
// see [Engine.Feed] where several receivers share a journal.
//
// Every chosen hook is asked, and one that fails keeps no other from its part. Errors:
// one that makes the receiver try again, when only those hooks are asked that have not
// done theirs; or a receiver.Permanent one if no other attempt can mend what is left.
func (e *Engine) Handle(ctx context.Context, d receiver.Delivery) error { return e.handle(ctx, "", d) }

// Feed returns Handle for the receiver of that feed (see receiver.Config.Feed): a jti
// is unique within it, not beyond.
func (e *Engine) Feed(name string) func(ctx context.Context, d receiver.Delivery) error {
	return func(ctx context.Context, d receiver.Delivery) error { return e.handle(ctx, name, d) }
}
