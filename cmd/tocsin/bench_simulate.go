package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// benchSimulateCmd reckons with unit costs.
type benchSimulateCmd struct {
	printFlags
	Parties  []int         `help:"Numbers of relying parties, each with a stream." default:"10,100,1000,10000,100000" placeholder:"N"`
	Costs    string        `help:"Unit costs of tocsin bench --redis URL --costs FILE; default: those that come with the program." placeholder:"FILE"`
	Push     float64       `help:"Share of the streams that is pushed to; the others have a long poll open." default:"0.5"`
	Subjects int           `help:"Subjects of each stream; 0: it takes all." default:"100"`
	Matches  float64       `help:"Streams that an event goes to, on average." default:"3"`
	Share    float64       `help:"Share of the streams that an event goes to, in place of --matches." default:"0"`
	Rate     float64       `help:"Events a second that come; 0: as many as can be borne." default:"0"`
	Nodes    int           `help:"Nodes." default:"3"`
	Cores    int           `help:"Cores of a node." default:"4"`
	Algo     string        `help:"Signature algorithm." name:"algorithm" default:"RS256" enum:"RS256,ES256,EdDSA"`
	Masters  int           `help:"Redis servers that share the slots." default:"1"`
	LogAlone bool          `help:"Give the log's slot a server of its own, and spread the partitions over the others."`
	Replicas int           `help:"Replicas that each write waits for." default:"1"`
	RTT      time.Duration `help:"Round trip between a node and Redis." name:"rtt" default:"500us"`
	Receiver time.Duration `help:"What a relying party takes to answer, with its network." default:"40ms"`
	Keep     time.Duration `help:"How long events stay in Redis (serve --retention)." default:"24h"`
	Keys     time.Duration `help:"How long sources' ids of events are known again (serve: 30 days)." default:"720h"`
	Away     float64       `help:"Share of the streams whose receivers are away." default:"0.01"`
	Outage   time.Duration `help:"How long their SETs have waited." default:"1h"`
	RedisGiB float64       `help:"Memory of a Redis server, GiB." name:"redis-gib" default:"32"`
	NodeGiB  float64       `help:"Memory of a node, GiB." name:"node-gib" default:"16"`
	NodeGbit float64       `help:"Network of a node, and of a Redis server, Gbit/s." name:"node-gbit" default:"1"`
	Sockets  int           `help:"Connections that a node can have." default:"50000"`
	LongPoll time.Duration `help:"How long a poll waits before it is answered without SETs." default:"30s"`
	IdleConn time.Duration `help:"How long a connection to a receiver is kept without use." default:"90s"`
}

// Help shows examples and says what is reckoned.
func (benchSimulateCmd) Help() string {
	return "Examples:\n  tocsin bench simulate\n  tocsin bench simulate --parties 100000 --rate 2000 --algorithm ES256\n" +
		"  tocsin bench simulate --share 0.01 --nodes 6 --masters 3 --json\n\n" +
		"Unit costs that were measured are summed up along the way of an event: taken in, appended, read,\n" +
		"matched in 16 partitions, put, taken, signed, sent, settled. A row says how many events a second can\n" +
		"be borne with each resource at most at its limit (CPU and network 70 %, memory and connections 80 %),\n" +
		"which one gives out first, and what is done about it. Delays are of events that run through these\n" +
		"resources at that rate, one by one, at random, in time of their own; the same input gives the same\n" +
		"output. What it does not know: other work of the nodes (search, webhooks, the console), disks, the\n" +
		"appends of nodes that come in each other's way. docs/scaling.md"
}

// Run reckons and prints.
func (c benchSimulateCmd) Run(std streamsIO) error {
	costs, err := c.costs()
	if err != nil {
		return err
	}
	report := simulate.Report{Costs: costs, Rows: []simulate.Row{}}
	for _, parties := range c.Parties {
		row, err := simulate.Run(costs, c.scenario(parties))
		if errors.Is(err, simulate.ErrScenario) {
			return usage("%v", err)
		}
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, row)
	}
	if c.JSON {
		return printJSON(std.out, report)
	}
	return report.Table(std.out)
}

func (c benchSimulateCmd) costs() (*simulate.Costs, error) {
	if c.Costs == "" {
		return simulate.Builtin()
	}
	f, err := os.Open(c.Costs)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	costs, err := simulate.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Costs, err)
	}
	return costs, nil
}

func (c benchSimulateCmd) scenario(parties int) simulate.Scenario {
	return simulate.Scenario{
		Parties: parties, Push: c.Push, Subjects: c.Subjects, Matches: c.Matches, Share: c.Share, Rate: c.Rate,
		Nodes: c.Nodes, Cores: c.Cores, Algorithm: c.Algo, Masters: c.Masters, LogAlone: c.LogAlone, Replicas: c.Replicas,
		RTT: c.RTT, Receiver: c.Receiver, Keep: c.Keep, Keys: c.Keys, Away: c.Away, Outage: c.Outage,
		RedisGiB: c.RedisGiB, NodeGiB: c.NodeGiB, NodeGbit: c.NodeGbit, MaxSockets: c.Sockets,
		LongPoll: c.LongPoll, IdleConn: c.IdleConn,
	}
}
