package sqlitestore_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

// A back-off that was written while the clock was a year ahead is over soon
// after the clock is right again, with a restart or without.
func TestBackOffOfAClockAhead(t *testing.T) {
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			synctest.Test(t, func(t *testing.T) {
				var ahead atomic.Int64
				now := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
				reopen := func() *sqlitestore.Store {
					s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path, Now: now})
					must(t, err)
					return s
				}
				s := reopen()
				defer func() { must(t, s.Close()) }()
				must(t, s.Create(t.Context(), push("s1"), 1))
				_, err := s.Put(t.Context(), streams.Item{Stream: "s1", Lane: streams.LaneEvents, ID: "e1", Epoch: 1, Pos: streams.Position{Seq: 1}, Type: typeA, Added: now()})
				must(t, err)
				ahead.Store(int64(365 * 24 * time.Hour))
				_, err = s.Settle(t.Context(), "s1", nil, &streams.Health{Failures: 1, NextDue: now().Add(time.Hour)})
				must(t, err)
				ready := func(wait time.Duration) error {
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					defer cancel()
					_, err := s.Ready(ctx, 1)
					return err
				}
				if err := ready(time.Minute); err == nil {
					t.Fatal("got a stream that backs off ready")
				}
				ahead.Store(0)
				if restart {
					must(t, s.Close())
					s = reopen()
				}
				if err := ready(24 * time.Hour); err != nil {
					t.Errorf("a day after the clock was set right: got %v, want the stream ready", err)
				}
			})
		})
	}
}
