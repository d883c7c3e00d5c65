package redisinbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Expect keeps a verification state until it is answered or expires.
func (b *Inbox) Expect(ctx context.Context, name, state string, expires time.Time) error {
	if len(state) > inbox.MaxStateBytes {
		return fmt.Errorf("redisinbox: state of %d bytes, want at most %d", len(state), inbox.MaxStateBytes)
	}
	if !b.begin() {
		return inbox.ErrClosed
	}
	defer b.work.Done()
	f, err := b.feed(ctx, name)
	if err != nil {
		return err
	}
	answer, err := b.write(ctx, f, b.scripts.expect, state, b.until(expires), inbox.MaxStates)
	if err == nil && redisdb.Text(answer) == "full" {
		err = inbox.ErrFull
	}
	return err
}

// Outstanding returns the feed's states that still wait.
func (b *Inbox) Outstanding(ctx context.Context, name string) ([]inbox.State, error) {
	if !b.begin() {
		return nil, inbox.ErrClosed
	}
	defer b.work.Done()
	f, err := b.feed(ctx, name)
	if err != nil {
		return nil, err
	}
	answer, err := b.read(ctx, f, b.scripts.outstanding)
	if err != nil {
		return nil, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list)%2 != 0 {
		return nil, redisdb.ErrAnswer
	}
	now := time.Now()
	if b.cfg.Now != nil {
		now = b.cfg.Now()
	}
	var states []inbox.State
	for pair := range slices.Chunk(list, 2) {
		left := time.Duration(redisdb.Number(pair[1])) * time.Millisecond
		states = append(states, inbox.State{Value: redisdb.Text(pair[0]), Expires: now.Add(left).Truncate(time.Millisecond)})
	}
	return states, nil
}
