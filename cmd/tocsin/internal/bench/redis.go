package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	redisTarget = 0.5 // of the embedded store's rate

	redisIngest = 4_500 // events of a round
	redisPushes = 3_000
	redisPolls  = 3_000
	redisBatch  = 100 // SETs of a poll

	pairStreams  = 64
	pairSubjects = 1_024 // shared out over the streams
	pairEvents   = 3_000
	// pairTime is what two nodes need to divide the work: a look for what is free, and
	// one more for what the other gives up.
	pairTime = 8 * time.Second
	// pairTarget bounds what a SET costs two nodes, by what it costs one.
	pairTarget = 1.25
)

// redisOnly begins the names of the workloads that need a Redis.
const redisOnly = "redis-"

// serveRedis is a server whose stores are in Redis, under a prefix.
func (r *rig) serveRedis(ctx context.Context, prefix string, flags ...string) (*server, error) {
	return r.serve(ctx, r.bench.redis.flags(prefix, flags)...)
}

// serveBeside is another server with the same stores and clients as the first.
func (r *rig) serveBeside(ctx context.Context, first *server, prefix string, flags ...string) (*server, error) {
	s, err := r.bench.launch(ctx, "", r.bench.redis.flags(prefix, flags)...)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, s.close)
	s.writer, s.reader = first.writer, first.reader
	return s, nil
}

// pair is a server on the embedded store, and one on Redis.
type pair struct {
	embedded, shared *server
	used             []spent // by Redis in the rounds of the second
	node, base       []float64
	each             int // SETs or events of a round
}

// both serves a stream, pushed to endpoint or polled if that is "", on either store.
func (r *rig) both(ctx context.Context, endpoint, eventType string) (p *pair, polls [2]stream, err error) {
	p = new(pair)
	if p.embedded, err = r.serve(ctx, "--algorithm", "EdDSA"); err != nil {
		return nil, polls, err
	}
	if p.shared, err = r.serveRedis(ctx, r.bench.redis.space(), "--algorithm", "EdDSA"); err != nil {
		return nil, polls, err
	}
	for i, s := range []*server{p.embedded, p.shared} {
		if polls[i], err = s.stream(ctx, endpoint, eventType); err != nil {
			return nil, polls, err
		}
	}
	return p, polls, nil
}

// compare measures a rate on either store; of the second also what Redis did for n SETs,
// and of both the node's CPU.
func (p *pair) compare(ctx context.Context, b *bench, name string, n int, rate func(s *server, second bool) (float64, error)) ([]Round, error) {
	p.each = n
	return b.rounds(ctx, name, func(ctx context.Context) (round Round, err error) {
		us, err := p.embedded.cpu(ctx, func() error {
			round.Floor, err = rate(p.embedded, false)
			return err
		})
		if err != nil {
			return round, err
		}
		p.base = append(p.base, us/float64(n))
		used, err := b.redis.during(ctx, func() error {
			us, err = p.shared.cpu(ctx, func() error {
				if round.Value, err = rate(p.shared, true); err != nil {
					return err
				}
				return b.redis.quiet(ctx)
			})
			return err
		})
		p.node, p.used = append(p.node, us/float64(n)), append(p.used, used)
		return round, err
	})
}

// results are the rate, and what Redis and the node did for it.
func (p *pair) results(w workload, unit, of string, rounds []Round) []Result {
	var cpu, reads, scripts, node []Round
	n := float64(p.each)
	for i, u := range p.used[1:] { // the first warms up
		cpu = append(cpu, Round{Value: u.cpu / n})
		reads = append(reads, Round{Value: u.reads / n})
		scripts = append(scripts, Round{Value: u.scripts / n})
		node = append(node, Round{p.node[i+1], p.base[i+1]})
	}
	return append([]Result{w.atLeast(redisTarget, unit, rounds)},
		stated(w.name+"-cpu", "Redis CPU of that, per 1,000 "+of, "ms", cpu),
		stated(w.name+"-requests", "requests that Redis read, per "+of+" (one of more than 16 KiB counts again for each)", "", reads),
		stated(w.name+"-scripts", "scripts that Redis ran, per "+of, "", scripts),
		stated(w.name+"-node", "server CPU per "+of+" ÷ on the embedded store", "µs", node))
}

// stated is a figure without a bound.
func stated(name, is, unit string, rounds []Round) Result {
	r := workload{name: name, is: is}.result(unit, rounds)
	r.Holds = true
	return r
}

// redisIngest takes in events that no stream wants.
func (b *bench) redisIngest(ctx context.Context, w workload) (results []Result, err error) {
	err = b.withRig(ctx, func(r *rig) error {
		p, _, err := r.both(ctx, r.endpoint(pathPrompt, 0), typeOther)
		if err != nil {
			return err
		}
		n := b.count(redisIngest)
		rounds, err := p.compare(ctx, b, w.name, n, func(s *server, _ bool) (float64, error) {
			start := time.Now()
			err := r.load.call("send", s.events(n), new(sendAnswer))
			return float64(n) / time.Since(start).Seconds(), err
		})
		if err == nil {
			results = p.results(w, "events/s", "event", rounds)
		}
		return err
	})
	return results, err
}

// redisPush takes in events and pushes each to one receiver.
func (b *bench) redisPush(ctx context.Context, w workload) (results []Result, err error) {
	err = b.withRig(ctx, func(r *rig) error {
		p, _, err := r.both(ctx, r.endpoint(pathPrompt, 0), typeWanted)
		if err != nil {
			return err
		}
		n := b.count(redisPushes)
		rounds, err := p.compare(ctx, b, w.name, n, func(s *server, _ bool) (float64, error) {
			_, got, err := r.deliver(s.events(n), n, false)
			return float64(got.SETs-1) / got.Seconds, err
		})
		if err == nil {
			results = p.results(w, "SETs/s", "SET", rounds)
		}
		return err
	})
	return results, err
}

// redisPoll takes in events and has them polled in hundreds.
func (b *bench) redisPoll(ctx context.Context, w workload) (results []Result, err error) {
	err = b.withRig(ctx, func(r *rig) error {
		p, polls, err := r.both(ctx, "", typeWanted)
		if err != nil {
			return err
		}
		n := b.count(redisPolls) / redisBatch * redisBatch
		rounds, err := p.compare(ctx, b, w.name, n, func(s *server, second bool) (float64, error) {
			from := polls[0]
			if second {
				from = polls[1]
			}
			start := time.Now()
			if err := r.load.call("send", s.events(n), new(sendAnswer)); err != nil {
				return 0, err
			}
			c := pollCall{URL: from.Poll, Token: s.reader, SETs: n, Batch: redisBatch, Patient: true}
			err := r.sink.call("poll", c, nil)
			return float64(n) / time.Since(start).Seconds(), err
		})
		if err == nil {
			results = p.results(w, "SETs/s", "SET", rounds)
		}
		return err
	})
	return results, err
}

// redisPair compares two nodes on one Redis with one: where cores are too few to show
// that they add up, a SET that costs all nodes together as much says it, and that each
// does a share of it.
func (b *bench) redisPair(ctx context.Context, w workload) (results []Result, err error) {
	var costs, shares, redis []Round
	err = b.withRig(ctx, func(r *rig) error {
		second, err := r.peer(ctx, RoleLoad)
		if err != nil {
			return err
		}
		one, err := r.nodes(ctx, 1)
		if err != nil {
			return err
		}
		two, err := r.nodes(ctx, 2)
		if err != nil {
			return err
		}
		if err := pause(ctx, pairTime); err != nil {
			return err
		}
		loads := []*peer{r.load, second}
		costs, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			base, alone, err := r.nodesRound(ctx, one, loads)
			if err != nil {
				return Round{}, err
			}
			cpu, both, err := r.nodesRound(ctx, two, loads)
			if err != nil {
				return Round{}, err
			}
			shares = append(shares, Round{Value: 100 * max(cpu[0], cpu[1]) / (cpu[0] + cpu[1])})
			redis = append(redis, Round{both, alone})
			return Round{cpu[0] + cpu[1], base[0]}, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	share := stated(w.name+"-share", "CPU of the busier of the two, of both", "%", shares[1:])
	share.Target, share.Holds = 65, share.Value <= 65
	return []Result{
		w.atMost(pairTarget, "µs", costs), share,
		stated(w.name+"-redis", "Redis CPU per 1,000 SETs with two nodes ÷ with one", "ms", redis[1:]),
	}, nil
}

// nodes serves streams that share out the subjects of a pool, on n nodes.
func (r *rig) nodes(ctx context.Context, n int) ([]*server, error) {
	prefix := r.bench.redis.space()
	flags := []string{"--algorithm", "EdDSA", "--default-subjects", "NONE"}
	first, err := r.serveRedis(ctx, prefix, flags...)
	if err != nil {
		return nil, err
	}
	list := []*server{first}
	for len(list) < n {
		s, err := r.serveBeside(ctx, first, prefix, flags...)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, each(ctx, pairStreams, func(ctx context.Context, i int) error {
		made, err := list[0].stream(ctx, r.endpoint(pathPrompt, i), typeWanted)
		for k := i; k < pairSubjects && err == nil; k += pairStreams {
			err = list[k%n].addSubject(ctx, made.ID, pooled(k))
		}
		return err
	})
}

// nodesRound returns the CPU of each node per SET in µs, and that of Redis per 1,000 in ms.
func (r *rig) nodesRound(ctx context.Context, nodes []*server, loads []*peer) (cpu []float64, redis float64, err error) {
	n := r.bench.count(pairEvents) / 2 * 2
	before := make([]float64, len(nodes))
	cpuOfAll := func(into []float64) error {
		for i, s := range nodes {
			used, err := cpuOf(s.cmd.Process.Pid)
			if err != nil {
				return err
			}
			into[i] = micros(used)
		}
		return nil
	}
	if err := cpuOfAll(before); err != nil {
		return nil, 0, err
	}
	used, err := r.bench.redis.during(ctx, func() error {
		if err := r.sink.call("expect", expectCall{SETs: n}, nil); err != nil {
			return err
		}
		sent := make(chan error, len(loads))
		for i, load := range loads {
			c := nodes[i%len(nodes)].events(n / 2)
			c.Senders, c.Pool = senders/2, pairSubjects
			go func() { sent <- load.call("send", c, new(sendAnswer)) }()
		}
		for range loads {
			if failed := <-sent; failed != nil {
				err = failed
			}
		}
		if err != nil {
			return err
		}
		if err := r.sink.call("wait", nil, new(waitAnswer)); err != nil {
			return err
		}
		return r.bench.redis.quiet(ctx)
	})
	if err != nil {
		return nil, 0, err
	}
	cpu = make([]float64, len(nodes))
	if err := cpuOfAll(cpu); err != nil {
		return nil, 0, err
	}
	for i := range cpu {
		cpu[i] = (cpu[i] - before[i]) / float64(n)
	}
	return cpu, used.cpu / float64(n), nil
}

// needRedis reaches the Redis that is measured. Error: ErrUnknown if none was named.
func (b *bench) needRedis(ctx context.Context) (err error) {
	if b.Redis == "" {
		return fmt.Errorf("%w without a Redis: give --redis URL or --redis %s", ErrUnknown, RedisStart)
	}
	b.redis, err = reachRedis(ctx, b.Redis, b.dir)
	return err
}
