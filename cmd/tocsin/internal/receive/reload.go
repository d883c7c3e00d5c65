package receive

import (
	"context"
	"errors"
	"fmt"
)

// Reload puts cfg in force: issuers that were added are started, those that are gone
// or changed are stopped when what they have in hand is done, and hooks and rules are
// exchanged between two events. Run must be running. What cannot change while it runs
// (the folder and the listeners) must be as it was.
//
// On an error nothing has changed, and it is told by Health until a Reload succeeds. A
// ctx that ends gives up nothing that has begun.
func (d *Daemon) Reload(ctx context.Context, cfg Config) error {
	d.reload.Lock()
	defer d.reload.Unlock()
	old := d.plan.Load()
	p, err := d.rebuild(cfg, old)
	d.metrics.reloads.WithLabelValues(outcomeOf(err)).Inc()
	d.NoteReload(ctx, err)
	if err != nil {
		return err
	}
	d.publish(p)
	// From here on it is done to its end, whoever waits for it.
	ctx = context.WithoutCancel(ctx)
	c := change{p, make(chan struct{})}
	select {
	case d.next <- c:
		<-c.done
	case <-d.ended:
		return errors.Join(errors.New("the daemon has ended"), old.actions.close(), p.actions.close())
	}
	for name := range old.feeds {
		if p.feeds[name] == nil {
			d.metrics.forget(name)
		}
	}
	d.warnOrphans(ctx)
	return old.actions.close()
}

func (d *Daemon) rebuild(cfg Config, old *plan) (*plan, error) {
	var faults []error
	for key, same := range map[string]bool{
		"data":              cfg.Data == old.cfg.Data,
		"redis":             cfg.RedisSettings == old.cfg.RedisSettings,
		"listen":            cfg.Listen == old.cfg.Listen,
		"admin_listen":      cfg.AdminListen == old.cfg.AdminListen,
		"tls_cert":          cfg.TLSCert == old.cfg.TLSCert && cfg.TLSKey == old.cfg.TLSKey,
		"acme_domain":       cfg.ACMESettings.Same(old.cfg.ACMESettings),
		"insecure_loopback": cfg.InsecureLoopback == old.cfg.InsecureLoopback,
		"sessions":          sameSection(cfg.Sessions, old.cfg.Sessions),
		"limits":            cfg.EdgeSettings.Same(old.cfg.EdgeSettings),
		"gate":              sameSection(cfg.Gate, old.cfg.Gate),
		"console":           cfg.sameConsole(old.cfg),
		"admin_token":       cfg.AdminToken == old.cfg.AdminToken,
	} {
		if !same {
			faults = append(faults, fmt.Errorf("%s cannot change while the daemon runs; start it anew", key))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return d.build(cfg, old)
}

// NoteReload notes why a configuration was refused, for Health and the log; nil: it
// was not.
func (d *Daemon) NoteReload(ctx context.Context, err error) {
	if err == nil {
		d.fault.Store(nil)
		d.log.InfoContext(ctx, "configuration read")
		return
	}
	text := err.Error()
	d.fault.Store(&text)
	d.log.ErrorContext(ctx, "configuration refused; the one before stays in force", "err", err)
}
