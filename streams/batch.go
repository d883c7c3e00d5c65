package streams

import (
	"context"
	"errors"
)

// Batcher tells of many at once what [Registry] and [Queue] tell of each: a store that is
// asked over a network has it, and lists for people cost it a few exchanges then, however
// long they are. Safe for concurrent use.
type Batcher interface {
	// StreamsOf returns the streams of each of owners as Streams does, owner by owner.
	StreamsOf(ctx context.Context, owners []string) ([]Stream, error)
	// Standings returns each of ids with how it stands, in their order; of a stream that
	// is not there (any more) nil.
	Standings(ctx context.Context, ids []string) ([]*Standing, error)
}

// Standing is a stream with what waits for it, and how its deliveries fare.
type Standing struct {
	Stream Stream
	Depth  Depth
	Health Health
}

// OwnedBy returns what StreamsOf of a [Batcher] does, also of a store that is none.
func OwnedBy(ctx context.Context, s Store, owners []string) (all []Stream, err error) {
	if b, ok := s.(Batcher); ok {
		return b.StreamsOf(ctx, owners)
	}
	for _, owner := range owners {
		list, err := s.Streams(ctx, owner)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// Stander is what [Standings] asks of a store that is no [Batcher].
type Stander interface {
	Stream(ctx context.Context, id string) (Stream, error)
	Depth(ctx context.Context, stream string) (Depth, error)
	Health(ctx context.Context, stream string) (Health, error)
}

// Standings returns what [Batcher] says of a store, also of one that is none.
func Standings(ctx context.Context, s Stander, ids []string) ([]*Standing, error) {
	if b, ok := s.(Batcher); ok {
		return b.Standings(ctx, ids)
	}
	all := make([]*Standing, len(ids))
	for i, id := range ids {
		at, err := standing(ctx, s, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[i] = at
	}
	return all, nil
}

func standing(ctx context.Context, s Stander, id string) (*Standing, error) {
	of, err := s.Stream(ctx, id)
	if err != nil {
		return nil, err
	}
	depth, err := s.Depth(ctx, id)
	if err != nil {
		return nil, err
	}
	health, err := s.Health(ctx, id)
	return &Standing{of, depth, health}, err
}
