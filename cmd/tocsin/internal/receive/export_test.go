package receive

import (
	"log/slog"
	"net/http"
	"reflect"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// NewHooks builds the hooks of a configuration.
func NewHooks(all map[string]settings.Node, logger *slog.Logger) (map[string]hooks.Hook, error) {
	out, _, err := newHooks(all, hookEnv{Logger: logger, InsecureLoopback: true})
	return out, err
}

// Routes returns the routes of one of the handlers of operators.
func Routes(h http.Handler) []string {
	if r, ok := h.(*router); ok {
		return r.patterns
	}
	return nil
}

// ActRoutes returns the routes that are acts, with their names.
func ActRoutes() map[string]string {
	names := map[string]string{}
	for route, spec := range actsOf() {
		names[route] = spec.name
	}
	return names
}

// HookTypes returns the words after "type".
func HookTypes() (types []string) {
	for name := range hookTypes() {
		types = append(types, name)
	}
	return types
}

// CheckRoutes serves what the check endpoint and the logins are, which want token.
func CheckRoutes(index sessions.Lookup, endpoint http.Handler, token string) http.Handler {
	logins := http.NewServeMux()
	(&gateParts{index: index}).logins(logins, func(h http.Handler) http.Handler { return shown(check.TokenHeader, token, h) })
	return checkRoutes(endpoint, logins)
}

// NewCheck returns the check endpoint of a configuration, over a memory without sessions.
func NewCheck(cfg Config) (http.Handler, error) {
	p, err := dryGate(cfg)
	if err != nil {
		return nil, err
	}
	return p.check, nil
}

// CheckGate says what is wrong in the sections sessions and gate.
func CheckGate(cfg Config) error {
	_, _, err := readGate(cfg)
	return err
}

// SessionSettings and GateSettings are the sections of a configuration.
var (
	SessionSettings = reflect.TypeFor[sessionSettings]()
	GateSettings    = reflect.TypeFor[gateSettings]()
)
