package redisinbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/inboxtest"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// On three nodes of a cluster all is as on one, and the user of docs/operations/redis.md
// may do all that there is to do.
func TestContractReached(t *testing.T) {
	for name, url := range map[string]func() string{
		"three nodes":  func() string { return redistest.StartCluster3(t).Limit(t) },
		"limited user": func() string { return redistest.StartDurable(t).Limit(t) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := redisdb.Config{URL: url(), Volatile: true}
			inboxtest.Run(t, func(t *testing.T, dir string) inboxtest.Closer {
				settle(t)
				dir = prefixOf(dir)
				cfg.Prefix = redistest.LimitedPrefix + ":" + dir[max(0, len(dir)-50):]
				return open(t, redisinbox.Config{Redis: cfg, Now: time.Now})
			})
		})
	}
}

// PUSH-2-04: what was acknowledged is handled though the master is killed in mid-load: a
// replica had it. All goes on by itself at the new master.
func TestFailover(t *testing.T) {
	s := redistest.StartSentinel(t)
	before, others := s.Master(t), s.Replicas(t)
	others[1].Pause(t) // the other one acknowledges, and is elected
	in := open(t, redisinbox.Config{
		Redis: redisdb.Config{URL: s.URL(), Replicas: 1, ReplicaWait: 300 * time.Millisecond}, Lease: shortLease,
	})
	defer func() { _ = in.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var acknowledged []string
	handled := make(map[string]bool)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprint(w, "-", n)
				_, err := in.Append(ctx, message(id))
				mu.Lock()
				if err == nil {
					acknowledged = append(acknowledged, id)
				} else if !errors.Is(err, redisdb.ErrAway) && !errors.Is(err, redisdb.ErrReplicas) && ctx.Err() == nil {
					t.Errorf("got %v, want nothing but that the server or its replicas are away", err)
				}
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	more := func(n int) {
		t.Helper()
		for end, want := time.Now().Add(30*time.Second), count()+n; count() < want; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("got %d messages acknowledged in 30 s, want %d", count(), want)
			}
		}
	}
	more(100)
	before.Stop()
	s.WaitMaster(t, before).StartReplica(t)
	more(100)
	cancel()
	group.Wait()
	for end := time.Now().Add(30 * time.Second); len(handled) < len(acknowledged) && time.Now().Before(end); {
		taken, err := in.Take(t.Context(), "f", 256)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make([]inbox.Outcome, len(taken))
		for i, m := range taken {
			handled[m.ID], outcomes[i] = true, inbox.Outcome{Seq: m.Seq}
		}
		if err := in.Settle(t.Context(), outcomes...); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range acknowledged {
		if !handled[id] {
			t.Errorf("got %s lost, want it handled: it was acknowledged", id)
		}
	}
}
