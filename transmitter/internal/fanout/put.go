package fanout

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
)

// points are the crash points around a Put.
type points struct{ before, after string }

func putPoints() points { return points{CrashBeforePut, CrashAfterPut} }

func (f *Fanout) putItems(ctx context.Context, items []streams.Item, at points) error {
	for len(items) > 0 {
		part := items[:min(chunk, len(items))]
		items = items[len(part):]
		f.cfg.Crash(at.before)
		report, err := f.cfg.Store.Put(ctx, part...)
		if err != nil {
			return fmt.Errorf("fanout: putting: %w", err)
		}
		f.cfg.Crash(at.after)
		for stream, dropped := range report.Full {
			f.cfg.Full(ctx, stream, dropped)
		}
		if err := f.dropErased(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// dropErased takes off the queues what points at records that were erased since
// they were read. An erasure waits for what the fan-out puts in its own turn; of
// what a later record causes it may have looked before it was put.
func (f *Fanout) dropErased(ctx context.Context, items []streams.Item) error {
	var seq uint64 // the record looked at last
	var erased bool
	gone := make(map[string][]streams.Outcome)
	for i := range items {
		it := &items[i]
		if it.Ref.Seq == 0 {
			continue
		}
		if it.Ref.Seq != seq {
			seq = it.Ref.Seq
			page, err := f.cfg.Log.Read(ctx, seq-1, 1)
			if err != nil {
				return fmt.Errorf("fanout: reading the log: %w", err)
			}
			erased = len(page) > 0 && page[0].Seq == seq && page[0].Erased
		}
		if erased {
			gone[it.Stream] = append(gone[it.Stream], streams.Outcome{ID: it.ID, Verdict: streams.Delivered})
		}
	}
	for stream, outcomes := range gone {
		if _, err := f.cfg.Store.Settle(ctx, stream, outcomes, nil); err != nil && !errors.Is(err, streams.ErrNotFound) {
			return fmt.Errorf("fanout: taking off what was erased: %w", err)
		}
	}
	return nil
}
