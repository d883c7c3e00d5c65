package simulate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// plain are costs that are easy to reckon with by hand.
func plain() *simulate.Costs {
	return &simulate.Costs{
		Node:  simulate.NodeCosts{Event: 100, Push: 100, Sign: map[string]float64{"EdDSA": 50, "RS256": 1000, "ES256": 50}},
		Redis: simulate.RedisCosts{Append: 20, MatchCall: 1, Put: 10, Take: 5, Settle: 5},
	}
}

// one is a scenario in which an event is one SET and nothing but CPU gives out.
func one() simulate.Scenario {
	s := simulate.Default()
	s.Parties, s.Push, s.Matches, s.Nodes, s.Cores, s.Algorithm = 1000, 1, 1, 2, 1, "EdDSA"
	return s
}

func use(t *testing.T, row simulate.Row, resource string) float64 {
	t.Helper()
	for _, u := range row.Uses {
		if u.Resource == resource {
			return u.Share
		}
	}
	t.Fatalf("got no %q, want it: %+v", resource, row.Uses)
	return 0
}

func near(got, want, within float64) bool { return math.Abs(got-want) <= within*math.Abs(want) }

// What an event asks of each resource, reckoned by hand.
func TestByHand(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*simulate.Costs, *simulate.Scenario)
		rate   float64
		of     string
		want   float64
	}{
		// 100 taken in, 100 put and pushed, 50 signed; two cores.
		{"a SET", func(*simulate.Costs, *simulate.Scenario) {}, 1000, "node CPU", 1000 * 250e-6 / 2},
		{"three SETs of an event", func(_ *simulate.Costs, s *simulate.Scenario) { s.Matches = 3 }, 1000, "node CPU", 1000 * (100 + 3*150) * 1e-6 / 2},
		{"a tenth of a thousand streams", func(_ *simulate.Costs, s *simulate.Scenario) { s.Share = 0.1 }, 10, "node CPU", 10 * (100 + 100*150) * 1e-6 / 2},
		// 20 appended, 1 in each of 16 partitions for a batch, of one at this rate, 10 put, 10 taken and settled.
		{"all on one server", func(*simulate.Costs, *simulate.Scenario) {}, 500, "Redis CPU (server of the log)", 500 * (20 + 16 + 20) * 1e-6},
		{"the log's own server", func(_ *simulate.Costs, s *simulate.Scenario) { s.Masters, s.LogAlone = 3, true }, 1000, "Redis CPU (server of the log)", 1000 * 20e-6},
		{"half of the partitions", func(_ *simulate.Costs, s *simulate.Scenario) { s.Masters, s.LogAlone = 3, true }, 500, "Redis CPU (busiest other server)", 500 * 36e-6 / 2},
		// 40,000 streams and 3,960,000 subjects, of which two nodes have all in memory, and one half.
		{"subjects in memory", func(c *simulate.Costs, s *simulate.Scenario) { c.Redis.Match, s.Parties, s.Subjects = 50, 40_000, 99 }, 1, "Redis CPU (server of the log)", (20 + 16 + 20) * 1e-6},
		{"subjects beyond the index", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Redis.Match, s.Parties, s.Subjects, s.Nodes = 50, 40_000, 99, 1
		}, 1, "Redis CPU (server of the log)", (20 + 16 + 8*50 + 20) * 1e-6},
		// 1 event/s of 1,000 streams: 1 SET in 1,000 s of each, so exp(-0.09) of the connections are closed.
		{"connections that are not kept", func(c *simulate.Costs, s *simulate.Scenario) { c.Node.Handshake = 1000 }, 1, "node CPU", (250 + 1000*math.Exp(-0.09)) * 1e-6 / 2},
		// 1,000 polls wait 30 s each: 33.3 polls a second; half of what a node has.
		{"polls that wait", func(c *simulate.Costs, s *simulate.Scenario) { c.Node.Poll, s.Push = 300, 0 }, 1e-9, "node CPU", 1000.0 / 30 * 300e-6 / 2},
		// Each of 1,000 costs 10 µs a second, on two cores.
		{"what waits for polls", func(c *simulate.Costs, s *simulate.Scenario) { c.Node.Wait, s.Push = 10, 0 }, 1e-9, "node CPU", 1000 * 10e-6 / 2},
		{"what waits for polls, in Redis", func(c *simulate.Costs, s *simulate.Scenario) { c.Redis.Wait, s.Push = 10, 0 }, 1e-9, "Redis CPU (server of the log)", 1000 * 10e-6},
		{"sockets of polls", func(_ *simulate.Costs, s *simulate.Scenario) { s.Push, s.MaxSockets = 0, 1000 }, 1e-9, "connections of a node", 0.5},
		// A day of 10/s of 1 KiB is 843.75 MiB of 1 GiB; keys half a day of 1 KiB the half.
		{"what is kept", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Memory.Event, c.Memory.Key = 1024, 1024
			s.Keep, s.Keys, s.RedisGiB = 24*time.Hour, 12*time.Hour, 1
		}, 10, "Redis memory (server of the log)", 1.5 * 864000 / 1048576},
		// 1,000 streams of 1,024 bytes and 100 subjects of 1,024 each.
		{"streams and subjects", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Memory.Stream, c.Memory.Subject, s.RedisGiB = 1024, 1024, 1
		}, 1e-9, "Redis memory (server of the log)", 1000.0 * 101 / 1048576},
		// A hundredth of the SETs waits for an hour: 36 at one a second, of 1 MiB.
		{"receivers that are away", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Memory.SET, s.RedisGiB, s.Receiver = 1<<20, 1, time.Microsecond
		}, 1, "Redis memory (server of the log)", 36.0 / 1024},
		{"the wire", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Wire = simulate.WireCosts{Event: 1000, SET: 2000}
		}, 1000, "node network", 1000 * 3000.0 / 2 / 125e6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := plain(), one()
			tt.change(c, &s)
			s.Rate = tt.rate
			row, err := simulate.Run(c, s)
			if err != nil {
				t.Fatal(err)
			}
			if got := use(t, row, tt.of); !near(got, tt.want, 1e-6) {
				t.Errorf("got %v of %s, want %v", got, tt.of, tt.want)
			}
		})
	}
}

// What is bearable is where the first resource is at its limit: two cores do 8,000
// events of 250 µs, 70 % of them 5,600.
func TestBearable(t *testing.T) {
	row, err := simulate.Run(plain(), one())
	if err != nil {
		t.Fatal(err)
	}
	if !near(row.Bearable, 5600, 0.001) || row.First != "node CPU" {
		t.Errorf("got %v by %s, want 5600 by node CPU", row.Bearable, row.First)
	}
	if len(row.Steps) == 0 || row.Steps[0].Do != "4 nodes" || !near(row.Steps[0].Bearable, 11200, 0.001) {
		t.Errorf("got %+v, want twice as much by 4 nodes", row.Steps)
	}
}

// Each resource gives out first where the others have room, something is done about
// it, and that helps.
func TestFirst(t *testing.T) {
	for _, tt := range []struct {
		want, do string
		change   func(*simulate.Costs, *simulate.Scenario)
	}{
		{"node CPU", "ES256 in place of RS256, which signs 20 times as fast", func(_ *simulate.Costs, s *simulate.Scenario) { s.Algorithm = "RS256" }},
		{"Redis CPU (server of the log)", "a cluster of 3 masters", func(c *simulate.Costs, s *simulate.Scenario) { s.Cores = 100 }},
		{"Redis CPU (busiest other server)", "a cluster of 4 masters", func(c *simulate.Costs, s *simulate.Scenario) {
			s.Cores, s.Masters, s.LogAlone, c.Redis.Put = 100, 2, true, 100
		}},
		{"fan-out of a partition", "a round trip of 50ms", func(_ *simulate.Costs, s *simulate.Scenario) { s.RTT, s.Cores = 100*time.Millisecond, 100 }},
		{"Redis memory (server of the log)", "serve --retention 6h0m0s", func(c *simulate.Costs, _ *simulate.Scenario) { c.Memory.Event = 1e6 }},
		{"Redis memory (server of the log)", "64 GiB", func(c *simulate.Costs, _ *simulate.Scenario) { c.Memory.Key = 1e5 }},
		{"Redis memory (server of the log)", "a cluster of 3 masters", func(c *simulate.Costs, _ *simulate.Scenario) { c.Memory.SET = 1e6 }},
		{"Redis memory (fullest other server)", "a cluster of 4 masters", func(c *simulate.Costs, s *simulate.Scenario) {
			c.Memory.SET, s.Masters, s.LogAlone = 1e6, 2, true
		}},
		{"node memory", "4 nodes", func(c *simulate.Costs, _ *simulate.Scenario) { c.Memory.Conn = 1e8 }},
		{"connections of a node", "4 nodes", func(_ *simulate.Costs, s *simulate.Scenario) { s.Push, s.MaxSockets = 0, 600 }},
		{"node network", "4 nodes", func(c *simulate.Costs, _ *simulate.Scenario) { c.Wire.SET = 1e6 }},
		{"Redis network", "a cluster of 3 masters", func(c *simulate.Costs, _ *simulate.Scenario) { c.Wire.RedisSET = 1e6; c.Wire.Event = 0 }},
	} {
		t.Run(tt.want, func(t *testing.T) {
			c, s := plain(), one()
			tt.change(c, &s)
			row, err := simulate.Run(c, s)
			if err != nil {
				t.Fatal(err)
			}
			if row.First != tt.want || len(row.Steps) == 0 || !strings.Contains(row.Steps[0].Do, tt.do) {
				t.Fatalf("got %s, %+v, want %s and %q", row.First, row.Steps, tt.want, tt.do)
			}
			if row.Steps[0].Bearable <= row.Bearable {
				t.Errorf("got %v events a second after %q, want more than %v", row.Steps[0].Bearable, row.Steps[0].Do, row.Bearable)
			}
		})
	}
}

// Remedies end when the wanted rate is borne, and where nothing more can be done.
func TestStepsEnd(t *testing.T) {
	s := one()
	s.Rate = 10_000
	row, err := simulate.Run(plain(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(row.Steps) != 1 || row.Steps[0].Bearable < s.Rate || row.P99 != 0 {
		t.Errorf("got %+v and p99 %v, want one step to 10,000 events a second, and no delay of what cannot be borne", row.Steps, row.P99)
	}
	s = one()
	s.Masters, s.LogAlone, s.Cores = 17, true, 1000
	if row, err = simulate.Run(plain(), s); err != nil {
		t.Fatal(err)
	}
	if len(row.Steps) != 1 || row.Steps[0].Bearable != row.Bearable || !strings.Contains(row.Steps[0].Do, "several issuers") {
		t.Errorf("got %s, %+v, want one step that tells of the end", row.First, row.Steps)
	}
}

// The same in, the same out.
func TestDeterministic(t *testing.T) {
	c, err := simulate.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	first, err := simulate.Run(c, simulate.Default())
	if err != nil {
		t.Fatal(err)
	}
	again, err := simulate.Run(c, simulate.Default())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) || first.P99 <= first.P50 || first.P50 <= 0 {
		t.Errorf("got\n%+v and\n%+v, want the same twice, with delays", first, again)
	}
}

func TestScenarioRefused(t *testing.T) {
	s := one()
	s.Parties, s.Push, s.RTT, s.Algorithm, s.Keep = 0, 1.5, 0, "none", -time.Second
	_, err := simulate.Run(plain(), s)
	if !errors.Is(err, simulate.ErrScenario) {
		t.Fatalf("got %v, want ErrScenario", err)
	}
	for _, want := range []string{"parties", "push", "rtt", "algorithm", "keep"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}

func TestCostsRefused(t *testing.T) {
	good, err := json.Marshal(plain())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := simulate.Read(bytes.NewReader(good)); err != nil {
		t.Errorf("got %v, want what was written to be read", err)
	}
	for _, tt := range []struct{ raw, want string }{
		{`{"node_us":{"evnt":1}}`, "evnt"},
		{strings.Replace(string(good), `"put":10`, `"put":-10`, 1), "put: got -10"},
		{strings.Replace(string(good), `"RS256":1000`, `"RS256":0`, 1), "RS256"},
		{`{}`, "required"},
		{`[`, "EOF"},
	} {
		if _, err := simulate.Read(strings.NewReader(tt.raw)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.raw, err, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	c, err := simulate.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	row, err := simulate.Run(c, simulate.Default())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&simulate.Report{Costs: c, Rows: []simulate.Row{row}}).Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FIRST TO GIVE OUT", row.First, row.Steps[0].Do, c.Measured, "1000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got a table without %q, want it:\n%s", want, &out)
		}
	}
}
