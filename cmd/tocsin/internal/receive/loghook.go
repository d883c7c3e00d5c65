package receive

import (
	"context"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
)

// newLogHook returns a hook that writes a line about each event.
func newLogHook(at settings.Node, env hookEnv) (hooks.Hook, error) {
	if err := at.Decode(&struct{}{}); err != nil {
		return nil, err
	}
	return hooks.Func(func(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
		env.Logger.InfoContext(ctx, "event", "effect", string(a.Effect), "jti", a.Delivery.ID, "txn", a.Delivery.TransactionID,
			"event_type", a.Delivery.Type, "scope", a.Scope.Kind(), "until", a.Until)
		return hooks.Outcome{}, nil
	}), nil
}
