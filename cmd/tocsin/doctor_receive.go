package main

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

type doctorReceiveCmd struct {
	receiveFlags
	doctorFlags
}

// Help shows an example.
func (doctorReceiveCmd) Help() string {
	return "Examples:\n  tocsin doctor receive --config receive.yaml\n" +
		"  TOCSIN_TOKEN=… tocsin doctor receive --issuer https://idp.example --audience https://app.example --delivery poll\n" +
		"It takes the flags, environment and file of tocsin receive. Of each transmitter it reads metadata and keys, gets an access token and lists the streams.\n" + doctorHelp
}

// Run looks at the configuration and what it names, and at the receiver that runs with it.
func (c doctorReceiveCmd) Run(ctx context.Context, std streamsIO) error {
	return c.look(ctx, std, func(ctx context.Context, r *doctor.Report) error {
		cfg, err := c.load(std)
		if err != nil {
			if errors.Is(err, errUsage) {
				return err
			}
			r.Fail("settings", std.config, "correct it; docs/reference/configuration.md", "tocsin receive does not start with these settings: %v", err)
			return nil
		}
		rules(r, cfg)
		doctor.Loosened(r, cfg)
		certificate(r, front{listen: cfg.Listen, cert: cfg.TLSCert, key: cfg.TLSKey, insecureLoopback: cfg.InsecureLoopback}, cfg.Data, pushHosts(cfg), cfg.AdminListen)
		doctor.Folder(r, cfg.Data, doctor.DiskOf)
		if cfg.RedisSettings.Set() {
			doctor.Redis(ctx, r, cfg.DB(quiet()), time.Now)
		}
		doctor.Issuers(ctx, r, cfg, time.Now)
		api := adminapi.Server(ctx, cfg.Data)
		if api == nil {
			r.OK("running", cfg.Data, "no receiver runs on it: its health, inbox and streams were not asked for")
			return nil
		}
		named := make(map[string]bool, len(cfg.Issuers))
		for _, is := range cfg.Issuers {
			named[is.Name] = len(is.Events) > 0
		}
		return errors.Join(doctor.Receiver(ctx, r, api, cfg.Data, named, time.Now()), api.Close())
	})
}

// rules builds hooks and rules, and runs their tests.
func rules(r *doctor.Report, cfg receive.Config) {
	found, err := receive.Check(cfg)
	switch {
	case err != nil:
		r.Fail("settings", "", "correct it: tocsin receive check", "hooks or rules cannot be built: %v", err)
	case found.Failed() > 0:
		r.Fail("rules", "", "tocsin receive check tells what was expected", "%d of %d tests of rules failed", found.Failed(), len(found.Tests))
	default:
		r.OK("settings", "", "%d issuers, %d hooks, %d rules, %d tests of them", len(found.Issuers), len(found.Hooks), len(found.Rules), len(found.Tests))
	}
}

// pushHosts are the hosts by which transmitters come.
func pushHosts(cfg receive.Config) (hosts []string) {
	seen := map[string]bool{}
	for _, is := range cfg.Issuers {
		if is.Delivery.Method != receive.MethodPush {
			continue
		}
		if host := doctor.HostOf(is.Endpoint(cfg, "")); host != "" && !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}
