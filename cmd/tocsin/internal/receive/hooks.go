package receive

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/backchannel"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/exec"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gtr"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hydra"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/keycloak"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/kratos"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/log"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/redis"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/sql"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/webhook"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx of hooks/sql
	_ "modernc.org/sqlite"             // the driver sqlite of hooks/sql
)

// hookEnv is what hooks get besides their settings.
type hookEnv struct {
	Logger *slog.Logger
	// InsecureLoopback lets hooks call loopback by plain http, as the whole daemon may.
	InsecureLoopback bool
	// Gate has the index of sessions and the revocations; nil: there are none.
	Gate *gateParts
}

// allow lets a hook call what the daemon may.
func (e hookEnv) allow(c *call.Config) {
	c.InsecureLoopback = c.InsecureLoopback || e.InsecureLoopback
}

// builder builds a hook of one type from its settings.
type builder func(settings settings.Node, env hookEnv) (hooks.Hook, error)

// hookTypes are the builders by the word after "type".
func hookTypes() map[string]builder {
	return map[string]builder{
		"backchannel": built(backchannel.New, func(c *backchannel.Config, env hookEnv) { env.allow(&c.HTTP) }),
		"denylist":    newGateHook,
		"exec":        built(exec.New, func(c *exec.Config, env hookEnv) { c.Logger = env.Logger }),
		"gate":        newGateHook,
		"gtr":         built(gtr.New, func(c *gtr.Config, env hookEnv) { env.allow(&c.HTTP) }),
		"hydra":       built(hydra.New, func(c *hydra.Config, env hookEnv) { env.allow(&c.HTTP) }),
		"keycloak":    built(keycloak.New, func(c *keycloak.Config, env hookEnv) { env.allow(&c.HTTP) }),
		"kratos":      built(kratos.New, func(c *kratos.Config, env hookEnv) { env.allow(&c.HTTP) }),
		"log":         newLogHook,
		"redis":       newRedisHook,
		"sql":         built(sql.New, nil),
		"webhook":     built(webhook.New, func(c *webhook.Config, env hookEnv) { env.allow(&c.HTTP) }),
	}
}

// newLogHook returns a hook that writes lines to the daemon's log.
func newLogHook(at settings.Node, env hookEnv) (hooks.Hook, error) {
	return built(log.New, func(c *log.Config, env hookEnv) { c.Logger = env.Logger })(at, env)
}

// gateHook is the name of the hook that is there by itself where there is a gate or an
// index of sessions.
const gateHook = "gate"

// newGateHook returns the hook of the daemon's own gate.
func newGateHook(at settings.Node, env hookEnv) (hooks.Hook, error) {
	var cfg gateHookSettings
	if err := at.Decode(&cfg); err != nil {
		return nil, err
	}
	if env.Gate == nil {
		return nil, at.Fault("there is no gate: the sections sessions and gate say where revocations are kept")
	}
	hook, err := env.Gate.hook(cfg)
	if err != nil {
		return nil, at.Fault("%v", err)
	}
	return hook, nil
}

// newRedisHook returns a hook of Redis; with index: true it finds sessions by the
// daemon's index, too.
func newRedisHook(at settings.Node, env hookEnv) (hooks.Hook, error) {
	var byIndex bool
	if err := at.At("index").Decode(&byIndex); err != nil {
		return nil, err
	}
	if byIndex && env.Gate == nil {
		return nil, at.At("index").Fault("there is no index: the section sessions says where it is kept")
	}
	return built(redis.New, func(c *redis.Config, env hookEnv) {
		if byIndex {
			c.Index = env.Gate.index
		}
	})(at.Without("index"), env)
}

// built returns a builder that decodes the settings into a hook's Config, lets fill add
// what is no setting, and makes the hook of it.
func built[C any, H hooks.Hook](make func(C) (H, error), fill func(*C, hookEnv)) builder {
	return func(settings settings.Node, env hookEnv) (hooks.Hook, error) {
		var cfg C
		if err := settings.Decode(&cfg); err != nil {
			return nil, err
		}
		if fill != nil {
			fill(&cfg, env)
		}
		hook, err := make(cfg)
		if err != nil {
			return nil, settings.Fault("%v", err)
		}
		return hook, nil
	}
}

// marked are the names of hooks that are to be asked for nothing, and of those at which each
// issuer may take back what others denied.
type marked struct{ dry, anyIssuer []string }

// newHooks builds the hooks of a configuration.
func newHooks(all map[string]settings.Node, env hookEnv) (_ map[string]hooks.Hook, names marked, err error) {
	out := map[string]hooks.Hook{}
	if _, named := all[gateHook]; !named && env.Gate != nil {
		if out[gateHook], err = env.Gate.hook(gateHookSettings{}); err != nil {
			return nil, names, err
		}
	}
	if len(all)+len(out) == 0 {
		// Without a hook the daemon can but tell: that it does.
		hook, err := newLogHook(settings.Node{}, env)
		return map[string]hooks.Hook{"log": hook}, names, err
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		at := all[name]
		var kind string
		var dryRun bool
		if err := errors.Join(at.At("type").Decode(&kind), at.At("dry_run").Decode(&dryRun)); err != nil {
			faults = append(faults, err)
			continue
		}
		build := hookTypes()[kind]
		if build == nil {
			faults = append(faults, at.Fault("type %q is none: want one of %s", kind, strings.Join(slices.Sorted(maps.Keys(hookTypes())), ", ")))
			continue
		}
		own := at.Without("type", "dry_run")
		anyIssuer := false
		if !perIssuer(kind) {
			if err := own.At("any_issuer").Decode(&anyIssuer); err != nil {
				faults = append(faults, err)
				continue
			}
			own = own.Without("any_issuer")
		}
		hook, err := build(own, env)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		out[name] = hook
		if dryRun {
			names.dry = append(names.dry, name)
		}
		if anyIssuer {
			names.anyIssuer = append(names.anyIssuer, name)
		}
	}
	if len(faults) > 0 {
		return nil, marked{}, errors.Join(append(faults, (&actions{hooks: out}).release())...)
	}
	return out, names, nil
}

// perIssuer reports whether hooks of a type keep denials by issuer themselves, and have
// any_issuer as a setting of their own.
func perIssuer(kind string) bool { return kind == "gate" || kind == "denylist" }
