// Package simulate says how far several transmitters on Redis go: how many
// events a second a number of relying parties can be told of, what gives out
// first, what is done about it, and how far that goes.
//
// It knows two things: unit costs that were measured (Costs), and what an event
// does on its way (docs/architecture.md §1). From them it sums up what an event
// asks of each resource, finds the rate at which the first of them is as busy as
// it may be, and lets events run through the same resources one by one, in time
// of its own, to see how long they take. There is no chance in it that is not
// seeded: the same numbers in give the same numbers out.
package simulate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Scenario is what is to be simulated. A field's zero value is no default: begin
// with [Default].
type Scenario struct {
	Parties int `json:"parties"` // relying parties, each with one stream
	// Push is the share of them that is pushed to; the others have a long poll open.
	Push float64 `json:"push"`
	// Subjects are registered by each party; 0: its stream takes all subjects.
	Subjects int `json:"subjects"`
	// Matches is how many streams an event goes to, on average. Share, if it is
	// not 0, takes its place: it is the share of the streams.
	Matches float64 `json:"matches"`
	Share   float64 `json:"share,omitempty"`
	// Rate is the events a second that come; 0: as many as can be borne.
	Rate float64 `json:"rate,omitempty"`

	Nodes     int    `json:"nodes"`
	Cores     int    `json:"cores"` // of a node
	Algorithm string `json:"algorithm"`
	Masters   int    `json:"masters"` // Redis servers that share the slots
	// LogAlone gives the slot of the log a server of its own, where there is more
	// than one, and spreads the partitions evenly over the others. Otherwise slots
	// lie where a cluster in equal ranges has them.
	LogAlone bool `json:"log_alone,omitempty"`
	// Replicas that each write waits for; they cost another round trip.
	Replicas int           `json:"replicas"`
	RTT      time.Duration `json:"rtt"`      // between a node and Redis, and to a replica
	Receiver time.Duration `json:"receiver"` // what a relying party takes to answer, with its network

	Keep       time.Duration `json:"keep"`      // how long events stay in Redis
	Keys       time.Duration `json:"keys"`      // how long sources' ids of events are known again
	Away       float64       `json:"away"`      // share of the streams whose receivers are away,
	Outage     time.Duration `json:"outage"`    // and for how long their SETs have waited
	RedisGiB   float64       `json:"redis_gib"` // memory of a master
	NodeGiB    float64       `json:"node_gib"`  // memory of a node
	NodeGbit   float64       `json:"node_gbit"` // network of a node, and of a master
	MaxSockets int           `json:"max_sockets"`
	LongPoll   time.Duration `json:"long_poll"` // how long a poll waits before it is answered without SETs
	IdleConn   time.Duration `json:"idle_conn"` // how long a connection to a receiver is kept
}

// Default returns a small cluster: three nodes of four cores, one Redis with a
// replica in the same place. An account is known at three relying parties.
func Default() Scenario {
	return Scenario{
		Parties: 1000, Push: 0.5, Subjects: 100, Matches: 3,
		Nodes: 3, Cores: 4, Algorithm: "RS256", Masters: 1, Replicas: 1,
		RTT: 500 * time.Microsecond, Receiver: 40 * time.Millisecond,
		Keep: 24 * time.Hour, Keys: 720 * time.Hour, Away: 0.01, Outage: time.Hour,
		RedisGiB: 32, NodeGiB: 16, NodeGbit: 1, MaxSockets: 50_000,
		LongPoll: 30 * time.Second, IdleConn: 90 * time.Second,
	}
}

// ErrScenario says that a scenario cannot be simulated.
var ErrScenario = errors.New("simulate")

// Bounds of a scenario: a simulation is to end.
const (
	maxParties = 10_000_000
	maxServers = 1000
)

// check names what of the scenario is out of bounds.
func (s Scenario) check(c *Costs) error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("%w: %s: got %v, want %v to %v", ErrScenario, name, v, low, high))
		}
	}
	within("parties", float64(s.Parties), 1, maxParties)
	within("push", s.Push, 0, 1)
	within("subjects", float64(s.Subjects), 0, maxParties)
	within("matches", s.Matches, 0, maxParties)
	within("share", s.Share, 0, 1)
	within("rate", s.Rate, 0, 1e9)
	within("nodes", float64(s.Nodes), 1, maxServers)
	within("cores", float64(s.Cores), 1, maxServers)
	within("masters", float64(s.Masters), 1, maxServers)
	within("replicas", float64(s.Replicas), 0, 16)
	within("away", s.Away, 0, 1)
	within("redis-gib", s.RedisGiB, 0.1, 1e6)
	within("node-gib", s.NodeGiB, 0.1, 1e6)
	within("node-gbit", s.NodeGbit, 0.001, 1e6)
	within("max-sockets", float64(s.MaxSockets), 1, 1e9)
	for name, d := range map[string]time.Duration{"rtt": s.RTT, "receiver": s.Receiver, "long-poll": s.LongPoll, "idle-conn": s.IdleConn} {
		within(name+" (s)", d.Seconds(), 1e-6, 3600)
	}
	for name, d := range map[string]time.Duration{"keep": s.Keep, "keys": s.Keys, "outage": s.Outage} {
		within(name+" (h)", d.Hours(), 0, 24*3660)
	}
	if _, ok := c.Node.Sign[s.Algorithm]; !ok {
		errs = append(errs, fmt.Errorf("%w: algorithm: no cost of %q was measured", ErrScenario, s.Algorithm))
	}
	return errors.Join(errs...)
}

// matches is how many SETs an event becomes.
func (s Scenario) matches() float64 {
	if s.Share > 0 {
		return s.Share * float64(s.Parties)
	}
	return math.Min(s.Matches, float64(s.Parties))
}

// pushed and polling are how many streams are of each method.
func (s Scenario) pushed() float64  { return s.Push * float64(s.Parties) }
func (s Scenario) polling() float64 { return (1 - s.Push) * float64(s.Parties) }

// maxIndex is how many streams and subjects a node has in memory to match events with
// (redisstore.Config.MaxIndex); beyond that the server matches, event by event.
const maxIndex = 2_000_000

// beyond is the share of the partitions that the server matches.
func (s Scenario) beyond() float64 {
	all := float64(s.Parties) * float64(1+s.Subjects)
	return math.Max(0, 1-maxIndex*float64(s.Nodes)/all)
}

// partitions is how many of them have streams at all.
func (s Scenario) partitions() int { return streams.Partitions }

// Row is what was found of one number of relying parties.
type Row struct {
	Scenario Scenario `json:"scenario"`
	// Bearable is the rate of events at which the first resource is as busy as it
	// may be; 0: even without events one is too busy.
	Bearable float64 `json:"bearable"`
	SETs     float64 `json:"sets"`  // SETs a second at that rate
	First    string  `json:"first"` // the resource that gives out first
	// Steps are what is done about it, one after the other.
	Steps []Step `json:"steps"`
	// At is the rate at which the following was looked at: Scenario.Rate, or Bearable.
	At   float64 `json:"at"`
	Uses []Use   `json:"uses"`
	// Signing is the share of the nodes' cores that signs.
	Signing float64 `json:"signing"`
	// P50 and P99 are milliseconds from an event's arrival until a receiver has its SET;
	// both are 0 where At cannot be borne.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// Run simulates a scenario.
func Run(c *Costs, s Scenario) (Row, error) {
	if err := s.check(c); err != nil {
		return Row{}, err
	}
	rate, first := bearable(c, s)
	row := Row{Scenario: s, Bearable: rate, SETs: rate * s.matches(), First: first.Resource, At: rate}
	row.Steps = steps(c, s, rate, first)
	if s.Rate > 0 {
		row.At = s.Rate
	}
	row.Uses = uses(c, s, row.At)
	row.Signing = row.At * s.matches() * c.Node.Sign[s.Algorithm] * micro / float64(s.Nodes*s.Cores)
	if row.At > 0 && row.At <= rate*(1+1e-9) {
		row.P50, row.P99 = walk(c, s, row.At).delays()
	}
	return row, nil
}
