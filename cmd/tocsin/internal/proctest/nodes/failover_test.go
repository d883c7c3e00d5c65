package nodes_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Failover of a replicated Redis in mid-load: with a replica that is waited for, nothing
// that was answered 202 is lost, and all goes on by itself.
func TestNodesFailover(t *testing.T) {
	redis := redistest.StartSentinel(t)
	nodes := startNodes(t, redis.URL(), 2, "--redis-replicas", "1", "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s")
	s := storm.OnNodes(t, nodes, 2, 2)
	s.Run(t, func() {
		proctest.Pause(time.Second)
		before := redis.Master(t)
		early := len(s.Accepted())
		before.Stop()
		redis.WaitMaster(t, before)
		for end := time.Now().Add(frozenTime); len(s.Accepted()) < early+50; proctest.Pause(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("got %d events accepted after the failover, want 50", len(s.Accepted())-early)
			}
		}
	})
}

// When a replica that lagged behind is elected, what is lost is found out and told: no
// node goes on as if nothing was missing, and none starts.
func TestNodesFindLoss(t *testing.T) {
	redis := redistest.StartSentinel(t)
	nodes := startNodes(t, redis.URL(), 2, "--redis-volatile")
	source, err := nodes[0].Token(t.Context(), "source", "https://source.example", "events.write ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	emit := func(node *proctest.Server, n int) int {
		status, _, err := node.Call(t.Context(), &http.Client{Timeout: 20 * time.Second}, http.MethodPost, "/v1/events", source, map[string]any{
			"source_id": fmt.Sprint(n), "type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": "u@example.com"},
		})
		if err != nil {
			return 0
		}
		return status
	}
	accepted := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			if status := emit(nodes[n%2], n); status != http.StatusAccepted {
				t.Fatalf("event %d: got %d, want 202", n, status)
			}
		}
	}
	accepted(0, 10)
	proctest.Pause(2 * time.Second) // the head is signed, and the replicas have it
	master, replicas := redis.Master(t), redis.Replicas(t)
	for _, replica := range replicas {
		replica.Pause(t)
	}
	if err := master.Client(t).Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	accepted(10, 20) // which no replica gets
	proctest.Pause(2 * time.Second)
	master.Stop()
	for _, replica := range replicas {
		replica.Resume(t)
	}
	redis.WaitMaster(t, master)
	for i, node := range nodes {
		// It has reached the new master: what it reads there it gets.
		for end := time.Now().Add(frozenTime); ; proctest.Pause(100 * time.Millisecond) {
			status, body, err := node.Call(t.Context(), http.DefaultClient, http.MethodGet, "/ssf/streams", source, nil)
			if err == nil && status == http.StatusOK {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("GET /ssf/streams of node %d: got %d %s %v, want 200", i, status, body, err)
			}
		}
		for n := range 5 {
			if status := emit(node, 100+10*i+n); status != http.StatusServiceUnavailable {
				t.Errorf("an event to node %d: got %d, want 503", i, status)
			}
		}
		if status, body, err := get(t, "http://"+node.Admin+"/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("/readyz of node %d: got %d %s %v, want 503", i, status, body, err)
		}
	}
	nodes[0].Kill()
	if err := nodes[0].Start(); err == nil {
		t.Error("a node that had seen more started on what is left of the log")
	}
}

// get returns status and body of a page.
func get(t *testing.T, url string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body := make([]byte, 1<<10)
	n, _ := resp.Body.Read(body)
	return resp.StatusCode, string(body[:n]), nil
}
