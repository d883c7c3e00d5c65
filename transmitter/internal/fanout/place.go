package fanout

import (
	"context"
	"fmt"
)

// progress is how far the fan-out has come.
type progress struct {
	low     uint64            // all up to there is put on all queues
	main    uint64            // and up to there on those of streams that are not replayed
	replays map[string]uint64 // by stream: up to there on its queue
}

// tell tells others how far the fan-out has come, and returns low.
func (f *Fanout) tell() uint64 {
	p := &progress{low: f.low(), main: f.place}
	if len(f.replays) > 0 {
		p.replays = make(map[string]uint64, len(f.replays))
		for _, r := range f.replays {
			p.replays[r.stream] = r.place
		}
	}
	f.come.Store(p)
	return p.low
}

// Place returns how far the fan-out has come: all up to that record is put on
// all queues. Before Run that is where it will go on.
func (f *Fanout) Place(ctx context.Context) (uint64, error) {
	if p := f.come.Load(); p != nil {
		return p.low, nil
	}
	place, err := f.cfg.Store.Cursor(ctx, Follower)
	if err != nil {
		return 0, fmt.Errorf("fanout: reading the cursor: %w", err)
	}
	return place, nil
}

// PlaceOf returns up to which record all is put on the queue of one stream,
// which the replay of another does not hold up.
func (f *Fanout) PlaceOf(ctx context.Context, stream string) (uint64, error) {
	p := f.come.Load()
	if p == nil {
		return f.Place(ctx)
	}
	if place, replayed := p.replays[stream]; replayed {
		return place, nil
	}
	return p.main, nil
}

// low is the place up to which all is put on all queues.
func (f *Fanout) low() uint64 {
	low := f.place
	for _, r := range f.replays {
		low = min(low, r.place)
	}
	return low
}
