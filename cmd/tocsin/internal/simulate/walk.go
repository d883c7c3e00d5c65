package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// How much runs through: enough for a p99, little enough for a second.
const (
	walkSETs   = 12_000
	walkEvents = 4_000
	walkLeast  = 20
	warmUp     = 0.2 // of the events are not looked at
)

// way is events on their way (docs/architecture.md §1) at the speed of the costs:
//
//	arrival ─▶ node: take in ─▶ log's server: append ─▶ every node: read
//	 ─▶ 16 partitions: match ─▶ partition's server: put ─▶ take ─▶ node: sign, send
//	 ─▶ receiver ─▶ settle
type way struct {
	clock
	c      *Costs
	s      Scenario
	random *rand.Rand

	nodes   []*station
	servers []*station // of Redis, the log's first
	append  []*batcher[*event]
	read    []*batcher[*event]
	match   []*batcher[*event]
	streams map[int]*batcher[*event] // SETs of a stream, each as its event
	turned  int                      // whose core takes the next event in
	taken   []float64                // delays, seconds
	perSET  float64                  // CPU of a node for one SET, seconds
	events  int
}

// event is one of a walk.
type event struct {
	at     float64
	counts bool
	to     [][]int // streams, by partition
}

// walk lets events come at a rate, at random and with the same seed each time.
func walk(c *Costs, s Scenario, rate float64) *way {
	w := &way{c: c, s: s, random: rand.New(rand.NewPCG(1, 2)), streams: make(map[int]*batcher[*event])}
	w.build()
	n := int(math.Max(walkLeast, math.Min(walkEvents, walkSETs/math.Max(s.matches(), 1e-9))))
	w.events = n
	at := 0.0
	for i := range n {
		at += w.random.ExpFloat64() / rate
		e := &event{at: at, counts: i >= int(warmUp*float64(n)), to: w.targets()}
		w.after(at, func() { w.arrive(e) })
	}
	w.run()
	return w
}

// targets picks the streams of an event: as many as match on average.
func (w *way) targets() [][]int {
	m := w.s.matches()
	n := int(m)
	if w.random.Float64() < m-float64(n) {
		n++
	}
	to := make([][]int, w.s.partitions())
	for range n {
		stream := w.random.IntN(w.s.Parties)
		p := stream % len(to)
		to[p] = append(to[p], stream)
	}
	return to
}

func (w *way) build() {
	trip := w.s.RTT.Seconds()
	commit := trip
	if w.s.Replicas > 0 {
		commit += trip
	}
	for range w.s.Masters {
		w.servers = append(w.servers, &station{clock: &w.clock, servers: 1})
	}
	r, n := w.c.Redis, w.c.Node
	for range w.s.Nodes {
		w.nodes = append(w.nodes, &station{clock: &w.clock, servers: w.s.Cores})
		w.append = append(w.append, &batcher[*event]{most: maxBatch, work: func(list []*event, done func()) {
			w.ask(w.servers[0], commit, r.AppendCall+float64(len(list))*r.Append, func() {
				for _, reader := range w.read {
					reader.add(list...) // the wake-up comes with the answer
				}
				done()
			})
		}})
	}
	for i := range w.s.Nodes {
		w.read = append(w.read, &batcher[*event]{most: maxBatch, work: func(list []*event, done func()) {
			share := float64(w.s.Nodes-1) / float64(w.s.Nodes) // what a node appended it knows
			w.ask(w.servers[0], trip, share*(r.ReadCall+float64(len(list))*r.Read), func() {
				for p := i; p < len(w.match); p += w.s.Nodes {
					w.match[p].add(list...)
				}
				done()
			})
		}})
	}
	for p := range w.s.partitions() {
		w.match = append(w.match, w.partition(p))
	}
	signed := n.Sign[w.s.Algorithm]
	w.perSET = (signed + w.s.Push*n.Push + (1-w.s.Push)*(n.PollSET+n.Poll)) * micro
}

// partition is the fan-out of one: it matches what was read and puts it.
func (w *way) partition(p int) *batcher[*event] {
	r, trip := w.c.Redis, w.s.RTT.Seconds()
	node, server := w.nodes[p%w.s.Nodes], w.serverOf(p)
	indexed := float64(p) >= w.s.beyond()*float64(w.s.partitions())
	several := false
	work := func(list []*event, done func()) {
		several = len(list) >= gatherAbove
		k := float64(len(list))
		node.serve(k*w.c.Node.Follow*micro, func() {
			look, way := r.MatchCall, trip
			if !indexed { // one event after the other; the way is counted as one
				look, way = look+k*r.Match, (k+1)*trip
			}
			w.ask(server, way, look, func() {
				sets := 0.0
				for _, e := range list {
					sets += float64(len(e.to[p]))
				}
				if sets == 0 {
					done()
					return
				}
				w.ask(server, trip, math.Ceil(sets/maxBatch)*r.PutCall+sets*r.Put, func() {
					for _, e := range list {
						for _, stream := range e.to[p] {
							w.stream(stream, node, server).add(e)
						}
					}
					done()
				})
			})
		})
	}
	b := &batcher[*event]{most: maxBatch}
	b.work = func(list []*event, done func()) {
		if !several {
			work(list, done)
			return
		}
		w.after(gather, func() { // what comes meanwhile goes along
			more := b.waiting[:min(len(b.waiting), b.most-len(list))]
			b.waiting = b.waiting[len(more):]
			work(append(slices.Clip(list), more...), done)
		})
	}
	return b
}

// stream delivers the SETs of a stream: a window is taken, signed and sent.
func (w *way) stream(id int, node, server *station) *batcher[*event] {
	if b := w.streams[id]; b != nil {
		return b
	}
	r, trip := w.c.Redis, w.s.RTT.Seconds()
	b := &batcher[*event]{most: pushWindow}
	b.work = func(list []*event, done func()) {
		k := float64(len(list))
		w.ask(server, trip, r.TakeCall+k*r.Take, func() {
			left := len(list)
			for _, e := range list {
				node.serve(w.perSET, func() {
					w.after(w.s.Receiver.Seconds()/2, func() {
						if e.counts {
							w.taken = append(w.taken, w.now-e.at)
						}
						if left--; left == 0 {
							w.after(w.s.Receiver.Seconds()/2, func() {
								w.ask(server, trip, r.SettleCall+k*r.Settle, func() {})
								done()
							})
						}
					})
				})
			}
		})
	}
	w.streams[id] = b
	return b
}

// arrive takes an event in on the next node.
func (w *way) arrive(e *event) {
	i := w.turned % w.s.Nodes
	w.turned++
	w.nodes[i].serve(w.c.Node.Event*micro, func() { w.append[i].add(e) })
}

// ask makes an exchange with a server: half the way, its turn, and the other half.
func (w *way) ask(server *station, trip, us float64, done func()) {
	w.after(trip/2, func() { server.serve(us*micro, func() { w.after(trip/2, done) }) })
}

// serverOf is the Redis server of a partition.
func (w *way) serverOf(p int) *station {
	switch {
	case w.s.Masters == 1:
		return w.servers[0]
	case w.s.LogAlone:
		return w.servers[1+p%(w.s.Masters-1)]
	}
	// The log's server is the first here, so the others move up by what it is.
	log := serverOf("log", w.s.Masters)
	return w.servers[(serverOf(fmt.Sprintf("p%02d", p), w.s.Masters)-log+w.s.Masters)%w.s.Masters]
}

// delays returns median and p99 in milliseconds.
func (w *way) delays() (p50, p99 float64) {
	if len(w.taken) == 0 {
		return 0, 0
	}
	list := slices.Sorted(slices.Values(w.taken))
	at := func(p float64) float64 { return 1e3 * list[int(math.Ceil(p*float64(len(list))))-1] }
	return at(0.5), at(0.99)
}
