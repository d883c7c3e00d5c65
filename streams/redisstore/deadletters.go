package redisstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// DeadLetters implements [streams.DeadLetters]. A page has at most 256.
func (s *Store) DeadLetters(ctx context.Context, stream, after string, max int) ([]streams.DeadLetter, string, error) {
	from := uint64(0)
	if after != "" {
		var err error
		if from, err = strconv.ParseUint(after, 10, 53); err != nil {
			return nil, "", streams.ErrPlace
		}
	}
	if max < 1 {
		return nil, "", errors.New("redisstore: dead letters: max must be positive")
	}
	max = min(max, maxBatch)
	answer, err := s.call(ctx, of(stream), s.scripts.letters, stream, from, max+1)
	if err != nil {
		return nil, "", err
	}
	list, err := streamAnswer(answer)
	if err != nil {
		return nil, "", err
	}
	next := ""
	var page []streams.DeadLetter
	for i, v := range list {
		letter, err := redisdb.List(v)
		if err != nil || len(letter) != 7 {
			return nil, "", redisdb.ErrAnswer
		}
		if i == max {
			break
		}
		l := streams.DeadLetter{Code: redisdb.Text(letter[4]), Description: redisdb.Text(letter[5]), At: form.Instant(redisdb.Number(letter[6]))}
		if l.Item, err = itemOf(stream, letter[1:4]); err != nil {
			return nil, "", err
		}
		page = append(page, l)
		if len(list) > max {
			next = redisdb.Text(letter[0])
		}
	}
	return page, next, nil
}

// Resend implements [streams.DeadLetters]. The item counts as added now, so that it does
// not expire at once, and belongs to the stream's epoch.
func (s *Store) Resend(ctx context.Context, stream, id string) error {
	return s.letter(ctx, stream, id, "resend")
}

// Drop implements [streams.DeadLetters].
func (s *Store) Drop(ctx context.Context, stream, id string) error {
	return s.letter(ctx, stream, id, "drop")
}

func (s *Store) letter(ctx context.Context, stream, id, what string) error {
	r := of(stream)
	r.once, r.durable = true, true
	answer, err := s.call(ctx, r, s.scripts.letter, stream, id, what)
	if err != nil {
		return err
	}
	if redisdb.Text(answer) == "none" {
		return streams.ErrNotFound
	}
	s.waits.ring(r.part, stream)
	return nil
}
