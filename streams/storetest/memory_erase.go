package storetest

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Pointing implements [streams.Eraser].
func (m *Memory) Pointing(_ context.Context, records []uint64, max int) (queued, dead []streams.Item, err error) {
	defer m.lock()()
	for _, s := range m.order {
		for _, it := range s.items {
			if pointsAt(&it.Item, records) && len(queued) < max {
				queued = append(queued, it.Item)
			}
		}
		for _, l := range s.letters {
			if pointsAt(&l.Item, records) && len(dead) < max {
				dead = append(dead, l.Item)
			}
		}
	}
	return queued, dead, nil
}

func pointsAt(it *streams.Item, records []uint64) bool {
	return it.Lane == streams.LaneEvents && slices.Contains(records, it.Event().Seq)
}

// Forget implements [streams.Eraser].
func (m *Memory) Forget(_ context.Context, owner string, id subject.Identifier) (int, error) {
	defer m.lock()()
	n := 0
	for _, s := range m.order {
		if owner != "" && owner != s.Owner {
			continue
		}
		for _, list := range []*[]subject.Identifier{&s.entries, &s.exclusions} {
			had := len(*list)
			*list = slices.DeleteFunc(*list, func(e subject.Identifier) bool { return e.Contains(id) })
			n += had - len(*list)
		}
	}
	return n, nil
}

// Scrub implements [streams.Eraser].
func (m *Memory) Scrub(context.Context) error { return nil }

// Earliest implements [streams.Eraser].
func (m *Memory) Earliest(context.Context) (uint64, error) {
	defer m.lock()()
	var first uint64
	for _, s := range m.order {
		for _, it := range s.items {
			if it.Lane == streams.LaneEvents && (first == 0 || it.Event().Seq < first) {
				first = it.Event().Seq
			}
		}
	}
	return first, nil
}
