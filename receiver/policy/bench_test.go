package policy_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// What the engine itself costs for one event and one hook: by the default rules
// without a condition, with one, and with a state that lasts.
func BenchmarkHandle(b *testing.B) {
	rules, err := policy.Load(policy.Known{Hooks: []string{"a"}})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := policy.New(policy.Config{
		Rules: rules, Journal: memjournal.New(1000), Logger: slog.New(slog.DiscardHandler),
		Hooks: map[string]hooks.Hook{"a": hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) { return hooks.Outcome{}, nil })},
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, d := range map[string][2]string{
		"session-revoked":   {caep.SessionRevokedType, `{"initiating_entity":"user"}`},
		"credential-change": {caep.CredentialChangeType, `{"credential_type":"password","change_type":"update"}`},
		"account-disabled":  {risc.AccountDisabledType, `{"reason":"hijacking"}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if err := engine.Handle(b.Context(), delivery(strconv.Itoa(n), d[0], d[1], n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
