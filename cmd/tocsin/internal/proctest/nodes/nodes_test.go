// Package nodes_test does the same to nodes that share a Redis, and moves a folder there.
package nodes_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// frozenTime bounds, on a machine that is busy with other tests, how long the work of a
// node that is gone waits; contracts.md §9 has 15 s for it.
const frozenTime = 60 * time.Second

// startNodes starts nodes of one issuer on one Redis.
func startNodes(t *testing.T, redis string, n int, args ...string) []*proctest.Server {
	t.Helper()
	nodes := make([]*proctest.Server, n)
	for i := range nodes {
		all := append([]string{"--redis", redis, "--algorithm", "ES256", "--log-level", "error"}, args...)
		if i > 0 {
			all = append(all, "--issuer", nodes[0].Issuer)
		}
		nodes[i] = proctest.New(t, all...)
		if err := nodes[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

// contracts.md §9: whichever nodes are killed, one after the other, every accepted event
// is delivered, in order per subject, no event under two jtis, and what was acknowledged
// does not come back.
func TestNodesKilled(t *testing.T) {
	each, rounds := 5, 3
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		each, rounds = 25, 30
	}
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 3, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s")
	s := storm.OnNodes(t, nodes, each, each)
	s.Run(t, func() {
		for i := range rounds {
			proctest.Pause(time.Second)
			node := nodes[i%len(nodes)]
			node.Kill()
			proctest.Pause(500 * time.Millisecond)
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A node that is frozen past its leases is replaced; woken, none of what it writes
// counts, and what it had taken was delivered under the same jtis.
func TestNodeFrozen(t *testing.T) {
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 2, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s")
	s := storm.OnNodes(t, nodes, 8, 2)
	s.Run(t, func() {
		proctest.Pause(time.Second)
		frozen := nodes[0].Process()
		if err := frozen.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.Ask(nodes[1:])
		early := s.Accepted()
		for late := 1; late > 0; {
			late = 0
			for _, r := range s.Receivers {
				for _, e := range s.Missing(r) {
					if slices.Contains(early, e) {
						late++
					}
				}
			}
			proctest.Pause(100 * time.Millisecond)
			if took := time.Since(began); took > frozenTime {
				t.Fatalf("%d deliveries were not taken over within %v", late, took)
			}
		}
		t.Logf("taken over within %v", time.Since(began))
		if err := frozen.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		s.Ask(nodes)
		proctest.Pause(3 * time.Second)
	})
}

// A stream that is created on one node gets the next event that another accepts, and a
// poll that waits on one is woken by an event on another.
func TestNodesWakeEachOther(t *testing.T) {
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 2)
	s := storm.OnNodes(t, nodes, 0, 1)
	r := s.Receivers[0]
	type polled struct {
		status int
		body   []byte
		err    error
		at     time.Time
	}
	for range 5 {
		got := make(chan polled, 1)
		go func() {
			status, body, err := nodes[0].Call(t.Context(), http.DefaultClient, http.MethodPost, r.Poll, r.Token, map[string]any{"maxEvents": 1})
			got <- polled{status, body, err, time.Now()}
		}()
		proctest.Pause(200 * time.Millisecond) // it waits by then; if not, the test is only easier
		began := time.Now()
		status, body, err := nodes[1].Call(t.Context(), http.DefaultClient, http.MethodPost, "/v1/events", s.Source, map[string]any{
			"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": "u@example.com"},
		})
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("POST /v1/events: got %d %s %v, want 202", status, body, err)
		}
		select {
		case p := <-got:
			answer, err := delivery.ParsePollResponse(p.body)
			if p.err != nil || p.status != http.StatusOK || err != nil || len(answer.Sets) != 1 {
				t.Fatalf("poll: got %d %s %v, want one SET", p.status, p.body, p.err)
			}
			t.Logf("woken %v after the event was sent", p.at.Sub(began))
			_, _, _ = nodes[1].Call(t.Context(), http.DefaultClient, http.MethodPost, r.Poll, r.Token,
				map[string]any{"ack": []string{s.Keep(r, answer.Sets[0].SET, 0)}, "maxEvents": 0})
		case <-time.After(frozenTime):
			t.Fatal("the poll was not woken")
		}
	}
}

// What one node accepted another finds, and goes on with a search that it began.
func TestNodesSearch(t *testing.T) {
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 2)
	token, err := nodes[0].Token(t.Context(), "source", "https://source.example", "events.write events.read")
	if err != nil {
		t.Fatal(err)
	}
	call := func(node int, method, path string, body any) map[string]any {
		t.Helper()
		status, raw, err := nodes[node].Call(t.Context(), http.DefaultClient, method, path, token, body)
		if err != nil || status/100 != 2 {
			t.Fatalf("%s %s on node %d: got %d %s %v, want 2xx", method, path, node, status, raw, err)
		}
		var answer map[string]any
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	sent := map[any]bool{}
	for i := range 6 {
		sent[call(i%2, http.MethodPost, "/v1/events", map[string]any{
			"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": "u@example.com"},
		})["id"]] = true
	}
	found := map[any]bool{}
	path := "/v1/events?limit=2"
	for i := 0; path != ""; i++ {
		page := call(i%2, http.MethodGet, path, nil)
		events, _ := page["events"].([]any)
		for _, event := range events {
			e, _ := event.(map[string]any)
			found[e["id"]] = true
		}
		path = ""
		if cursor, ok := page["cursor"].(string); ok {
			path = "/v1/events?limit=2&cursor=" + url.QueryEscape(cursor)
		}
	}
	if !maps.Equal(found, sent) {
		t.Errorf("got %d events, want the %d that were sent", len(found), len(sent))
	}
}

// While Redis is away events are answered 503 with Retry-After; when it is back all goes
// on by itself.
func TestNodesOutliveRedis(t *testing.T) {
	away := 3 * time.Second
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		away = 30 * time.Second
	}
	server := redistest.StartDurable(t)
	nodes := startNodes(t, "redis://"+server.Addr, 2, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s")
	s := storm.OnNodes(t, nodes, 2, 2)
	s.Run(t, func() {
		proctest.Pause(time.Second)
		server.Stop()
		proctest.Pause(away)
		for i, node := range nodes {
			status, body, err := node.Call(t.Context(), &http.Client{Timeout: 20 * time.Second}, http.MethodPost, "/v1/events", s.Source, map[string]any{
				"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": "u@example.com"},
			})
			if err != nil || status != http.StatusServiceUnavailable {
				t.Errorf("POST /v1/events to node %d while Redis is away: got %d %s %v, want 503", i, status, body, err)
			}
		}
		server.Restart(t)
		proctest.Pause(2 * time.Second)
	})
}
