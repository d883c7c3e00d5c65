package receive

import (
	"log/slog"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
)

// NewHooks builds the hooks of a configuration.
func NewHooks(all map[string]settings.Node, logger *slog.Logger) (map[string]hooks.Hook, error) {
	out, _, err := newHooks(all, hookEnv{Logger: logger, InsecureLoopback: true})
	return out, err
}

// HookTypes returns the words after "type".
func HookTypes() (types []string) {
	for name := range hookTypes() {
		types = append(types, name)
	}
	return types
}
