package storetest

import (
	"context"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Glance implements [streams.Glancer].
func (m *Memory) Glance(_ context.Context, max int) (streams.Glance, error) {
	defer m.lock()()
	g := streams.Glance{Streams: len(m.order), Concerns: map[streams.Concern]int{}}
	worst := streams.Worst{Max: max}
	for _, s := range m.order {
		look := streams.Look{Stream: s.Stream.Clone(), Depth: streams.Depth{Items: len(s.items), Dead: len(s.letters), Oldest: s.depth().Oldest}}
		if len(s.items) > 0 {
			look.Health = s.health
		}
		look.Concern = streams.ConcernOf(s.Status, s.StatusBy, look.Health.Failures, look.Depth.Dead)
		g.Concerns[look.Concern]++
		worst.Add(look)
	}
	g.Worst = worst.List()
	return g, nil
}
