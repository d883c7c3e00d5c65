package redisstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// concerns is how many there are, and lookFields how many fields a look has in an answer
// (lua/glance.lua).
const (
	concerns   = int(streams.Failing) + 1
	lookFields = 6
)

// Glance implements [streams.Glancer]. It costs a call in each partition, which looks at
// each of its streams, and one read for each that is returned: two exchanges in all.
func (s *Store) Glance(ctx context.Context, max int) (streams.Glance, error) {
	g := streams.Glance{Concerns: map[streams.Concern]int{}}
	worst := streams.Worst{Max: max}
	err := s.each(ctx, s.scripts.glance, []any{max}, func(_ int, answer any) error {
		list, err := redisdb.List(answer)
		if err != nil || len(list) < concerns || (len(list)-concerns)%lookFields != 0 {
			return redisdb.ErrAnswer
		}
		for c := range concerns {
			n := int(redisdb.Number(list[c]))
			g.Concerns[streams.Concern(c)] += n
			g.Streams += n
		}
		for i := concerns; i < len(list); i += lookFields {
			look, err := lookOf(list[i : i+lookFields])
			if err != nil {
				return err
			}
			worst.Add(look)
		}
		return nil
	})
	if err != nil {
		return streams.Glance{}, err
	}
	looks := worst.List()
	ids := make([]string, len(looks))
	for i := range looks {
		ids[i] = looks[i].Stream.ID
	}
	list, _, err := s.readAll(ctx, ids)
	if err != nil {
		return streams.Glance{}, err
	}
	for i := range looks { // those that were deleted meanwhile are not in list
		if len(list) > 0 && list[0].ID == looks[i].Stream.ID {
			looks[i].Stream, list = list[0], list[1:]
			g.Worst = append(g.Worst, looks[i])
		}
	}
	return g, nil
}

func lookOf(fields []any) (streams.Look, error) {
	look := streams.Look{
		Stream: streams.Stream{ID: redisdb.Text(fields[0])}, Concern: streams.Concern(redisdb.Number(fields[1])),
		Depth: streams.Depth{Items: int(redisdb.Number(fields[2])), Dead: int(redisdb.Number(fields[3]))},
	}
	if at := redisdb.Text(fields[4]); len(at) == 8 {
		look.Depth.Oldest = form.Instant(int64(binary.BigEndian.Uint64([]byte(at))))
	}
	if health := redisdb.Text(fields[5]); health != "" {
		if err := json.Unmarshal([]byte(health), &look.Health); err != nil {
			return look, fmt.Errorf("redisstore: health: %w", err)
		}
	}
	return look, nil
}
