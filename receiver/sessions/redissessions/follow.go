package redissessions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

const (
	// block is how long the server keeps a request for the feed when nothing changes,
	// and so how old what a node knows may be while all is well, and how long Run goes on
	// when it is to end.
	block = 250 * time.Millisecond
	// batch is how many changes, or marks at a load, one answer has at most.
	batch = 1000
	// pause is the time between two attempts while the server is away.
	pause = 250 * time.Millisecond
)

// errGap says that the feed has lost changes that were not seen.
var errGap = errors.New("redissessions: the feed goes on after changes that were not seen")

// place is how far a node has followed the feed.
type place struct {
	id      string // of the stream's entry
	version string
}

// Run loads the revocations and follows the feed until ctx ends; call it once. While
// the server is away it tries again. Error: more marks than Revocations.MaxMarks.
func (s *Store) Run(ctx context.Context) error {
	var at *place
	for down := false; ctx.Err() == nil; {
		err := s.step(ctx, &at)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, sessions.ErrFull):
			return err
		case errors.Is(err, errGap):
			s.log.InfoContext(ctx, "revocations are loaded anew: changes were missed")
			at = nil
		case err != nil:
			if !down {
				s.log.WarnContext(ctx, "revocations cannot be followed", "err", err)
			}
			down = true
			wait(ctx, pause)
		case down:
			down = false
			s.log.InfoContext(ctx, "revocations are followed again")
		}
	}
	return nil
}

// step loads if nothing is known yet, else takes what is next in the feed.
func (s *Store) step(ctx context.Context, at **place) error {
	asked := s.cfg.Revocations.Now()
	if *at == nil {
		loaded, err := s.load(ctx)
		if err != nil {
			return err
		}
		*at = &loaded
	} else if err := s.follow(ctx, *at); err != nil {
		return err
	}
	s.state.Current(asked)
	return nil
}

// load brings all marks into memory and returns the place in the feed from which to go
// on: one before them, since older versions change nothing.
func (s *Store) load(ctx context.Context) (place, error) {
	at, err := s.head(ctx)
	if err != nil {
		return at, err
	}
	for cursor := uint64(0); ; {
		var pairs []string
		pairs, cursor, err = s.client.HScan(ctx, s.keys()[0], cursor, "", batch).Result()
		if err != nil {
			return at, fmt.Errorf("redissessions: load: %w", err)
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if s.state.Len() >= s.cfg.Revocations.MaxMarks {
				return at, fmt.Errorf("redissessions: the server has more marks than Revocations.MaxMarks (%d): %w",
					s.cfg.Revocations.MaxMarks, sessions.ErrFull)
			}
			if err := s.apply(pairs[i], pairs[i+1]); err != nil {
				return at, err
			}
		}
		if cursor == 0 {
			return at, nil
		}
	}
}

// head returns the end of the feed.
func (s *Store) head(ctx context.Context) (place, error) {
	pipe := s.client.TxPipeline()
	version := pipe.Get(ctx, s.keys()[2])
	last := pipe.XRevRangeN(ctx, s.keys()[3], "+", "-", 1)
	if err := exec(ctx, pipe); err != nil {
		return place{}, err
	}
	at := place{id: "0-0", version: "0"}
	if version.Val() != "" {
		at.version = version.Val()
	}
	if entries := last.Val(); len(entries) == 1 {
		at.id = entries[0].ID
	}
	return at, nil
}

// follow takes what is next in the feed. Where nothing comes it looks whether the feed
// is the one that it was.
func (s *Store) follow(ctx context.Context, at *place) error {
	streams, err := s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.keys()[3], at.id}, Count: batch, Block: block}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return s.still(ctx, at)
	case err != nil:
		return fmt.Errorf("redissessions: follow: %w", err)
	}
	for _, stream := range streams {
		for _, entry := range stream.Messages {
			clause, _ := entry.Values["clause"].(string)
			mark, _ := entry.Values["mark"].(string)
			if last, _ := entry.Values["last"].(string); last != at.version {
				return errGap
			}
			if err := s.apply(clause, mark); err != nil {
				return err
			}
			at.id, at.version = entry.ID, mark[strings.LastIndex(mark, ":")+1:]
		}
	}
	return nil
}

// still returns errGap unless the latest change is the one seen last, or is yet to come.
func (s *Store) still(ctx context.Context, at *place) error {
	head, err := s.head(ctx)
	if err != nil || head.version == at.version {
		return err
	}
	_, err = s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.keys()[3], at.id}, Count: 1, Block: -1}).Result()
	if errors.Is(err, redis.Nil) {
		return errGap
	}
	return err
}

func (s *Store) apply(clause, raw string) error {
	mark, version, err := parseMark(raw)
	if err != nil {
		return err
	}
	if expires := mark.Expires(s.cfg.Revocations.Retention); expires != sessions.Never && expires < s.cfg.Revocations.Now().UnixMicro() {
		return nil
	}
	s.state.Apply(sessions.Clause(clause), mark, version)
	return nil
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
