package transmitter

import (
	"context"
	"time"
)

const (
	// upkeepEvery is how often streams are looked at that time alone changes.
	upkeepEvery = 15 * time.Second
	// expireAtOnce bounds the SETs that expire in one transaction.
	expireAtOnce = 1000
)

// keepTime pauses inactive streams, expires what waited too long and mends
// webhooks, until ctx ends.
func (t *Transmitter) keepTime(ctx context.Context) error {
	period := upkeepEvery
	if idle := t.cfg.InactivityTimeout; idle > 0 { // a short one is not kept by looking seldom
		period = min(period, max(idle/4, time.Second))
	}
	return every(ctx, period, t.upkeep)
}

// keepSwept sweeps after the removals that this process made, until ctx ends.
func (t *Transmitter) keepSwept(ctx context.Context) error { return every(ctx, upkeepEvery, t.sweep) }

// every calls do once in each period until ctx ends.
func every(ctx context.Context, period time.Duration, do func(context.Context)) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			do(ctx)
		}
	}
}

func (t *Transmitter) upkeep(ctx context.Context) {
	if err := t.webhooks.Mend(ctx); err != nil && ctx.Err() == nil {
		t.cfg.Logger.ErrorContext(ctx, "could not mend webhooks", "err", err)
	}
	paused, err := t.catalog.PauseInactive(ctx)
	t.metrics.paused.WithLabelValues(causeInactive).Add(float64(len(paused)))
	if err != nil && ctx.Err() == nil {
		t.cfg.Logger.ErrorContext(ctx, "could not pause inactive streams", "err", err)
	}
	for {
		expired, err := t.cfg.Streams.Expire(ctx, t.cfg.Now().Add(-t.cfg.Expiry), expireAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				t.cfg.Logger.ErrorContext(ctx, "could not expire old SETs", "err", err)
			}
			return
		}
		total := 0
		for stream, n := range expired {
			total += n
			t.cfg.Logger.WarnContext(ctx, "SETs expired into the dead letters", "stream_id", stream, "count", n)
		}
		t.metrics.expired.Add(float64(total))
		if total < expireAtOnce {
			return
		}
	}
}
