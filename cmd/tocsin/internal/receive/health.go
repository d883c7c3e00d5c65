package receive

import (
	"context"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
)

// healthTime bounds how long the store is asked how it is: it may be away.
const healthTime = 5 * time.Second

// Health tells how the daemon is.
type Health struct {
	// Ready: SETs are taken; false from the moment the end begins.
	Ready bool `json:"ready"`
	// Standing is the worst of the issuers'.
	Standing keeper.Standing `json:"standing"`
	// Reload is why the configuration that was read last was refused; the one before
	// is in force.
	Reload  string         `json:"reload_error,omitempty"`
	Loaded  time.Time      `json:"configured_at"`
	Started time.Time      `json:"started_at"`
	DryRun  bool           `json:"dry_run,omitempty"`
	Issuers []IssuerHealth `json:"issuers"`
	// Gate is why the gate does not know the state of sessions; empty: it does, or there
	// is none.
	Gate string `json:"gate_error,omitempty"`
	// Orphans are issuers that are not configured and whose events wait.
	Orphans []string `json:"orphans,omitempty"`
}

// IssuerHealth tells how it stands with one transmitter.
type IssuerHealth struct {
	Name     string `json:"name"`     // as configured
	Delivery string `json:"delivery"` // push or poll
	keeper.Health
}

// Health asks all parts how they are; it asks no transmitter.
func (d *Daemon) Health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	p := d.plan.Load()
	h := Health{
		Ready: !d.refuse.Load(), Standing: keeper.OK, DryRun: p.cfg.DryRun, Issuers: []IssuerHealth{},
		Loaded: time.UnixMilli(d.loaded.Load()).UTC(), Started: d.started.UTC().Truncate(time.Millisecond),
	}
	if fault := d.fault.Load(); fault != nil {
		h.Reload = *fault
	}
	for _, is := range p.cfg.Issuers {
		one := p.feeds[is.Name].keeper.Health(ctx)
		if one.Standing == keeper.Failing || h.Standing == keeper.OK {
			h.Standing = one.Standing
		}
		h.Issuers = append(h.Issuers, IssuerHealth{Name: is.Name, Delivery: is.Delivery.Method, Health: one})
	}
	if d.gate != nil && d.gate.gate != nil {
		if err := d.gate.gate.Ready(); err != nil {
			h.Gate, h.Standing = err.Error(), keeper.Failing
		}
	}
	h.Orphans, _ = d.orphans(ctx) // the inbox's fault stands with each issuer
	return h
}
