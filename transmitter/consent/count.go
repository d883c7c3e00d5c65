package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Count is how many events an application's gate holds.
type Count struct {
	Held    int `json:"held"`
	Dropped int `json:"dropped"`
	// Complete: all events since the gate was first on were looked at.
	Complete bool `json:"complete"`
}

// Held counts what an application's gate holds, and what it has dropped, among
// the first most records since it was first on. It ends early, incomplete, with
// a deadline of ctx.
func (g *Gate) Held(ctx context.Context, application string, most int) (Count, error) {
	var n Count
	place, ever, err := g.first(ctx, application)
	if err != nil {
		return n, err
	}
	if !ever {
		n.Complete = true
		return n, nil
	}
	f := g.Follow()
	for most > 0 {
		records, err := g.log.Read(ctx, place, min(most, pageSize))
		if err == nil {
			err = f.count(ctx, application, records, &n)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("consent: counting: %w", err)
		}
		if len(records) == 0 {
			n.Complete = true
			return n, nil
		}
		place = records[len(records)-1].Seq
		most -= len(records)
	}
	return n, nil
}

// count counts some records in the order of the log.
func (f *Follower) count(ctx context.Context, application string, records []*eventlog.Record, n *Count) error {
	for _, rec := range records {
		if rec.Kind == eventlog.KindConsent {
			f.Observe(rec)
		}
		if rec.Kind != eventlog.KindEvent || rec.Erased || rec.Applications != nil && !slices.Contains(rec.Applications, application) {
			continue
		}
		sent, err := f.Sends(ctx, application, rec)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		v, err := f.gate.Passes(ctx, application, rec)
		if err != nil {
			return err
		}
		switch v.State {
		case Held:
			n.Held++
		case Dropped:
			n.Dropped++
		}
	}
	return nil
}
