package push

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

const goneText = "nothing can be made of this event any more"

// fillBatch takes a batch and sends it off, if it is full or its first item has
// waited long enough; else it sees to it that the worker looks again then.
//
// Nothing is taken before that: what is taken holds back all else about its
// subjects, which shall come into the same batch.
func (w *worker) fillBatch(ctx context.Context, batch Batch) error {
	if w.inFlight > 0 || w.round.failed || w.round.pause != "" {
		return nil
	}
	depth, err := w.pusher.store.Depth(ctx, w.id)
	if err != nil {
		return fmt.Errorf("push: reading the depth: %w", err)
	}
	if wait := w.stillToWait(depth, batch); wait > 0 {
		if w.ripe == nil {
			w.ripe = time.After(wait)
		}
		return nil
	}
	w.ripe, w.due = nil, false
	if depth.Items == 0 {
		return nil
	}
	items, err := w.take(ctx, batch.Most)
	if err != nil || len(items) == 0 {
		return err
	}
	to := w.to
	w.pusher.start(ctx, func() { w.carry(ctx, to, items) })
	return nil
}

// stillToWait returns how long the items may wait for others; never longer
// than the batch says, whatever the clock does.
func (w *worker) stillToWait(depth streams.Depth, batch Batch) time.Duration {
	if w.due || depth.Items == 0 || depth.Items >= batch.Most || w.to.stream.Status != streams.Enabled {
		return 0
	}
	return min(depth.Oldest.Add(batch.Wait).Sub(w.pusher.cfg.Now()), batch.Wait)
}

// carry delivers items, or the first of them, in one request.
func (w *worker) carry(ctx context.Context, to target, items []streams.Item) {
	if same := sameAttempts(items); same < len(items) {
		w.release(items[same:])
		items = items[:same]
	}
	if ctx.Err() != nil {
		w.release(items)
		return
	}
	f, parcel := w.pusher.deliver(ctx, to, items)
	if packed := len(parcel.Origins); packed > 0 {
		w.release(items[packed:])
		items = items[:packed]
	}
	if f.Judgement == SetAside && f.Tried && len(items) > 1 {
		w.sift(ctx, to, items)
		return
	}
	for i, item := range items {
		one := f
		if slices.Contains(parcel.Gone, i) {
			one = parcel.left(i)
		}
		w.results <- result{item, one}
	}
}

// sameAttempts returns how many items, from the first, have been tried as
// often as it. What failed together is tried together again, without what has
// come since: so the receiver knows the request again.
func sameAttempts(items []streams.Item) int {
	for i, item := range items {
		if item.Attempts != items[0].Attempts {
			return i
		}
	}
	return len(items)
}

// sift delivers the items of a batch that was refused one by one, so that only
// those are set aside that the receiver does not take. It ends where the
// stream will be paused: a receiver that takes nothing shall not cost a
// request for each.
func (w *worker) sift(ctx context.Context, to target, items []streams.Item) {
	refused := w.pusher.cfg.Refusals
	for i, item := range items {
		if ctx.Err() != nil || refused == 0 {
			w.release(items[i:])
			return
		}
		f, _ := w.pusher.deliver(ctx, to, items[i:i+1])
		w.results <- result{item, f}
		switch f.Judgement {
		case Accepted:
			refused = w.pusher.cfg.Refusals
		case SetAside:
			refused--
		default:
			w.release(items[i+1:])
			return
		}
	}
}
