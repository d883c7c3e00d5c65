package erase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// CarryOut carries out every order that can be, in the order of the log.
func (e *Eraser) CarryOut(ctx context.Context) error {
	orders, err := e.pendingOrders(ctx)
	if err != nil {
		return fmt.Errorf("erase: reading the orders: %w", err)
	}
	var errs []error
	for _, r := range orders {
		place, err := e.cfg.Streams.Cursor(ctx, e.cfg.Follower)
		if err == nil && place < r.Seq {
			continue // the fan-out may still queue what it reads
		}
		if err == nil {
			err = e.cfg.Index.Wait(ctx, r.Seq)
		}
		if err == nil {
			err = e.carryOut(ctx, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("erase: order %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// carryOut carries out one order, unless it has to wait. Once what is to go is
// reported nothing stops it, and so nobody has to wait for it.
func (e *Eraser) carryOut(ctx context.Context, r *eventlog.Record) error {
	var body orderEntry
	if err := json.Unmarshal(r.Entry, &body); err != nil {
		return err
	}
	p, ready, err := e.planned(ctx, r)
	if err != nil {
		return err
	}
	if !ready {
		o := order{entry: body, seq: r.Seq, ids: identifiers(body.Subjects)}
		if p, ready, err = e.prepare(ctx, &o); err != nil || !ready {
			return err
		}
	}
	if err := e.remove(ctx, p); err != nil {
		return err
	}
	late, err := e.annotationsOf(ctx, p.records)
	if err != nil {
		return err
	}
	if len(late) > 0 { // what was said since, until the records were gone
		slices.Sort(late)
		if err := e.report(ctx, &order{entry: body, seq: r.Seq}, plan{entries: late}, nil, nil); err != nil {
			return err
		}
		if err := e.remove(ctx, plan{entries: late}); err != nil {
			return err
		}
	}
	// The order names the subject, and that it is there means that it is to be
	// carried out: it goes last.
	if _, err := e.cfg.Log.Erase(ctx, r.Seq); err != nil {
		return err
	}
	e.waits(r.Seq, 0)
	e.cfg.Logger.InfoContext(ctx, "erased a subject", "txn", r.ID, "records", len(p.records), "entries", len(p.entries)+len(late))
	return nil
}

// order is one that is being carried out.
type order struct {
	entry orderEntry
	seq   uint64
	ids   []subject.Identifier
}

// plan is what goes.
type plan struct {
	records, entries []uint64
}

// prepare finds what goes, sees to what waits of it, and reports it. It returns
// false if the order has to wait. A large subject takes long to find: only if a
// hold was set or lifted meanwhile is it looked for anew.
func (e *Eraser) prepare(ctx context.Context, o *order) (plan, bool, error) {
	for {
		before, err := e.newestHold(ctx)
		if err != nil {
			return plan{}, false, err
		}
		p, queued, ready, err := e.found(ctx, o)
		if err != nil || !ready {
			return plan{}, false, err
		}
		if done, err := e.begin(ctx, o, p, queued, before); err != nil || done {
			return p, done, err
		}
	}
}

// found returns what goes and the jtis that point at it; false if the order has
// to wait.
func (e *Eraser) found(ctx context.Context, o *order) (p plan, pointing []string, ready bool, err error) {
	records, held, err := e.recordsOf(ctx, o)
	if err != nil {
		return plan{}, nil, false, err
	}
	if held {
		e.cfg.Logger.WarnContext(ctx, "an erasure waits for a legal hold to be lifted", "order", o.seq)
		return plan{}, nil, false, nil
	}
	queued, dead, err := e.pointing(ctx, records)
	if err != nil {
		return plan{}, nil, false, err
	}
	e.waits(o.seq, len(queued))
	if len(queued) > 0 && !o.entry.Now {
		return plan{}, nil, false, nil
	}
	entries, err := e.entriesOf(ctx, o, records)
	return plan{records, entries}, append(queued, dead...), err == nil, err
}

// begin makes an order take effect: what goes is reported. It returns false if
// holds have changed since an entry about one.
func (e *Eraser) begin(ctx context.Context, o *order, p plan, dropped []string, hold uint64) (bool, error) {
	e.work.Lock()
	defer e.work.Unlock()
	if now, err := e.newestHold(ctx); err != nil || now != hold {
		return false, err
	}
	registered, err := e.forget(ctx, o)
	if err != nil {
		return false, err
	}
	return true, e.report(ctx, o, p, dropped, &registered)
}

// remove takes what goes from where it is: queues, log, index. The log comes
// before the index, or an index that is built anew meanwhile could find it again.
func (e *Eraser) remove(ctx context.Context, p plan) error {
	if err := e.drop(ctx, p.records); err != nil {
		return err
	}
	all := append(slices.Clone(p.records), p.entries...)
	if _, err := e.cfg.Log.Erase(ctx, all...); err != nil {
		return err
	}
	e.cfg.Crash(CrashAfterErase)
	if err := e.cfg.Index.Forget(ctx, all...); err != nil {
		return err
	}
	e.cfg.Forget()
	// A release or a replay may have queued some once more, before they went.
	if err := e.drop(ctx, p.records); err != nil {
		return err
	}
	return e.cfg.Streams.Scrub(ctx)
}
