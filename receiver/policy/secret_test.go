package policy_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// Neither the log nor the journal says who an event is about or what its payload has;
// the log says what somebody has to know.
func TestNothingSecret(t *testing.T) {
	var text bytes.Buffer
	w := newWorld(t, `
rules: [{name: odd, when: {if: event.reason > 5}, do: end}]
`, func(cfg *policy.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}, "redis")
	for i, tt := range []struct{ eventType, want string }{
		{caep.SessionPresentedType, "no rule leads"},
		{risc.AccountDisabledType, "no hook could end"},
		{risc.AccountPurgedType, "hook panicked"},
		{caep.CredentialChangeType, "rule left out"},
		{ssf.VerificationType, ""},
	} {
		w.hooks["redis"].answer = func(_ int, a hooks.Action) (hooks.Outcome, error) {
			if a.Delivery.Type == risc.AccountPurgedType {
				panic("oh")
			}
			return hooks.Outcome{}, hooks.ErrNotApplicable
		}
		text.Reset()
		d := delivery(string(rune('a'+i)), tt.eventType, `{"reason":"hijacked by mallory"}`, 0)
		_ = w.Handle(t.Context(), d) // what becomes of it others test
		if got := text.String(); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: got log %q, want %q in it", tt.eventType, got, tt.want)
		}
		entries, err := w.j.List(t.Context(), journal.Query{Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := json.Marshal(entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"jo@example.com", "mallory"} {
			if strings.Contains(text.String(), secret) || bytes.Contains(kept, []byte(secret)) {
				t.Errorf("%s: got %q in the log or the journal, want it nowhere:\n%s%s", tt.eventType, secret, &text, kept)
			}
		}
	}
}
