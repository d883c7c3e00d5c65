package redisstore

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Put implements [streams.Queue]. Items are put in parts of up to 256 items or 1 MiB, each
// in one transaction, in their order: after an error some may have been put, and a Put of
// the same items does the rest. Events are put by one process at a time, who holds the
// partition (see [streams.Partition]), or positions would be passed over.
func (s *Store) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	return s.put(ctx, nil, items)
}

// put puts items, of all partitions or of one, for its holder.
func (s *Store) put(ctx context.Context, holder *request, items []streams.Item) (streams.PutReport, error) {
	report := streams.PutReport{Full: make(map[string]int)}
	if err := ctx.Err(); err != nil {
		return streams.PutReport{}, err
	}
	var byPart [streams.Partitions][]*streams.Item
	for i := range items {
		n := streams.PartitionOf(items[i].Stream)
		if holder != nil && n != holder.part {
			return streams.PutReport{}, streams.ErrNotHeld
		}
		if items[i].Pos.Seq > maxSeq || items[i].Ref.Seq > maxSeq || items[i].Epoch > maxSeq {
			return streams.PutReport{}, errRange
		}
		byPart[n] = append(byPart[n], &items[i])
	}
	for n, list := range byPart {
		r := request{part: n}
		if holder != nil {
			r = *holder
		}
		r.once = true
		for len(list) > 0 {
			batch := batchOf(list)
			list = list[len(batch):]
			if err := s.putBatch(ctx, r, batch, &report); err != nil {
				return streams.PutReport{}, err
			}
		}
	}
	return report, nil
}

// batchOf returns how many of items, at least one, a script takes.
func batchOf(items []*streams.Item) []*streams.Item {
	size := 0
	for i, it := range items {
		size += len(it.Stream) + len(it.ID) + len(it.Type) + len(it.OrderKey) + len(it.Payload)
		if i == maxBatch || i > 0 && size > maxBatchBytes {
			return items[:i]
		}
	}
	return items
}

func (s *Store) putBatch(ctx context.Context, r request, batch []*streams.Item, report *streams.PutReport) error {
	args := make([]any, 0, 2+6*len(batch))
	args = append(args, s.cfg.MaxDepth, MaxControl)
	var ids []string
	for _, it := range batch {
		if len(ids) == 0 || ids[len(ids)-1] != it.Stream {
			ids = append(ids, it.Stream)
		}
		kept, err := encodeItem(it)
		if err != nil {
			return err
		}
		args = append(args, it.Stream, laneOf(it), it.Epoch, fmt.Sprintf("%d-%d", it.Pos.Seq, it.Pos.N), placeText(it.Pos), kept)
	}
	answer, err := s.call(ctx, r, s.scripts.put, args...)
	if err != nil {
		return err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list)%2 != 0 || len(list) < 4 {
		return redisdb.ErrAnswer
	}
	report.Kept += int(redisdb.Number(list[0]))
	report.Seen += int(redisdb.Number(list[1]))
	report.Gone += int(redisdb.Number(list[2]))
	r.ledger.told(uint64(redisdb.Number(list[3])))
	for i := 4; i < len(list); i += 2 {
		report.Full[redisdb.Text(list[i])] += int(redisdb.Number(list[i+1]))
	}
	s.waits.ring(r.part, ids...)
	return nil
}
