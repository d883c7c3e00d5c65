package redisstore

import (
	"context"
	"errors"
	"sync"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Hold implements [streams.Shared]. One at a time.
func (s *Store) Hold(ctx context.Context, work func(ctx context.Context, p streams.Partition)) error {
	return s.holder.Run(ctx, func(ctx context.Context, held redisdb.Held) {
		r := request{part: held.Index, token: held.Token}
		// What a former holder had taken returns; if it cannot be asked for now, with the
		// first call that work makes.
		if _, err := s.call(ctx, r, s.scripts.begin); errors.Is(err, streams.ErrNotHeld) {
			return
		}
		s.waits.hold(held.Index, held.Token)
		defer s.waits.letGo(held.Index, held.Token)
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		r.ledger = &ledger{lost: sync.OnceFunc(func() {
			s.log.WarnContext(ctx, "the server does not have what was put on queues any more: the work on the partition begins anew, from its last place",
				"partition", held.Index)
			stop()
		})}
		p := &partition{s: s, r: r, mirror: newMirror(s, r)}
		defer p.mirror.end()
		work(ctx, p)
	})
}

// partition is a [streams.Partition]: the store's calls with the token.
type partition struct {
	s       *Store
	r       request
	mirror  *mirror
	glances glances
	known   known
}

var _ streams.Partition = (*partition)(nil)

// has returns ErrNotHeld for a stream of another partition.
func (p *partition) has(stream string) error {
	if streams.PartitionOf(stream) != p.r.part {
		return streams.ErrNotHeld
	}
	return nil
}

// Number implements [streams.Partition].
func (p *partition) Number() int { return p.r.part }

// Match implements [streams.Matcher] for the partition.
func (p *partition) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	return p.mirror.match(ctx, &q)
}

// Cursor implements [streams.Partition].
func (p *partition) Cursor(ctx context.Context, follower string) (uint64, error) {
	return p.s.cursor(ctx, p.r.part, follower)
}

// SaveCursor implements [streams.Partition].
func (p *partition) SaveCursor(ctx context.Context, follower string, seq uint64) error {
	if seq > maxSeq {
		return errRange
	}
	_, err := p.s.call(ctx, p.r, p.s.scripts.cursor, follower, seq)
	return err
}

// Stream implements [streams.Partition].
func (p *partition) Stream(ctx context.Context, id string) (streams.Stream, error) {
	if err := p.has(id); err != nil {
		return streams.Stream{}, err
	}
	return p.glances.at(ctx, id, func(ctx context.Context) (streams.Stream, error) { return p.glance(ctx, id) })
}

// Put implements [streams.Partition].
func (p *partition) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	return p.s.put(ctx, &p.r, items)
}

// Ready implements [streams.Partition].
func (p *partition) Ready(ctx context.Context, max int) ([]string, error) {
	return p.s.ready(ctx, &p.r, max)
}

// Take implements [streams.Partition].
func (p *partition) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	if err := p.has(stream); err != nil {
		return nil, err
	}
	return p.s.take(ctx, p.r, stream, opts)
}

// Settle implements [streams.Partition].
func (p *partition) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	if err := p.has(stream); err != nil {
		return nil, err
	}
	return p.s.settle(ctx, p.r, stream, outcomes, health)
}

// Health implements [streams.Partition].
func (p *partition) Health(ctx context.Context, stream string) (streams.Health, error) {
	if err := p.has(stream); err != nil {
		return streams.Health{}, err
	}
	return p.s.healthOf(ctx, p.r, stream)
}

// Depth implements [streams.Partition].
func (p *partition) Depth(ctx context.Context, stream string) (streams.Depth, error) {
	if err := p.has(stream); err != nil {
		return streams.Depth{}, err
	}
	return p.s.depth(ctx, p.r, stream)
}
