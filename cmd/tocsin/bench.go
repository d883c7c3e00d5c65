package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
)

// benchCmd measures, and reckons with what was measured. `tocsin bench` alone measures.
type benchCmd struct {
	Measure  benchRunCmd      `cmd:"" name:"run" default:"withargs" help:"Measure the transmitter and the receiver against the floor of this machine (what tocsin bench does by itself)."`
	Simulate benchSimulateCmd `cmd:"" help:"Say how far several nodes on Redis go: the first bottleneck at each size, and what is done about it."`
}

// Help shows examples.
func (benchCmd) Help() string {
	return "Examples:\n  tocsin bench --quick\n  tocsin bench simulate\nIts flags and workloads: tocsin bench run --help"
}

// benchRunCmd measures the transmitter against the floor of the machine.
type benchRunCmd struct {
	printFlags
	What  string `arg:"" optional:"" help:"A group of workloads: receive." enum:"receive," default:""`
	Only  string `help:"Run this workload alone, or several: search-*." placeholder:"NAME"`
	Quick bool   `help:"The main job's workloads within a minute: shorter rounds, fewer events."`
	Full  bool   `help:"Every workload, also those that need minutes: many streams, a million events."`
	Redis string `help:"Measure on this Redis what is also measured on the embedded store; start: a redis-server from the PATH, on disk." placeholder:"URL|start" onlygiven:""`
	Costs string `help:"With --redis: also measure unit costs, and write them for tocsin bench simulate." placeholder:"FILE"`
	Dir   string `help:"Folder for the data folders that are measured, on a real disk; they are removed." default:"." placeholder:"DIR"`
	Role  string `help:"Role of a process beside the server." hidden:""`
}

// Help shows an example and says what is measured.
func (benchRunCmd) Help() string {
	return "Examples:\n  tocsin bench --quick\n  tocsin bench --only push-rs256 --json\n  tocsin bench receive\n  tocsin bench --redis start --quick\n  tocsin bench --redis start --only redis-costs --costs costs.json\n" +
		"  tocsin bench --only search-identifier --quick\n\n" +
		"Without --full the workloads of the main job run. Server, senders and receivers are processes of\n" +
		"their own on a durable store: 8 senders, one event per request, distinct subjects. A figure is the\n" +
		"median of five rounds, its ratio the median of the ratios of each round to the floor measured beside it.\n" +
		"A target that is missed is printed, and is no failure of the command.\n\nWorkloads:\n" +
		bench.Describe() + "\n" + bench.Definitions()
}

// Run measures and prints.
func (c benchRunCmd) Run(ctx context.Context, std streamsIO) error {
	if c.Role != "" {
		return bench.Serve(ctx, c.Role, std.in, std.out)
	}
	if c.What != "" {
		if c.Only != "" {
			return usage("a group of workloads and --only exclude each other")
		}
		c.Only = c.What + "-*"
	}
	if c.Quick && c.Full {
		return usage("--quick and --full exclude each other")
	}
	if c.Costs != "" && c.Redis == "" {
		return usage("--costs needs --redis")
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	report, err := bench.Run(ctx, bench.Config{
		Binary: binary, Dir: c.Dir, Only: c.Only, Full: c.Full, Quick: c.Quick, Redis: c.Redis, Costs: c.Costs, Progress: std.err,
	})
	if errors.Is(err, bench.ErrUnknown) {
		return usage("%v", err)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, report)
	}
	return report.Table(std.out)
}
