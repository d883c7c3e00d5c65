// Package bench measures the transmitter against the floor of the machine it
// runs on: what the same work costs at least, as raw signatures, synced
// appends and loopback requests.
//
// Server, senders and receivers are processes of their own. CPU time is the
// server's own, as the kernel accounts for it, taken around the measured
// rounds only, after a round that warms up. The floor is measured again
// beside each round, with all CPUs busy as they are in the round, so that a
// slow or busy machine slows both. A figure is the median of its rounds; a
// ratio is the median of the rounds' own ratios.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// Rounds is how often each figure is measured.
const Rounds = 5

// Config says what to measure and with what.
type Config struct {
	// Binary is the path of the tocsin binary whose processes are measured; required.
	Binary string
	// Dir is the folder under which data folders are made and removed; "": the
	// current one. It is to be on a real disk, as a server's is.
	Dir string
	// Only names the one workload to run, or several with * ("search-*"); "":
	// those of Full or of the main job.
	Only string
	// Full runs every workload.
	Full bool
	// Redis is the URL of a Redis, or RedisStart; with it the workloads of Redis run,
	// and no others unless Only names them.
	Redis string
	// Costs is the file into which redis-costs writes, which runs then; "": none.
	Costs string
	// Quick shortens the rounds: the main job's workloads end within a minute.
	Quick bool
	// Progress hears what is going on, for people; required.
	Progress io.Writer
}

// Result is one figure beside its floor.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // in Unit, median of the rounds
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor,omitempty"` // in Unit, median; absent where the target is the figure's own
	// Ratio is the median of value/floor of each round; absent without a floor.
	Ratio float64 `json:"ratio,omitempty"`
	// Goal is what the value is to be on a small machine, in Unit; it decides nothing.
	Goal float64 `json:"goal,omitempty"`
	// Target bounds the ratio, or the value where there is no floor.
	Target float64 `json:"target,omitempty"`
	// AtLeast says that the target is a lower bound.
	AtLeast bool `json:"at_least,omitempty"`
	Holds   bool `json:"holds"`
	// Is says what value and floor are.
	Is     string  `json:"is"`
	Rounds []Round `json:"rounds,omitempty"`
}

// Round is what one round measured.
type Round struct {
	Value float64 `json:"value"`
	Floor float64 `json:"floor,omitempty"`
}

// Report is what a run found.
type Report struct {
	Machine Machine  `json:"machine"`
	Results []Result `json:"results"`
}

// workload measures some figures.
type workload struct {
	name string
	is   string // what value and floor are
	main bool   // of the main job
	run  func(*bench, context.Context, workload) ([]Result, error)
}

func workloads() []workload {
	return []workload{
		{"push-rs256", "server CPU per event taken in, stored, signed, pushed and acknowledged ÷ one RS256 signature", true, (*bench).pushRS256},
		{"push-eddsa", "the same with EdDSA ÷ (signature + synced append + loopback POST)", true, (*bench).pushEdDSA},
		{"poll-eddsa", "server CPU per event taken in, stored, signed, polled and acknowledged in hundreds ÷ (signature + synced append)", true, (*bench).pollEdDSA},
		{"verify-rs256", "CPU of reading and verifying a SET ÷ one RSA check", true, (*bench).verify},
		{"slow-receiver", "SETs a second to one receiver that takes 20 ms each ÷ (window ÷ 20 ms)", true, (*bench).slowReceiver},
		{"idle-latency", "event sent to push received, one at a time, median ÷ (RS256 signature + synced append + two loopback POSTs)", true, (*bench).idleLatency},
		{"isolation", "event sent to push received, p99 of 19 receivers while a 20th hangs ÷ while it does not", false, (*bench).isolation},
		{"many-streams-none", "server CPU per event with 10,000 streams of other subjects ÷ with one stream", false, (*bench).manyNone},
		{"many-streams-all", "server CPU per event with 10,000 streams of another event type ÷ with one stream", false, (*bench).manyAll},
		{"fanout-1000", "p99 of an event's POST while others go to 1,000 streams ÷ to one", false, (*bench).fanout},
		{"history", "SETs a second with 200,000 events stored and delivered ÷ with an empty store", false, (*bench).history},
		{"history-1m", "SETs a second with %d events stored ÷ with an empty store", false, (*bench).history1M},
		{"append", "records a second that 64 writers append to the log, each its own, durable on return ÷ to a file: the same bytes, those that wait (≤ 256) in one write and one fsync", false, (*bench).append},
		{"search-identifier", "p99 of a page of ten of %d events, by the source's id of a user, newest first ÷ of one look-up of its rows by primary key", false, (*bench).search},
		{"search-session", "the same by session", false, (*bench).search},
		{"search-network", "the same by type and address in a network of 12 to 24 bits", false, (*bench).search},
		{"search-time", "the same by an hour, newest or oldest first", false, (*bench).search},
		{"index-lag", "the longest time by which the search index trailed the log while events came in as fast as it lets them", false, (*bench).lag},
		{"signer", "CPU of an RS256 signature by a tocsin signer, both processes together ÷ of one that this process makes itself", false, (*bench).signer},
		{"traces", "server CPU per event taken in, signed (EdDSA) and pushed, with traces sent to a collector ÷ without", false, (*bench).traces},
		{"mapping", "CPU of reading and mapping a vendor's record by its rules, what was known before at hand ÷ decoding its JSON into a map", false, (*bench).mapping},
		{"receive-accept", "receiver CPU of verifying, parsing and keeping a SET durably, without HTTP ÷ one RSA check", false, (*bench).receiveAccept},
		{"receive-push", "SETs a second that a receiver takes over HTTP ÷ requests a second of a handler that reads the body and answers 202", false, (*bench).receivePush},
		{"receive-gate", "CPU of a check of an ID token (iss, sub, sid) at the gate with 1,000,000 revoked users ÷ a look-up in a Go map of that size", false, (*bench).receiveGate},
		{"receive-close", "a SET in hand to the gate closed for its user, p99, one at a time ÷ (RSA check + append with an fsync of its own)", false, (*bench).receiveClose},
		{"redis-ingest", "events a second that a server on Redis takes in ÷ on the embedded store; no stream wants them", true, (*bench).redisIngest},
		{"redis-push", "SETs a second that a server on Redis pushes, EdDSA, events coming in meanwhile ÷ on the embedded store", true, (*bench).redisPush},
		{"redis-poll", "SETs a second that come in and are then polled in hundreds from a server on Redis, EdDSA ÷ on the embedded store", true, (*bench).redisPoll},
		{"redis-pair", "CPU of two servers on one Redis per SET, both together ÷ of one", true, (*bench).redisPair},
		{"redis-state", "memory of Redis for streams and their subjects", true, (*bench).redisState},
		{redisCosts, "unit costs, of tocsin bench simulate", false, (*bench).unitCosts},
		{"receive-burst", "growth of a receiver's memory by 100,000 SETs that come at once", false, (*bench).receiveBurst},
	}
}

// redisCosts is the workload that Config.Costs asks for.
const redisCosts = redisOnly + "costs"

// onRedis says that the workload needs a Redis.
func (w workload) onRedis() bool { return strings.HasPrefix(w.name, redisOnly) }

// Names returns the names of the workloads.
func Names() []string {
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return names
}

// Describe returns a line for each workload: its name and what it measures.
func Describe() string {
	var b strings.Builder
	for _, w := range workloads() {
		fmt.Fprintf(&b, "  %-18s %s\n", w.name, w.is)
	}
	return b.String()
}

// ErrUnknown says that no workload has the name.
var ErrUnknown = errors.New("bench: no such workload")

// bench is one run.
type bench struct {
	Config
	dir   string // scratch, removed at the end
	floor *floor
	made  int // data folders so far
	redis *redisServer
	costs *simulate.Costs // nil: they were not measured
	// filled is the folder of million, nil: there is none.
	filled *million
}

// Run measures. It ends the processes it started and removes what they stored.
// Error: ErrUnknown (by errors.Is) if no workload is called Only.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	chosen := choose(cfg)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w: %s; there are %s", ErrUnknown, cfg.Only, strings.Join(Names(), ", "))
	}
	if cfg.Dir == "" {
		cfg.Dir = "."
	}
	base, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	dir, err := os.MkdirTemp(base, "tocsin-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{Config: cfg, dir: dir}
	if b.floor, err = newFloor(dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.floor.close()) }()

	if slices.ContainsFunc(chosen, workload.onRedis) {
		if err := b.needRedis(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.redis.close(context.WithoutCancel(ctx))) }()
	}
	report := &Report{Results: []Result{}}
	for _, w := range chosen {
		start := time.Now()
		results, err := w.run(b, ctx, w)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", w.name, err)
		}
		report.Results = append(report.Results, results...)
		b.say("%s took %s", w.name, time.Since(start).Round(100*time.Millisecond))
	}
	if b.costs != nil && b.Costs != "" {
		if err := b.writeCosts(); err != nil {
			return nil, err
		}
	}
	report.Machine, err = b.machine()
	return report, err
}

func choose(cfg Config) []workload {
	return slices.DeleteFunc(workloads(), func(w workload) bool {
		if cfg.Only != "" {
			named, err := path.Match(cfg.Only, w.name)
			return err != nil || !named
		}
		if w.onRedis() != (cfg.Redis != "") {
			return true
		}
		return !cfg.Full && !w.main && !(cfg.Costs != "" && w.name == redisCosts)
	})
}

// say tells people how far we are.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Progress, "bench: "+format+"\n", args...)
}

// folder names a data folder that is yet to be made.
func (b *bench) folder() string {
	b.made++
	return filepath.Join(b.dir, fmt.Sprint("data-", b.made))
}

// count shortens the rounds of a quick run.
func (b *bench) count(n int) int {
	if b.Quick {
		return max(n/3, 1)
	}
	return n
}
