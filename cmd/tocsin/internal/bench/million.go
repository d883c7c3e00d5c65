package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	millionEvents = 1_000_000
	quickEvents   = 50_000 // instead, of a quick run
	fillStep      = 20_000 // between two looks at how far it is
)

// million is a data folder with very many events, indexed; no process has it open.
type million struct {
	dir    string
	events int
	end    time.Time // of the synthetic events
}

// million fills a folder, once for all workloads that want it.
func (b *bench) million(ctx context.Context) (*million, error) {
	if b.filled != nil {
		return b.filled, nil
	}
	m := &million{dir: b.folder(), events: millionEvents, end: time.Now()}
	if b.Quick {
		m.events = quickEvents
	}
	start := time.Now()
	err := b.withLog(ctx, openCall{Dir: m.dir, Index: true}, func(p *peer) error {
		bar := b.progress(fmt.Sprintf("storing and indexing %d events", m.events), m.events)
		defer bar.end()
		for done := 0; done < m.events; done += fillStep {
			bar.to(done)
			c := fillCall{Of: m.events, End: m.end, First: done, Count: min(fillStep, m.events-done)}
			if err := p.call("fill", c, nil); err != nil {
				return err
			}
		}
		return p.call("wait", nil, nil)
	})
	if err != nil {
		return nil, err
	}
	b.say("%d events were stored and indexed in %s", m.events, time.Since(start).Round(100*time.Millisecond))
	b.filled = m
	return m, nil
}

// history1M compares an empty store with one that has a million events, which
// no stream wanted.
func (b *bench) history1M(ctx context.Context, w workload) ([]Result, error) {
	m, err := b.million(ctx)
	if err != nil {
		return nil, err
	}
	var rounds []Round
	err = b.withRig(ctx, func(r *rig) error {
		empty, err := r.wanted(ctx, "", "ALL", 0)
		if err != nil {
			return err
		}
		full, err := r.wanted(ctx, m.dir, "ALL", 0)
		if err != nil {
			return err
		}
		b.filled = nil // it is the server's now, and removed with it
		b.say("%s: the server reads the %d events that were stored without it", w.name, m.events)
		if _, _, err := r.deliver(full.events(1), 1, false); err != nil {
			return err
		}
		rounds, err = b.deliveries(ctx, w, r, empty, full)
		return err
	})
	w.is = fmt.Sprintf(w.is, m.events)
	return []Result{w.atLeast(historyTarget, "SETs/s", rounds)}, err
}
