package bench

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	fillBatch   = 1_000 // events of an append
	fillWriters = 2
)

// fillCall appends a stretch of synthetic events.
type fillCall struct {
	Of    int       `json:"of"` // all events
	End   time.Time `json:"end"`
	First int       `json:"first"`
	Count int       `json:"count"`
}

// fill appends in large batches, as fast as the index lets it.
func (s *store) fill(ctx context.Context, c fillCall) error {
	from := newSynthetic(c.Of, c.End)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fillWriters)
	for first := c.First; first < c.First+c.Count; first += fillBatch {
		group.Go(func() error {
			err := eventlog.ErrPaced
			for errors.Is(err, eventlog.ErrPaced) {
				err = s.index.Pace(ctx)
			}
			if err != nil {
				return err
			}
			return s.appendBatch(ctx, from, first, min(fillBatch, c.First+c.Count-first))
		})
	}
	return group.Wait()
}

// wait waits until the index has all.
func (s *store) wait(ctx context.Context) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	return s.index.Wait(ctx, head)
}
