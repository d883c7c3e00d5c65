// Package servers_test kills, starves and attacks `tocsin serve`, as a process.
package servers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
)

const (
	killRounds     = 24 // each point once
	killRoundsLong = 300
	stormSenders   = 6
)

// crashPoints are the places the server is killed at, besides random moments.
// Those of a release, a replay, an erasure, a source and a webhook need what the
// storm does not do: each has a test of its own.
func crashPoints() []string {
	return []string{
		"fanout.before-put", "fanout.after-put",
		"push.before-post", "push.after-post", "push.before-settle", "push.after-settle",
		"ingest.before-append", "ingest.after-append", "poll.after-settle", "poll.before-answer",
		"index.before-commit", "index.after-commit",
	}
}

// A server that is killed over and over (kill -9), at named points and at any moment,
// under the storm.
func TestKillStorm(t *testing.T) {
	rounds := killRounds
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		rounds = killRoundsLong
	}
	s := storm.New(t)
	ctx, stop := context.WithCancel(t.Context())
	var senders, pollers sync.WaitGroup
	for i := range stormSenders {
		senders.Go(func() { s.Send(ctx, i) })
	}
	for _, r := range s.Receivers {
		if r.Poll != "" {
			pollers.Go(func() { s.PollLoop(t.Context(), r) })
		}
		if strings.HasSuffix(r.Name, "-b") {
			senders.Go(func() { s.Pauses(ctx, r) })
		}
	}
	killOver(t, s, rounds)
	stop()
	senders.Wait()
	s.Settle(t)
	s.End()
	pollers.Wait()
	s.Judge(t)
}

// killOver kills and restarts the server, by turns at a named point and at a
// random moment.
func killOver(t *testing.T, s *storm.Storm, rounds int) {
	t.Helper()
	points := crashPoints()
	point := "" // the one at which the server ends itself
	for round := range rounds {
		moment := time.After(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		if point != "" {
			moment = time.After(proctest.Patience)
		}
		select {
		case <-s.Server.Done():
		case <-moment:
			if point != "" {
				t.Errorf("the server did not come to %s within %v", point, proctest.Patience)
			}
		}
		s.Kill()
		point = ""
		var env []string
		if round%2 == 0 {
			point = fmt.Sprintf("%s:%d", points[round/2%len(points)], 1+rand.IntN(30))
			env = []string{"TOCSIN_CRASH_POINT=" + point}
		}
		if err := s.Server.Start(env...); err != nil {
			t.Fatalf("start after kill %d: %v", round+1, err)
		}
	}
	// The last life must not end by itself.
	s.Kill()
	if err := s.Server.Start(); err != nil {
		t.Fatal(err)
	}
}
