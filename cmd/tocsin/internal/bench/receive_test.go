package bench_test

import (
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
)

// A receiver process takes the SETs that a load process signs and pushes, each once,
// and looks for its keys once.
func TestReceiver(t *testing.T) {
	load, rec := start(t, bench.RoleLoad), start(t, bench.RoleReceiver)
	var issuer, url string
	load.call("mint", map[string]any{"algorithm": "EdDSA", "sets": 60}, &issuer)
	rec.call("open", map[string]any{"dir": filepath.Join(t.TempDir(), "data"), "issuer": issuer, "algorithm": "EdDSA", "run": true}, nil)
	rec.call("url", nil, &url)
	for _, path := range []string{"/bare", "/receive"} {
		var rate float64
		load.call("push", map[string]any{"url": url + path, "sets": 30, "senders": 4}, &rate)
		if rate <= 0 {
			t.Errorf("%s: got %v a second, want a rate", path, rate)
		}
	}
	handled := 0
	for handled < 30 {
		rec.call("handled", nil, &handled)
	}
	fetches := 0
	load.call("fetches", nil, &fetches)
	if handled != 30 || fetches != 1 {
		t.Errorf("got %d events at the hooks and %d fetches of keys, want 30 and 1", handled, fetches)
	}
	if err := load.ask("push", map[string]any{"url": url + "/receive", "sets": 1, "senders": 1}, nil); err == "" {
		t.Error("more SETs than were made: got no error, want one")
	}
}

// Without HTTP a receiver process makes its own SETs and measures each once.
func TestReceiverAccept(t *testing.T) {
	rec := start(t, bench.RoleReceiver)
	rec.call("open", map[string]any{"dir": filepath.Join(t.TempDir(), "data"), "algorithm": "RS256"}, nil)
	for range 2 {
		var got bench.Round
		rec.call("accept", map[string]any{"workers": 8, "sets": 50}, &got)
		if got.Value <= 0 || got.Floor <= 0 {
			t.Errorf("got %+v, want the CPU time of both", got)
		}
	}
}

// What is measured at the gate are refusals, and the way to them is walked to its end.
func TestGate(t *testing.T) {
	if got := bench.Gate(t, 100); got != 100 {
		t.Errorf("got %d users refused, want 100", got)
	}
	if r := bench.CloseRound(t, 5); r.Value <= 0 || r.Floor <= 0 || r.Value < 1 {
		t.Errorf("got %+v, want both times", r)
	}
}
