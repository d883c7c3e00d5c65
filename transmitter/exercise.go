package transmitter

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/exercise"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/poll"
)

// newExercise makes what Config.Conformance asks for.
func (t *Transmitter) newExercise() error {
	if t.cfg.Conformance <= 0 {
		return nil
	}
	store, ok := t.cfg.Streams.(exercise.Store)
	if !ok {
		return errors.New("Config.Conformance needs a store of streams that tells their subjects")
	}
	t.exercise = exercise.New(exercise.Config{
		Store: store,
		Accept: func(ctx context.Context, source *auth.Source, items []ingest.Item) ([]ingest.Result, error) {
			return t.ingest.Accept(ctx, source, items)
		},
		After: t.cfg.Conformance, Logger: t.cfg.Logger,
	})
	return nil
}

// asked is who is told of verifications that receivers asked for.
func (t *Transmitter) asked() func(streams.Item) {
	if t.exercise == nil {
		return nil
	}
	return t.exercise.Asked
}

// polled is the queue that polls work on.
func (t *Transmitter) polled() poll.Queue {
	if t.exercise == nil {
		return t.cfg.Streams
	}
	return t.exercise.Polled(t.cfg.Streams)
}
