package receive

import (
	"context"
	"time"
)

// Health tells how the daemon is.
type Health struct {
	// Ready: SETs are taken; false from the moment the end begins.
	Ready bool `json:"ready"`
	// Reload is why the configuration that was read last was refused; the one before
	// is in force.
	Reload  string         `json:"reload_error,omitempty"`
	Loaded  time.Time      `json:"configured_at"`
	Started time.Time      `json:"started_at"`
	DryRun  bool           `json:"dry_run,omitempty"`
	Issuers []IssuerHealth `json:"issuers"`
	// Orphans are issuers that are not configured and whose events wait.
	Orphans []string `json:"orphans,omitempty"`
}

// IssuerHealth tells how it stands with one transmitter.
type IssuerHealth struct {
	Name     string `json:"name"`
	Issuer   string `json:"issuer"`
	Mode     string `json:"mode"`
	Delivery string `json:"delivery"`
	StreamID string `json:"stream_id,omitempty"`
	// Status is what the transmitter last told about the stream.
	Status string `json:"stream_status,omitempty"`
	// Waiting, Failing and Dead are the events in the inbox, Oldest when the oldest
	// that waits came.
	Waiting int        `json:"waiting"`
	Failing int        `json:"failing"`
	Dead    int        `json:"dead_letters"`
	Oldest  *time.Time `json:"oldest,omitempty"`
	// Error says that the inbox cannot be asked.
	Error string `json:"error,omitempty"`
}

// Health asks all parts how they are.
func (d *Daemon) Health(ctx context.Context) Health {
	p := d.plan.Load()
	h := Health{
		Ready: !d.refuse.Load(), DryRun: p.cfg.DryRun, Issuers: []IssuerHealth{},
		Loaded: time.UnixMilli(d.loaded.Load()).UTC(), Started: d.started.UTC().Truncate(time.Millisecond),
	}
	if fault := d.fault.Load(); fault != nil {
		h.Reload = *fault
	}
	for _, is := range p.cfg.Issuers {
		h.Issuers = append(h.Issuers, d.issuerHealth(ctx, p.feeds[is.Name]))
	}
	h.Orphans, _ = d.orphans(ctx) // the inbox's fault stands with each issuer
	return h
}

func (d *Daemon) issuerHealth(ctx context.Context, f *feed) IssuerHealth {
	h := IssuerHealth{
		Name: f.cfg.Name, Issuer: f.cfg.Issuer, Mode: f.cfg.Mode, Delivery: f.cfg.Delivery.Method,
		StreamID: f.receiver.StreamID(),
	}
	if status, ok := f.receiver.Status(); ok {
		h.Status = string(status.Status)
	}
	n, err := d.Inbox.Counts(ctx, f.cfg.Name)
	if err != nil {
		h.Error = err.Error()
		return h
	}
	h.Waiting, h.Failing, h.Dead = n.Waiting, n.Failing, n.Dead
	if !n.Oldest.IsZero() {
		oldest := n.Oldest.UTC()
		h.Oldest = &oldest
	}
	return h
}
