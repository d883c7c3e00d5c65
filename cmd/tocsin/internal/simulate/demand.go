package simulate

import "math"

// Resources, as a report names them.
const (
	NodeCPU     = "node CPU"
	RedisCPU    = "Redis CPU (server of the log)"
	partCPU     = "Redis CPU (busiest other server)"
	fanoutTurn  = "fan-out of a partition"
	logMemory   = "Redis memory (server of the log)"
	partMemory  = "Redis memory (fullest other server)"
	nodeMemory  = "node memory"
	sockets     = "connections of a node"
	nodeNetwork = "node network"
	redisWire   = "Redis network"
)

// How busy a resource may be: beyond that, what comes in bursts waits too long.
const (
	busyCPU    = 0.7
	busyMemory = 0.8
	busyWire   = 0.7
)

// Use is how much of a resource is used.
type Use struct {
	Resource string  `json:"resource"`
	Share    float64 `json:"share"` // of what there is; more than 1 cannot be
	Limit    float64 `json:"limit"` // what it may be
	// Of says what most of it is, where that makes a difference.
	Of string `json:"of,omitempty"`
}

// over is how far the use is beyond its limit: 1 is at it.
func (u Use) over() float64 { return u.Share / u.Limit }

// What most of a use may be.
const (
	ofSigning = "signing"
	ofStreams = "streams, subjects and queues"
)

// Batches of the program: the most items of a script, of a push window and of a
// poll's answer, and how long fan-out waits for more events if several came.
const (
	maxBatch    = 256
	pushWindow  = 32
	pollAnswer  = 100
	gather      = 8e-3
	gatherAbove = 3
)

// batches are how many items share a script at a rate.
type batches struct{ append, match, put, deliver, poll float64 }

// batchesAt returns what comes while the exchange before is under way.
func batchesAt(s Scenario, rate float64) batches {
	trip := s.RTT.Seconds()
	commit := trip
	if s.Replicas > 0 {
		commit += trip
	}
	turn := 3 * trip // look, put, and the way of the wake-up
	if rate*turn >= gatherAbove {
		turn += gather
	}
	clamp := func(v, most float64) float64 { return math.Max(1, math.Min(v, most)) }
	sets := rate * s.matches()
	perStream := sets / float64(s.Parties)
	b := batches{append: clamp(rate/float64(s.Nodes)*commit, maxBatch), match: clamp(rate*turn, maxBatch)}
	b.put = clamp(b.match*s.matches()/float64(s.partitions()), maxBatch)
	b.deliver = clamp(perStream*(turn+s.Receiver.Seconds()/2), pushWindow)
	b.poll = clamp(perStream*(turn+s.Receiver.Seconds()), pollAnswer)
	return b
}

const micro = 1e-6

// uses returns how busy everything is at a rate of events.
func uses(c *Costs, s Scenario, rate float64) []Use {
	n, r := c.Node, c.Redis
	b := batchesAt(s, rate)
	nodes, parts := float64(s.Nodes), float64(s.partitions())
	sets := rate * s.matches()
	pushes, pollSETs := sets*s.Push, sets*(1-s.Push)
	// A connection to a receiver is kept if the next SET comes before it is closed.
	perStream := sets / float64(s.Parties)
	cold := math.Exp(-perStream * s.IdleConn.Seconds())
	kept := s.pushed() * (1 - cold)
	polls := s.polling()*math.Exp(-perStream*s.LongPoll.Seconds())/s.LongPoll.Seconds() + pollSETs/b.poll

	beyond := s.beyond()
	signing := sets * n.Sign[s.Algorithm]
	node := rate*(n.Event+parts*n.Follow) + pushes*(n.Push+cold*n.Handshake) +
		pollSETs*n.PollSET + polls*n.Poll + s.polling()*n.Wait + signing + nodes*n.Idle
	log := rate*(r.AppendCall/b.append+r.Append+(nodes-1)*(r.ReadCall/b.match+r.Read)) + nodes*r.Idle/2
	part := rate*(r.MatchCall/b.match+beyond*r.Match)*parts + sets*(r.PutCall/b.put+r.Put) +
		pushes*((r.TakeCall+r.SettleCall)/b.deliver+r.Take+r.Settle) +
		pollSETs*((r.TakeCall+r.SettleCall)/b.poll+r.Take+r.Settle) +
		(polls-pollSETs/b.poll)*r.Poll + s.polling()*r.Wait + nodes*r.Idle/2

	p := place(s)
	look := s.RTT.Seconds() + r.MatchCall*micro
	if beyond > 0 { // of such a partition, event by event
		look += b.match * (s.RTT.Seconds() + r.Match*micro)
	}
	put := s.RTT.Seconds() + (r.PutCall+b.put*r.Put)*micro
	puts := b.match * s.matches() / parts / b.put
	turn := (look + math.Max(puts, math.Min(1, b.match*s.matches()/parts))*put) / b.match

	m := c.Memory
	partBytes := float64(s.Parties)*(m.Stream+float64(s.Subjects)*m.Subject) +
		sets*(s.Away*s.Outage.Seconds()+s.Receiver.Seconds())*m.SET
	logBytes := rate * (s.Keep.Seconds()*m.Event + s.Keys.Seconds()*m.Key)
	redisRoom := s.RedisGiB * (1 << 30)
	wire := s.NodeGbit * 1e9 / 8
	redisBytes := rate*c.Wire.RedisEvent*nodes + sets*c.Wire.RedisSET
	out := []Use{
		{NodeCPU, node * micro / (nodes * float64(s.Cores)), busyCPU, ""},
		{RedisCPU, (log + part*p.together) * micro, busyCPU, ""},
		{partCPU, part * p.most * micro, busyCPU, ""},
		{fanoutTurn, rate * turn, busyCPU, ""},
		{logMemory, (logBytes + partBytes*p.together) / redisRoom, busyMemory, ""},
		{partMemory, partBytes * p.most / redisRoom, busyMemory, ""},
		{nodeMemory, (kept*m.Conn + s.polling()*m.Poll) / nodes / (s.NodeGiB * (1 << 30)), busyMemory, ""},
		{sockets, (kept + s.polling()) / nodes / float64(s.MaxSockets), busyMemory, ""},
		{nodeNetwork, (rate*c.Wire.Event + sets*c.Wire.SET + redisBytes) / nodes / wire, busyWire, ""},
		{redisWire, redisBytes / float64(s.Masters) / wire, busyWire, ""},
	}
	if signing > node/2 {
		out[0].Of = ofSigning
	}
	if partBytes*p.together > logBytes {
		out[4].Of = ofStreams
	}
	return out
}

// worst returns the use that is nearest to its limit, or farthest beyond.
func worst(list []Use) Use {
	w := list[0]
	for _, u := range list[1:] {
		if u.over() > w.over() {
			w = u
		}
	}
	return w
}

// mostRate bounds the search.
const mostRate = 1e7

// bearable returns the rate at which the first resource is at its limit, and which.
func bearable(c *Costs, s Scenario) (float64, Use) {
	if w := worst(uses(c, s, 0)); w.over() >= 1 {
		return 0, w
	}
	low, high := 0.0, 1.0
	for high < mostRate && worst(uses(c, s, high)).over() < 1 {
		low, high = high, high*2
	}
	for range 60 {
		middle := (low + high) / 2
		if worst(uses(c, s, middle)).over() < 1 {
			low = middle
		} else {
			high = middle
		}
	}
	return low, worst(uses(c, s, high))
}
