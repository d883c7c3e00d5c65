package servers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// heldEvents make a release, and a replay, of three transactions.
const heldEvents = 1100

// A release, and a replay, that a kill -9 interrupts ends with one SET for
// each event, in the order of the log and before what came later.
func TestKilledRelease(t *testing.T) {
	s := proctest.New(t, "--log-level", "error", "--algorithm", "EdDSA")
	start := func(env ...string) {
		t.Helper()
		if err := s.Start(env...); err != nil {
			t.Fatal(err)
		}
	}
	start()
	token, err := s.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read events.write consents.manage")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute}
	call := func(method, path string, body any, into any) {
		t.Helper()
		status, got, err := s.Call(t.Context(), client, method, path, token, body)
		if err != nil || status >= 300 {
			t.Fatalf("%s %s: got %d %.200s %v", method, path, status, got, err)
		}
		if into == nil {
			return
		}
		if err := json.Unmarshal(got, into); err != nil {
			t.Fatal(err)
		}
	}
	emit := func(n int) (ids []string) {
		t.Helper()
		for len(ids) < n {
			var list []any
			for range min(600, n-len(ids)) {
				list = append(list, map[string]any{"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": "jo@example.com"}})
			}
			var done struct{ Results []struct{ ID string } }
			call(http.MethodPost, "/v1/events", list, &done)
			for _, r := range done.Results {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	var made struct {
		ID string `json:"stream_id"`
	}
	call(http.MethodPost, "/ssf/streams", map[string]any{
		"delivery": map[string]string{"method": delivery.MethodPoll}, "events_requested": []string{caep.SessionRevokedType},
	}, &made)
	call(http.MethodPut, "/v1/consents/gate", map[string]any{"enabled": true}, nil)
	// drain polls until all came, and returns their events; no jti comes twice.
	jtis := map[string]bool{}
	drain := func(n int) (txns []string) {
		t.Helper()
		ack := []string{}
		deadline := time.Now().Add(4 * proctest.Patience)
		for (len(txns) < n || len(ack) > 0) && time.Now().Before(deadline) {
			status, body, err := s.Call(t.Context(), client, http.MethodPost, "/ssf/poll/"+made.ID, token,
				map[string]any{"maxEvents": 500, "returnImmediately": true, "ack": ack})
			if err != nil || status != http.StatusOK {
				t.Fatalf("poll: got %d %v", status, err)
			}
			answer, err := delivery.ParsePollResponse(body)
			if err != nil {
				t.Fatal(err)
			}
			ack = []string{}
			for _, one := range answer.Sets {
				parsed, err := set.Parse([]byte(one.SET))
				if err != nil {
					t.Fatal(err)
				}
				if jtis[one.ID] {
					t.Errorf("%s came twice", one.ID)
				}
				jtis[one.ID] = true
				ack, txns = append(ack, one.ID), append(txns, parsed.TransactionID)
			}
		}
		return txns
	}
	decide := func(word, id string) map[string]any {
		return map[string]any{"decision": word, "source_id": id, "subject": map[string]string{"format": "email", "email": "jo@example.com"}}
	}
	var last []string // the events of the last round
	var from time.Time
	for round, point := range []string{"fanout.before-release-put:2", "fanout.after-release-put:1", "fanout.after-release-put:3"} {
		from = time.Now().Add(-time.Millisecond)
		want := emit(heldEvents)
		s.Kill()
		start("TOCSIN_CRASH_POINT=" + point)
		grant := decide("grant", fmt.Sprint("grant-", round))
		// The answer may not come: the grant is known by its source_id.
		_, _, _ = s.Call(t.Context(), client, http.MethodPost, "/v1/consents", token, grant)
		s.Crashed(t, point)
		start()
		call(http.MethodPost, "/v1/consents", grant, nil)
		want = append(want, emit(1)...)
		if got := drain(len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: got %d SETs, want %d, each event's one in its order", point, len(got), len(want))
		}
		call(http.MethodPost, "/v1/consents", decide("revoke", fmt.Sprint("revoke-", round)), nil)
		last = want
	}
	for _, point := range []string{"fanout.before-replay-put:2", "fanout.after-replay-put:1"} {
		// The fan-out saves its place when the log is quiet: else it carries out
		// the replay before again, and comes to the crash point with that one.
		proctest.Pause(3 * time.Second)
		s.Kill()
		start("TOCSIN_CRASH_POINT=" + point)
		path := "/v1/streams/" + made.ID + "/replay"
		// Where the fan-out's place was not saved before the kill, the earlier
		// order is carried out once more: 409. The answer to the order itself
		// may not come.
		for deadline := time.Now().Add(proctest.Patience); ; proctest.Pause(50 * time.Millisecond) {
			status, body, err := s.Call(t.Context(), client, http.MethodPost, path, token, map[string]any{"from": from})
			if err != nil || status == http.StatusAccepted {
				break
			}
			if status != http.StatusConflict || time.Now().After(deadline) {
				t.Fatalf("replay: got %d %s", status, body)
			}
		}
		s.Crashed(t, point)
		start()
		if got := drain(len(last)); !slices.Equal(got, last) {
			t.Errorf("%s: got %d SETs, want %d, each event's one in its order", point, len(got), len(last))
		}
	}
}
