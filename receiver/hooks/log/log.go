// Package log writes a line about each action, and does nothing else: to see what would
// lead to what, or beside other hooks for an alert to look for. Whom an event is about
// stands there as a digest alone.
package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
)

// Config says what is logged and how.
type Config struct {
	// Logger gets the lines. Required.
	Logger *slog.Logger
	// Level is "debug", "info", "warn" or "error"; empty: info.
	Level string
	// Effects are those that a line is written about; none: all.
	Effects []hooks.Effect
}

// Hook writes lines. Safe for concurrent use.
type Hook struct {
	logger  *slog.Logger
	level   slog.Level
	effects []hooks.Effect
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	h := &Hook{logger: cfg.Logger, effects: cfg.Effects}
	var wrong []error
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("logger: it is missing"))
	}
	if cfg.Level != "" && h.level.UnmarshalText([]byte(cfg.Level)) != nil {
		wrong = append(wrong, fmt.Errorf("level: %q is not debug, info, warn or error", cfg.Level))
	}
	for _, e := range cfg.Effects {
		if !slices.Contains(hooks.Effects(), e) {
			wrong = append(wrong, fmt.Errorf("effects: there is no %q", e))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("log hook: %w", err)
	}
	return h, nil
}

// Act writes a line.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	out, err := h.Preview(ctx, a)
	if err != nil {
		return out, err
	}
	h.logger.Log(ctx, h.level, "security event",
		"effect", string(a.Effect), "kind", a.Scope.Kind(), "subject", a.Delivery.Subject.String(), "until", a.Until.UTC(),
		"issuer", a.Delivery.Issuer, "jti", a.Delivery.ID, "txn", a.Delivery.TransactionID,
		"event_type", a.Delivery.Type, "attempt", a.Delivery.Attempt, "key", a.Key)
	return out, nil
}

// Preview writes none.
func (h *Hook) Preview(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
	if len(h.effects) > 0 && !slices.Contains(h.effects, a.Effect) {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	return hooks.Outcome{}, nil
}
