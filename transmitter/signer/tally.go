package signer

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// maxTally bounds who is told apart in a minute.
const maxTally = 1024

// signed is who has signed with what.
type signed struct {
	kid      string
	uid, pid int
}

// tally counts signatures until they are told.
type tally struct {
	mu    sync.Mutex
	count map[signed]uint64
	total map[string]uint64 // by kid, since the start
}

func newTally() *tally {
	return &tally{count: map[signed]uint64{}, total: map[string]uint64{}}
}

func (t *tally) add(who signed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.count[who]; !known && len(t.count) >= maxTally {
		who.uid, who.pid = -1, -1 // many processes in a minute: they are told as one
	}
	t.count[who]++
	t.total[who.kid]++
}

// take returns what was counted, and begins anew.
func (t *tally) take() (count map[signed]uint64, total map[string]uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count, t.count = t.count, map[signed]uint64{}
	return count, maps.Clone(t.total)
}

// tellEvery tells what was signed, a line for each key and process in a minute, until ctx
// ends.
func (s *Server) tellEvery(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.tell(ctx)
		}
	}
}

func (s *Server) tell(ctx context.Context) {
	count, total := s.tally.take()
	for who, n := range count {
		s.cfg.Logger.InfoContext(ctx, "signed", slog.String("kid", who.kid), slog.Uint64("signatures", n),
			slog.Uint64("since_start", total[who.kid]), slog.Int("uid", who.uid), slog.Int("pid", who.pid))
	}
}
