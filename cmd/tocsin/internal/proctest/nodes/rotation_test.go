package nodes_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Of two nodes one rotates the signing key by the schedule, once: it publishes the next key,
// which both do then, and when that node is killed the other goes on where it was. Each step
// is an act of the node that did it, and the node that comes back does nothing again.
func TestNodesRotateOnce(t *testing.T) {
	t.Parallel()
	server := redistest.StartDurable(t)
	nodes := startNodes(t, "redis://"+server.Addr, 2, "--rotate-every", "24h", "--rotate-ahead", "1h")
	names := map[string]int{}
	for i, node := range nodes {
		raw, err := os.ReadFile(filepath.Join(node.Dir, "node"))
		if err != nil {
			t.Fatal(err)
		}
		names["node:"+strings.TrimSpace(string(raw))] = i
	}
	first := keysOf(t, nodes[0])[0].ID
	stop := func(list ...*proctest.Server) {
		for _, node := range list {
			node.Kill()
		}
	}
	start := func(list ...*proctest.Server) {
		for _, node := range list {
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}

	stop(nodes...)
	age(t, server.Client(t), first)
	start(nodes...)
	by, next := rotated(t, nodes[0], "key.announce")
	holder := names[by]
	for _, node := range nodes {
		proctest.Eventually(t, "both keys at each node", func() bool {
			list := keysOf(t, node)
			return len(list) == 2 && list[0].ID == first && list[0].Current && list[1].ID == next && list[1].Next
		})
		status, set, err := node.Call(t.Context(), http.DefaultClient, http.MethodGet, "/jwks.json", "", nil)
		if err != nil || status != http.StatusOK || !strings.Contains(string(set), next) || !strings.Contains(string(set), first) {
			t.Errorf("got %d %s (%v), want both keys published", status, set, err)
		}
	}

	stop(nodes...)
	age(t, server.Client(t), next)
	other := nodes[1-holder]
	start(other)
	by, signs := rotated(t, other, "key.rotate")
	if names[by] != 1-holder || signs != next {
		t.Errorf("got %s rotated to %s, want the node that is left to rotate to %s", by, signs, next)
	}
	start(nodes[holder])
	for _, node := range nodes {
		proctest.Eventually(t, "one rotation at each node", func() bool {
			list := keysOf(t, node)
			return len(list) == 2 && list[0].ID == next && list[0].Current && list[1].ID == first
		})
	}
	if got := actsOf(t, other, "key"); len(got) != 2 {
		t.Errorf("got the acts %v, want one key published and one rotation", got)
	}
}

// age makes a key older by more than a day.
func age(t *testing.T, client redis.UniversalClient, kid string) {
	t.Helper()
	const keys = "tocsin:{admin}:keys"
	raw, err := client.HGet(t.Context(), keys, kid).Result()
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &kept); err != nil {
		t.Fatal(err)
	}
	kept["created_ms"] = fmt.Append(nil, time.Now().Add(-25*time.Hour).UnixMilli())
	changed, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), keys, kid, changed).Err(); err != nil {
		t.Fatal(err)
	}
}

type signingKey struct {
	ID      string `json:"kid"`
	Current bool   `json:"current"`
	Next    bool   `json:"next"`
}

func keysOf(t *testing.T, node *proctest.Server) (list []signingKey) {
	t.Helper()
	command(t, node, &list, "key", "list")
	return list
}

type nodeAct struct {
	Act     string            `json:"act"`
	Outcome string            `json:"outcome"`
	Objects map[string]string `json:"objects"`
	By      struct {
		Node string `json:"node"`
	} `json:"by"`
}

// actsOf returns the acts of nodes whose name begins with a word.
func actsOf(t *testing.T, node *proctest.Server, word string) (found []nodeAct) {
	t.Helper()
	var all []nodeAct
	command(t, node, &all, "audit")
	for _, a := range all {
		if a.By.Node != "" && strings.HasPrefix(a.Act, word) {
			found = append(found, a)
		}
	}
	return found
}

func command(t *testing.T, node *proctest.Server, to any, args ...string) {
	t.Helper()
	out, err := node.Command(t.Context(), append(args, "--json", "--data", node.Dir)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, to); err != nil {
		t.Fatalf("%v: got %s (%v)", args, out, err)
	}
}

// rotated waits for a step of the schedule and returns who did it to which key.
func rotated(t *testing.T, node *proctest.Server, step string) (by, kid string) {
	t.Helper()
	proctest.Eventually(t, step, func() bool {
		found := actsOf(t, node, step)
		if len(found) == 0 || found[0].Outcome != "done" {
			return false
		}
		by, kid = "node:"+found[0].By.Node, found[0].Objects["key"]
		return true
	})
	return by, kid
}
