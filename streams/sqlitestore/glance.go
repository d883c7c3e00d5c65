package sqlitestore

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Glance implements [streams.Glancer]. It costs what Depths does, and a read for each
// stream that is returned and whose configuration is not in memory.
func (s *Store) Glance(ctx context.Context, max int) (streams.Glance, error) {
	all := s.index.snapshot()
	g := streams.Glance{Streams: len(all), Concerns: map[streams.Concern]int{}}
	worst := streams.Worst{Max: max}
	for _, st := range all {
		look, err := s.lookAt(ctx, st)
		if err != nil {
			return streams.Glance{}, err
		}
		g.Concerns[look.Concern]++
		worst.Add(look)
	}
	for _, look := range worst.List() {
		one, err := s.Stream(ctx, look.Stream.ID)
		if errors.Is(err, streams.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return streams.Glance{}, err
		}
		look.Stream = one
		g.Worst = append(g.Worst, look)
	}
	return g, nil
}

// lookAt looks at a stream without its configuration.
func (s *Store) lookAt(ctx context.Context, st *stream) (streams.Look, error) {
	facts := st.facts.Load()
	look := streams.Look{Stream: streams.Stream{ID: st.id}, Depth: streams.Depth{Items: int(st.items.Load()), Dead: int(st.dead.Load())}}
	if look.Depth.Items > 0 { // else nothing can fail
		oldest, err := s.oldestOf(ctx, st)
		if err != nil {
			return streams.Look{}, err
		}
		look.Depth.Oldest = oldest
		st.mu.Lock()
		look.Health = st.health
		st.mu.Unlock()
	}
	look.Concern = streams.ConcernOf(facts.status, facts.by, look.Health.Failures, look.Depth.Dead)
	return look, nil
}
