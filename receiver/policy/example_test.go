package policy_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A rule of an application before the default ones, and what it leads to.
func Example() {
	ctx := context.Background()
	rules, err := policy.Load(policy.Known{Hooks: []string{"sessions", "mail"}}, policy.Source{Name: "rules.yaml", YAML: []byte(`
rules:
  - name: risk-high
    when:
      type: risk-level-change
      if: event.current_level == "HIGH"
    do: {effect: end, hooks: sessions}
`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	noted := memjournal.New(1000) // sqlitejournal.Open where it is to last
	engine, err := policy.New(policy.Config{
		Rules: rules, Journal: noted,
		Hooks: map[string]hooks.Hook{
			"sessions": hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) {
				return hooks.Outcome{Ended: 3}, nil
			}),
			"mail": hooks.Func(func(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
				return hooks.Outcome{}, hooks.ErrNotApplicable
			}),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of receiver.Config
	mux.Default(engine.Handle)

	// What the receiver does when the event is there:
	d := receiver.NewDelivery(&set.Token{
		Issuer: "https://idp.example", ID: "j1", IssuedAt: time.Unix(1700000000, 0), Subject: subject.Email("jo@example.com"),
		Events: []set.Event{{Type: caep.RiskLevelChangeType, Payload: []byte(`{"current_level":"HIGH"}`)}},
	}, time.Unix(1700000001, 0), 0)
	fmt.Println(mux.Dispatch(ctx, d))
	entries, err := noted.List(ctx, journal.Query{Verdict: journal.Done, Max: 10})
	for _, e := range entries {
		fmt.Println(e)
	}
	if err != nil {
		fmt.Println(err)
	}

	x, err := engine.Explain(ctx, "", d)
	if err != nil {
		fmt.Println(err)
	}
	x.Rules = x.Rules[:1] // the default ones follow
	if _, err := x.WriteTo(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// risk-level-change of 2023-11-14T22:13:25Z: sessions ended 3 sessions
	// https://schemas.openid.net/secevent/caep/event-type/risk-level-change
	//   jti j1, from https://idp.example
	//   about one user, sessions begun until 2023-11-14T22:13:25Z
	//
	// rules
	//   risk-high (rules.yaml:3)  matches
	//       event.current_level = "HIGH"
	//
	// hooks
	//   mail: notify (rule told): not asked: skipped
	//   sessions: end (rule risk-high): not asked: done
}
