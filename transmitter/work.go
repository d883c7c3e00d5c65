package transmitter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/exercise"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// shareEvery is how old what a process knows of consent settings may be where
// others change them.
const shareEvery = 500 * time.Millisecond

// work is fan-out and push: of all streams, or of what this process holds of a
// store that several share (contracts.md §9).
type work interface {
	// run works until ctx ends.
	run(ctx context.Context) error
	// placeOf returns up to which record of the log all is put on the queue of
	// a stream, also before run.
	placeOf(ctx context.Context, stream string) (uint64, error)
	// places are how far the fan-outs of this process have come, one for each part of
	// the streams that it holds.
	places(ctx context.Context) ([]uint64, error)
}

func (t *Transmitter) newWork() work {
	if shared, ok := t.cfg.Streams.(streams.Shared); ok {
		return &sharedWork{t: t, store: shared}
	}
	return &soleWork{t, t.newFanout(t.cfg.Streams, false)}
}

// newFanout returns a fan-out to the streams of a store. mute: another notes
// what events tell of consent.
func (t *Transmitter) newFanout(store fanout.Store, mute bool) *fanout.Fanout {
	return fanout.New(fanout.Config{
		Log: t.cfg.Log, Store: store, Full: t.queueFull, Format: t.subjectFormat,
		Authorize: t.cfg.Authorize, Only: exercise.StreamOf, Consent: t.gate, Gated: t.metrics.passed, Mute: mute,
		Index: t.cfg.Index, Crash: t.cfg.Crash, Tracer: t.tracer, Now: t.cfg.Now, Logger: t.cfg.Logger,
	})
}

// push delivers what is due in a store until ctx ends.
func (t *Transmitter) push(ctx context.Context, store push.Store) error {
	if t.exercise != nil {
		store = t.exercise.Pushed(store)
	}
	return t.pusher.Run(ctx, store)
}

// soleWork is that of the one process of a store.
type soleWork struct {
	t      *Transmitter
	fanout *fanout.Fanout
}

func (w *soleWork) run(ctx context.Context) error {
	return all(ctx, w.fanout.Run, func(ctx context.Context) error { return w.t.push(ctx, w.t.cfg.Streams) })
}

func (w *soleWork) placeOf(ctx context.Context, stream string) (uint64, error) {
	return w.fanout.PlaceOf(ctx, stream)
}

func (w *soleWork) places(ctx context.Context) ([]uint64, error) {
	place, err := w.fanout.Place(ctx)
	return []uint64{place}, err
}

// sharedWork is that of the partitions that this process holds.
type sharedWork struct {
	t     *Transmitter
	store streams.Shared
	held  sync.Map // *fanout.Fanout of the partitions
}

func (w *sharedWork) run(ctx context.Context) error {
	return w.store.Hold(ctx, func(ctx context.Context, part streams.Partition) {
		f := w.t.newFanout(part, part.Number() != 0)
		w.held.Store(f, nil)
		defer w.held.Delete(f)
		err := all(ctx, f.Run, func(ctx context.Context) error { return w.t.push(ctx, part) })
		if err != nil {
			w.t.cfg.Logger.ErrorContext(ctx, "the work on a partition ended", "partition", part.Number(), "err", err)
		}
	})
}

// placeOf is the place that the holder of the stream's partition saved last.
func (w *sharedWork) placeOf(ctx context.Context, stream string) (uint64, error) {
	return w.store.CursorOf(ctx, fanout.Follower, stream)
}

func (w *sharedWork) places(ctx context.Context) (places []uint64, err error) {
	w.held.Range(func(f, _ any) bool {
		var place uint64
		place, err = f.(*fanout.Fanout).Place(ctx)
		places = append(places, place)
		return err == nil
	})
	return places, err
}

// once runs what one process at a time does of those that share the stores.
func (t *Transmitter) once(ctx context.Context, run func(context.Context) error) error {
	if t.cfg.Once == nil {
		return run(ctx)
	}
	return t.cfg.Once(ctx, run)
}

// all runs parts side by side and returns their errors when the last has ended.
func all(ctx context.Context, parts ...func(context.Context) error) error {
	var group sync.WaitGroup
	errs := make(chan error, len(parts))
	for _, run := range parts {
		group.Go(func() { errs <- run(ctx) })
	}
	group.Wait()
	close(errs)
	var list []error
	for err := range errs {
		list = append(list, err)
	}
	return errors.Join(list...)
}
