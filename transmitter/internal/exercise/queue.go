package exercise

import (
	"context"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// Pushed returns a store that is the same to push, and is watched.
func (e *Exercise) Pushed(store push.Store) push.Store { return watched{store, e} }

// Polled returns a queue that is the same to polls, and is watched.
func (e *Exercise) Polled(store streams.Store) Polled { return Polled{watched{store, e}, store} }

// watched sees which items are taken and how they are settled.
type watched struct {
	push.Store
	e *Exercise
}

func (w watched) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	items, err := w.Store.Take(ctx, stream, opts)
	w.e.taken(items)
	return items, err
}

func (w watched) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	items, err := w.Store.Settle(ctx, stream, outcomes, health)
	if err == nil {
		w.e.settled(outcomes)
	}
	return items, err
}

// Polled is what polls ask of a queue.
type Polled struct {
	watched
	queue streams.Queue
}

// More is that of the queue.
func (p Polled) More(ctx context.Context, stream string) (bool, error) {
	return p.queue.More(ctx, stream)
}
