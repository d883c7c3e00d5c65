package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// What bench prints as JSON is a contract; what it measures is no test.
func TestBenchJSON(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), proctest.Binary(t), "bench", "--only", "verify-rs256", "--quick", "--json", "--dir", t.TempDir()).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine map[string]any `json:"machine"`
		Results []struct {
			Name          string
			Value, Target float64
			Unit          string
			Floor, Ratio  float64
			Holds         *bool
			Rounds        []any
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("got %s, want JSON: %v", out, err)
	}
	if len(got.Results) != 2 || got.Machine["cpus"] == nil {
		t.Fatalf("got %s, want the machine and two results", out)
	}
	r := got.Results[0]
	if r.Name != "verify-rs256" || r.Value <= 0 || r.Floor <= 0 || r.Ratio <= 0 || r.Target != 1.6 || r.Holds == nil || len(r.Rounds) != 5 {
		t.Errorf("got %+v, want verify-rs256 with its floor, ratio, target and five rounds", r)
	}
}

// What the log does without a server is measured in a process of its own, and
// nothing is left of it.
func TestBenchAppend(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), proctest.Binary(t), "bench", "--only", "append", "--quick", "--json", "--dir", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []struct {
			Name                        string
			Value, Floor, Ratio, Target float64
			AtLeast                     bool `json:"at_least"`
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("got %s, want JSON: %v", out, err)
	}
	if len(got.Results) != 1 {
		t.Fatalf("got %s, want one result", out)
	}
	if r := got.Results[0]; r.Name != "append" || r.Value <= 0 || r.Floor <= r.Value || r.Target != 0.3 || !r.AtLeast {
		t.Errorf("got %+v, want append below its floor, with its target", r)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("got %v and %v, want nothing left", left, err)
	}
}

// The memory of streams and subjects in a Redis of its own, and nothing is left of it.
func TestBenchRedis(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED, not tested: redis-server is not installed (Debian package redis-server)")
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), proctest.Binary(t), "bench", "--redis", "start", "--only", "redis-state", "--quick", "--json", "--dir", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []struct {
			Name          string
			Value, Target float64
			Holds         bool
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("got %s, want JSON: %v", out, err)
	}
	if len(got.Results) != 2 || got.Results[0].Name != "redis-state-stream" || got.Results[0].Value < 100 || got.Results[1].Value < 50 {
		t.Errorf("got %+v, want the bytes of a stream and of a subject", got.Results)
	}
	for _, r := range got.Results {
		if !r.Holds {
			t.Errorf("%s: got %v bytes, want at most %v", r.Name, r.Value, r.Target)
		}
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("got %v and %v, want nothing left", left, err)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{{"bench", "--only", "nonsense"}, {"bench", "--quick", "--full"}, {"bench", "receive", "--only", "append"}, {"bench", "send"}, {"bench", "--only", "redis-push"}, {"bench", "--costs", "f"}, {"bench", "simulate", "--parties", "0"}, {"bench", "simulate", "--algorithm", "none"}} {
		err := exec.CommandContext(t.Context(), proctest.Binary(t), args...).Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("tocsin %v: got %v, want exit code 2", args, err)
		}
	}
}
