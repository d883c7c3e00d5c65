package redisstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

var _ streams.Importer = (*Store)(nil)

// maxImportArgs bounds the arguments of one script: a complex subject has many keys.
const maxImportArgs = 4096

// ImportStream implements [streams.Importer].
func (s *Store) ImportStream(ctx context.Context, k streams.Kept) error {
	if k.High.Seq > maxSeq || k.HighRef.Seq > maxSeq {
		return errRange
	}
	document, err := form.EncodeStream(&k.Stream)
	if err != nil {
		return fmt.Errorf("redisstore: import: %w", err)
	}
	facts, err := factsOf(&k.Stream)
	if err != nil {
		return err
	}
	health, due := []byte(nil), int64(0)
	if k.Health != (streams.Health{}) {
		if health, err = json.Marshal(k.Health); err != nil {
			return fmt.Errorf("redisstore: import: %w", err)
		}
		if !k.Health.NextDue.IsZero() {
			due = max(0, millis(k.Health.NextDue.Sub(s.clock())))
		}
	}
	ref := ""
	if !k.HighRef.IsZero() {
		ref = placeText(k.HighRef)
	}
	id, owner := k.Stream.ID, k.Stream.Owner
	if _, err := s.reserve(ctx, owner, id, 0); err != nil {
		return err
	}
	args := append([]any{id, owner, digestOf(id), document, placeText(k.High), ref, k.High.Seq, health, due}, facts.args(form.Nanos(k.Stream.Active))...)
	answer, err := s.importing(ctx, s.scripts.importStream, streams.PartitionOf(id), args)
	if err == nil && answer == "exists" {
		err = streams.ErrExists
	}
	return err
}

// importing runs a script that answers with a word, which it returns.
func (s *Store) importing(ctx context.Context, script *redis.Script, part int, args []any) (string, error) {
	answer, err := s.call(ctx, request{part: part, durable: true}, script, args...)
	if err != nil {
		return "", err
	}
	switch word := redisdb.Text(answer); word {
	case "ok", "exists":
		return word, nil
	case "none":
		return "", streams.ErrNotFound
	}
	return "", redisdb.ErrAnswer
}

// importAll runs a script for all of a list, in parts; args are those of one.
func importAll[T any](ctx context.Context, s *Store, script *redis.Script, part int, first []any, list []T, args func(*T) ([]any, error)) error {
	for len(list) > 0 {
		all, size, n := append([]any(nil), first...), 0, 0
		for ; n < len(list) && n < maxBatch && len(all) < maxImportArgs && size < maxBatchBytes; n++ {
			one, err := args(&list[n])
			if err != nil {
				return err
			}
			for _, arg := range one {
				switch arg := arg.(type) {
				case string:
					size += len(arg)
				case []byte:
					size += len(arg)
				}
			}
			all = append(all, one...)
		}
		if _, err := s.importing(ctx, script, part, all); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// ImportInterests implements [streams.Importer]. A set of member names counts as brought in
// by the first owner who has it in the partition.
func (s *Store) ImportInterests(ctx context.Context, stream string, list []streams.Interest) error {
	return importAll(ctx, s, s.scripts.importSubjects, streams.PartitionOf(stream), []any{stream}, list, func(one *streams.Interest) ([]any, error) {
		kind := kindEntry
		if one.Excluded {
			kind = kindExclusion
		}
		return subjectArgs(one.Subject, kind), nil
	})
}

// keptItem returns an item as it is kept, also one that was resent.
func keptItem(it *streams.Item) ([]byte, error) {
	if it.Pos.Seq > maxSeq || it.Ref.Seq > maxSeq || it.Epoch > maxSeq {
		return nil, errRange
	}
	kept, err := encodeItem(it)
	if err == nil && it.Resent {
		kept[0] = flagResent
	}
	return kept, err
}

// ImportItems implements [streams.Importer].
func (s *Store) ImportItems(ctx context.Context, stream string, items []streams.Item) error {
	return importAll(ctx, s, s.scripts.importItems, streams.PartitionOf(stream), []any{stream}, items, func(it *streams.Item) ([]any, error) {
		kept, err := keptItem(it)
		lane := laneOf(it)
		if it.Resent && it.Lane == streams.LaneEvents {
			lane = "r"
		}
		return []any{lane, fmt.Sprintf("%d-%d", it.Pos.Seq, it.Pos.N), placeText(it.Pos), kept, it.Attempts}, err
	})
}

// ImportDeadLetters implements [streams.Importer].
func (s *Store) ImportDeadLetters(ctx context.Context, stream string, letters []streams.DeadLetter) error {
	return importAll(ctx, s, s.scripts.importLetters, streams.PartitionOf(stream), []any{stream}, letters, func(l *streams.DeadLetter) ([]any, error) {
		kept, err := keptItem(&l.Item)
		return []any{l.ID, letterPlace(&l.Item), kept, fmt.Sprint(l.Attempts), l.Code, l.Description, fmt.Sprint(form.Nanos(l.At))}, err
	})
}

// letterPlace is the place that the item of a dead letter had: of one of the control lane,
// which has none any more, what a resend looks at.
func letterPlace(it *streams.Item) string {
	switch lane := laneOf(it); {
	case lane == "u":
		return string(laneControl) + placeText(streams.Position{N: 1})
	case lane == "1":
		return string(laneControl) + placeText(streams.Position{})
	case it.Resent:
		return "1" + placeText(it.Pos)
	}
	return "2" + placeText(it.Pos)
}

// ImportUsedIDs implements [streams.Importer].
func (s *Store) ImportUsedIDs(ctx context.Context, ids []string) error {
	var byPart [streams.Partitions][]string
	for _, id := range ids {
		n := streams.PartitionOf(id)
		byPart[n] = append(byPart[n], digestOf(id))
	}
	for n, list := range byPart {
		err := importAll(ctx, s, s.scripts.importUsed, n, nil, list, func(digest *string) ([]any, error) { return []any{*digest}, nil })
		if err != nil {
			return err
		}
	}
	return nil
}
