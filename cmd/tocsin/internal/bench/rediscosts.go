package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
	"github.com/tocsin-ssf/tocsin/streams"
)

const (
	costStreams  = 64    // of the stores without a server
	costSubjects = 16    // of each
	costState    = 1_000 // streams whose memory is measured
	costMany     = 64    // items of a large batch; of a take 32
	costTake     = 32
	costCalls    = 1_500 // with one item each
	costGroups   = 64    // calls with a large batch

	costEvents = 3_000 // of a server that no stream wants
	costPolled = 2_000 // SETs that are polled
	costPolls  = 1_000 // polls that bring nothing
	costWaits  = 500   // polls that wait
	costIdle   = 5 * time.Second

	// headBytes is about what the head of a request and its answer take.
	headBytes = 450
)

// unitCosts measures the unit costs of tocsin bench simulate.
func (b *bench) unitCosts(ctx context.Context, w workload) ([]Result, error) {
	c := &simulate.Costs{
		Measured: time.Now().UTC().Format(time.DateOnly), Command: "tocsin bench --redis start --costs FILE",
		Node: simulate.NodeCosts{Sign: map[string]float64{}},
	}
	for _, step := range []func(context.Context, *simulate.Costs) error{
		b.costsOfMachine, b.costsOfStores, b.costsOfEvents, b.costsOfPushes, b.costsOfPolls, b.costsOfTLS,
	} {
		if err := step(ctx, c); err != nil {
			return nil, err
		}
	}
	b.costs = c
	results, err := costResults(w, c)
	if err != nil {
		return nil, err
	}
	found, err := b.predict(ctx, w, c)
	return append(results, found...), err
}

// costResults are the costs as figures.
func costResults(w workload, c *simulate.Costs) ([]Result, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(raw, &groups); err != nil {
		return nil, err
	}
	var results []Result
	for _, group := range []string{"node_us", "redis_us", "memory_bytes", "wire_bytes"} {
		var costs map[string]any
		if err := json.Unmarshal(groups[group], &costs); err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(costs)) {
			if v, ok := costs[name].(float64); ok {
				results = append(results, stated(w.name+"-"+group+"-"+name, w.is, "", []Round{{Value: v}}))
			}
		}
	}
	return results, nil
}

// writeCosts keeps the costs for tocsin bench simulate --costs.
func (b *bench) writeCosts() error {
	raw, err := json.MarshalIndent(b.costs, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.Costs, append(raw, '\n'), 0o644)
}

func (b *bench) costsOfMachine(ctx context.Context, c *simulate.Costs) error {
	m, err := b.machine()
	if err != nil {
		return err
	}
	info, err := b.redis.version(ctx)
	if err != nil {
		return err
	}
	c.Machine = fmt.Sprintf("%d × %s, %s, Redis %s", m.CPUs, m.CPU, m.Go, info)
	for algorithm, sign := range map[string]func() (float64, error){
		"RS256": b.floor.signRS256, "ES256": b.floor.signES256, "EdDSA": b.floor.signEdDSA,
	} {
		var all []float64
		for range Rounds {
			us, err := sign()
			if err != nil {
				return err
			}
			all = append(all, us)
		}
		c.Node.Sign[algorithm] = median(all)
	}
	return nil
}

// costsOfStores measures what scripts cost Redis, with one item and with many.
func (b *bench) costsOfStores(ctx context.Context, c *simulate.Costs) (err error) {
	p, err := b.peer(ctx, RoleRedis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.call("open", openRedisCall{b.redis.url, b.redis.space()}, nil); err != nil {
		return err
	}
	if err := p.call("grow", growCall{costStreams, costSubjects}, nil); err != nil {
		return err
	}
	// work returns CPU per call, items per call, and memory per item.
	work := func(kind string, batch, calls int) (us, items, bytes float64, err error) {
		n := 0
		used, err := b.redis.during(ctx, func() error { return p.call("work", workCall{kind, batch, calls}, &n) })
		return used.cpu / float64(calls), float64(n) / float64(calls), used.memory / float64(max(n, 1)), err
	}
	r := &c.Redis
	for _, one := range []struct {
		kind       string
		call, item *float64
		many       int
		memory     *float64
	}{
		{workPlain, new(float64), new(float64), costMany, &c.Memory.Event},
		{workAppend, &r.AppendCall, &r.Append, costMany, &c.Memory.Key},
		{workRead, &r.ReadCall, &r.Read, costMany, nil},
		{workMatch, &r.MatchCall, new(float64), costMany, nil},
		{workPut, &r.PutCall, &r.Put, costMany, &c.Memory.SET},
		{workTake, &r.TakeCall, &r.Take, costTake, nil},
		{workSettle, &r.SettleCall, &r.Settle, costTake, nil},
	} {
		b.say("redis-costs: %s", one.kind)
		usMany, many, bytes, err := work(one.kind, one.many, costGroups)
		if err != nil {
			return err
		}
		usOne, single, _, err := work(one.kind, 1, b.count(costCalls))
		if err != nil {
			return err
		}
		*one.call, *one.item = line(single, usOne, many, usMany)
		if one.memory != nil {
			*one.memory = bytes
		}
	}
	c.Memory.Key = max(c.Memory.Key-c.Memory.Event, 0)
	r.MatchCall /= streams.Partitions
	us, _, _, err := work(workAsk, 1, b.count(costCalls)/streams.Partitions)
	if err != nil {
		return err
	}
	r.Match = us / streams.Partitions
	us, _, _, err = work(workPoll, 1, b.count(costCalls))
	if err != nil {
		return err
	}
	r.Poll = us
	c.Memory.Stream, c.Memory.Subject, err = b.stateMemory(ctx, costState)
	return err
}

// line returns what a call costs by itself and for each item, by calls of two sizes.
func line(few, usFew, many, usMany float64) (call, item float64) {
	if many <= few {
		return usFew, 0
	}
	item = max((usMany-usFew)/(many-few), 0)
	return max(usFew-few*item, 0), item
}

// costsOfEvents measures two nodes that take in events which nobody wants: one appends
// them, both follow.
func (b *bench) costsOfEvents(ctx context.Context, c *simulate.Costs) error {
	return b.withRig(ctx, func(r *rig) error {
		prefix := b.redis.space()
		first, err := r.serveRedis(ctx, prefix)
		if err != nil {
			return err
		}
		other, err := r.serveBeside(ctx, first, prefix)
		if err != nil {
			return err
		}
		n := b.count(costEvents)
		if err := pause(ctx, pairTime); err != nil {
			return err
		}
		send := func() error {
			if err := r.load.call("send", first.events(n), nil); err != nil {
				return err
			}
			return b.redis.quiet(ctx)
		}
		if err := send(); err != nil { // warms up
			return err
		}
		both := func(fn func() error) (used spent, one, two float64, err error) {
			used, err = b.redis.during(ctx, func() error {
				two, err = other.cpu(ctx, func() error {
					one, err = first.cpu(ctx, fn)
					return err
				})
				return err
			})
			return used, one, two, err
		}
		b.say("redis-costs: nodes without work")
		idle, one, two, err := both(func() error { return pause(ctx, costIdle) })
		if err != nil {
			return err
		}
		c.Node.Idle, c.Redis.Idle = (one+two)/2/costIdle.Seconds(), idle.cpu/2/costIdle.Seconds()
		b.say("redis-costs: events")
		used, one, two, err := both(send)
		if err != nil {
			return err
		}
		half := float64(streams.Partitions) / 2
		c.Node.Follow = two / float64(n) / half
		c.Node.Event = max(one/float64(n)-half*c.Node.Follow, 1)
		c.Wire.Event = float64(len(newLoad().event(nil, first.events(1)))) + headBytes
		c.Wire.RedisEvent = (used.in + used.out) / float64(n) / 2
		return nil
	})
}

// unwanted returns the CPU of a node, in µs, for an event that no stream of it wants.
func (b *bench) unwanted(ctx context.Context, r *rig, s *server, n int) (float64, error) {
	c := s.events(n)
	c.Type = typeOther
	us, err := s.cpu(ctx, func() error {
		if err := r.load.call("send", c, nil); err != nil {
			return err
		}
		return b.redis.quiet(ctx)
	})
	return us / float64(n), err
}

// costsOfPushes measures a node that pushes each event to one of several streams.
func (b *bench) costsOfPushes(ctx context.Context, c *simulate.Costs) error {
	return b.withRig(ctx, func(r *rig) error {
		nodes, err := r.nodes(ctx, 1)
		if err != nil {
			return err
		}
		s, n := nodes[0], b.count(pairEvents)
		sent := s.events(n)
		sent.Pool = pairSubjects
		if _, _, err := r.deliver(sent, n, false); err != nil { // warms up
			return err
		}
		b.say("redis-costs: pushes")
		alone, err := b.unwanted(ctx, r, s, n)
		if err != nil {
			return err
		}
		var us, bytes float64
		used, err := b.redis.during(ctx, func() error {
			us, err = s.cpu(ctx, func() error {
				_, got, err := r.deliver(sent, n, false)
				bytes = got.Bytes
				if err != nil {
					return err
				}
				return b.redis.quiet(ctx)
			})
			return err
		})
		if err != nil {
			return err
		}
		c.Node.Push = max(us/float64(n)-alone-c.Node.Sign["EdDSA"], 1)
		c.Wire.SET = bytes + headBytes
		c.Wire.RedisSET = max((used.in+used.out)/float64(n)-c.Wire.RedisEvent, 0)
		return nil
	})
}

// costsOfPolls measures a node that is polled: SETs, polls that bring nothing, and polls
// that wait.
func (b *bench) costsOfPolls(ctx context.Context, c *simulate.Costs) error {
	return b.withRig(ctx, func(r *rig) error {
		s, err := r.serveRedis(ctx, b.redis.space(), "--algorithm", "EdDSA")
		if err != nil {
			return err
		}
		from, err := s.stream(ctx, "", typeWanted)
		if err != nil {
			return err
		}
		n := b.count(costPolled) / redisBatch * redisBatch
		if _, err := b.unwanted(ctx, r, s, n); err != nil { // warms up
			return err
		}
		b.say("redis-costs: polls")
		alone, err := b.unwanted(ctx, r, s, n)
		if err != nil {
			return err
		}
		put, err := s.cpu(ctx, func() error {
			if err := r.load.call("send", s.events(n), nil); err != nil {
				return err
			}
			return b.redis.quiet(ctx)
		})
		if err != nil {
			return err
		}
		sets, err := s.cpu(ctx, func() error {
			return r.sink.call("poll", pollCall{URL: from.Poll, Token: s.reader, SETs: n, Batch: redisBatch, Patient: true}, nil)
		})
		if err != nil {
			return err
		}
		empty := b.count(costPolls)
		polls, err := s.cpu(ctx, func() error {
			return r.sink.call("polls", pollsCall{URLs: []string{from.Poll}, Token: s.reader, Each: empty}, nil)
		})
		if err != nil {
			return err
		}
		c.Node.Poll = polls / float64(empty)
		c.Node.PollSET = max(put/float64(n)-alone, 0) + max(sets/float64(n)-c.Node.Poll/redisBatch-c.Node.Sign["EdDSA"], 0)
		return b.costsOfWaits(ctx, r, s, c)
	})
}

// costsOfWaits measures polls that wait, each at a stream of its own.
func (b *bench) costsOfWaits(ctx context.Context, r *rig, s *server, c *simulate.Costs) error {
	n := b.count(costWaits)
	urls := make([]string, n)
	err := each(ctx, n, func(ctx context.Context, i int) error {
		made, err := s.stream(ctx, "", typeOther)
		urls[i] = made.Poll
		return err
	})
	if err != nil {
		return err
	}
	before, err := residentOf(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.say("redis-costs: polls that wait")
	if err := r.sink.call("polls", pollsCall{URLs: urls, Token: s.reader}, nil); err != nil {
		return err
	}
	if err := pause(ctx, costIdle/2); err != nil { // until all wait
		return err
	}
	var us float64
	used, err := b.redis.during(ctx, func() error {
		us, err = s.cpu(ctx, func() error { return pause(ctx, costIdle) })
		return err
	})
	if err != nil {
		return err
	}
	after, err := residentOf(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	seconds := (costIdle + quietTime).Seconds() * float64(n)
	c.Node.Wait, c.Redis.Wait = max(us-c.Node.Idle*costIdle.Seconds(), 0)/seconds, max(used.cpu-c.Redis.Idle*costIdle.Seconds(), 0)/seconds
	c.Memory.Poll = float64(max(after-before, 0)) / float64(n)
	return nil
}

// costsOfTLS measures connections to receivers.
func (b *bench) costsOfTLS(ctx context.Context, c *simulate.Costs) error {
	return b.withRig(ctx, func(r *rig) error {
		var at tlsServer
		if err := r.sink.call("tls", nil, &at); err != nil {
			return err
		}
		var got tlsAnswer
		if err := r.load.call("tls", at, &got); err != nil {
			return err
		}
		c.Node.Handshake, c.Memory.Conn = got.Fresh, got.Kept
		return nil
	})
}
