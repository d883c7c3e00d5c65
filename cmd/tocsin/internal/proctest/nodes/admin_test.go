package nodes_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// What is done at one node holds at the other with its next answer: clients are added and
// end, the signing key is another, and a search goes on where it began elsewhere.
func TestNodesAreOne(t *testing.T) {
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 2)
	a, b := nodes[0], nodes[1]
	ctx := t.Context()
	call := func(s *proctest.Server, method, path, token string, body any, want int) []byte {
		t.Helper()
		status, answer, err := s.Call(ctx, http.DefaultClient, method, path, token, body)
		if err != nil || status != want {
			t.Fatalf("%s %s: got %d %s (%v), want %d", method, path, status, answer, err, want)
		}
		return answer
	}
	token, err := a.Token(ctx, "app", "https://app.example", "events.write events.read")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		call(b, http.MethodPost, "/v1/events", token, map[string]any{
			"type": caep.SessionRevokedType, "source_id": fmt.Sprint("e", i), "subject": map[string]string{"format": "email", "email": "u@example.com"},
		}, http.StatusAccepted)
	}

	var found []string
	cursor := ""
	for page := range 3 {
		query := url.Values{"limit": {"2"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var got struct {
			Events []struct {
				ID string `json:"id"`
			} `json:"events"`
			Cursor string `json:"cursor"`
		}
		answer := call(nodes[page%2], http.MethodGet, "/v1/events?"+query.Encode(), token, nil, http.StatusOK)
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Events {
			found = append(found, e.ID)
		}
		cursor = got.Cursor
	}
	if slices.Sort(found); len(slices.Compact(found)) != 5 || cursor != "" {
		t.Errorf("got %q and cursor %q from pages of both nodes, want five events", found, cursor)
	}

	out, err := a.Command(ctx, "key", "rotate", "--data", a.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var rotated struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(out, &rotated); err != nil || rotated.ID == "" {
		t.Fatalf("rotate: got %s (%v), want a kid", out, err)
	}
	if set := call(b, http.MethodGet, "/jwks.json", "", nil, http.StatusOK); !strings.Contains(string(set), rotated.ID) {
		t.Errorf("got keys %s at the other node, want the new one %s", set, rotated.ID)
	}
	if _, err := b.Command(ctx, "client", "remove", "--data", b.Dir, "app"); err != nil {
		t.Fatal(err)
	}
	call(a, http.MethodGet, "/v1/events", token, nil, http.StatusUnauthorized)

	// Without its server and without --redis nothing is made in the folder.
	b.Kill()
	if out, err := b.Command(ctx, "key", "list", "--data", b.Dir); err == nil || !strings.Contains(err.Error(), "--redis") {
		t.Errorf("of a node that is gone: got %s (%v), want --redis asked for", out, err)
	}
	if err := b.Start(); err != nil {
		t.Errorf("started again: got %v, want no error", err)
	}
}
