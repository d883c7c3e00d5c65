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
		if err == nil {
			err = cfg.TraceSettings.Check(caPool)
		}
		if err != nil {
			if errors.Is(err, errUsage) {
				return err
			}
			doctor.Settings(r, "receive", std.config, err)
			return nil
		}
		doctor.Settings(r, "receive", std.config, nil)
		doctor.Rules(r, cfg)
		doctor.Loosened(r, cfg)
		doctor.Front{
			Cert: cfg.TLSCert, Key: cfg.TLSKey, ACME: cfg.ACMEDomain, Plain: cfg.InsecureLoopback, Data: cfg.Data, Names: pushHosts(cfg), Admin: cfg.AdminListen,
		}.Look(r, time.Now())
		doctor.Folder(r, cfg.Data, doctor.DiskOf)
		if cfg.RedisSettings.Set() {
			doctor.Redis(ctx, r, cfg.DB(quiet()), time.Now)
		}
		doctor.Issuers(ctx, r, cfg, time.Now)
		api := adminapi.Server(ctx, cfg.Data)
		if api == nil {
			doctor.NotRunning(r, cfg.Data, "receiver", "its health, inbox and streams")
			return nil
		}
		named := make(map[string]bool, len(cfg.Issuers))
		for _, is := range cfg.Issuers {
			named[is.Name] = len(is.Events) > 0
		}
		return errors.Join(doctor.Receiver(ctx, r, api, cfg.Data, named, time.Now()), api.Close())
	})
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
