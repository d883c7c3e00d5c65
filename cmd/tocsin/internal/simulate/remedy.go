package simulate

import (
	"fmt"
	"math"
	"time"
)

// Step is one thing that is done about what gives out first.
type Step struct {
	About    string  `json:"about"` // the resource
	Do       string  `json:"do"`
	Bearable float64 `json:"bearable"` // events a second after it
	Next     string  `json:"next"`     // what gives out first then
}

// maxSteps bounds how far remedies are followed.
const maxSteps = 4

// steps applies remedies one after the other, until the wanted rate is borne, nothing
// is left to do, or there are enough.
func steps(c *Costs, s Scenario, rate float64, first Use) []Step {
	list := []Step{}
	for len(list) < maxSteps && (s.Rate == 0 || rate < s.Rate) {
		next, do := remedy(c, s, first)
		if next == s {
			return append(list, Step{first.Resource, do, rate, first.Resource})
		}
		s = next
		about := first.Resource
		rate, first = bearable(c, s)
		list = append(list, Step{about, do, rate, first.Resource})
	}
	return list
}

// Bounds of remedies.
const (
	firstMasters = 3
	nearest      = 100 * time.Microsecond
	shortest     = time.Hour
	largest      = 512 // GiB
)

// remedy returns the scenario in which something was done about a resource, and what;
// the same scenario if nothing can be done within one transmitter.
func remedy(c *Costs, s Scenario, about Use) (Scenario, string) {
	switch about.Resource {
	case NodeCPU:
		if cheap := cheaper(c, s.Algorithm); about.Of == ofSigning && cheap != "" {
			old := s.Algorithm
			s.Algorithm = cheap
			return s, fmt.Sprintf("%s in place of %s, which signs %.0f times as fast, where receivers take it", cheap, old, c.Node.Sign[old]/c.Node.Sign[cheap])
		}
		return moreNodes(s)
	case nodeMemory, sockets, nodeNetwork:
		return moreNodes(s)
	case logMemory:
		if about.Of == ofStreams {
			return moreMasters(s)
		}
		if s.Keep > shortest && s.Keep.Seconds()*c.Memory.Event > s.Keys.Seconds()*c.Memory.Key {
			s.Keep = max(s.Keep/4, shortest)
			return s, fmt.Sprintf("serve --retention %v", s.Keep)
		}
		if s.RedisGiB >= largest {
			return s, "nothing more within one log: several issuers that share the sources"
		}
		s.RedisGiB = min(s.RedisGiB*2, largest)
		return s, fmt.Sprintf("%g GiB of memory for the log's server", s.RedisGiB)
	case fanoutTurn:
		if s.RTT <= nearest {
			return s, "nothing more: partitions are 16; several issuers that share the sources"
		}
		s.RTT = max(s.RTT/2, nearest)
		return s, fmt.Sprintf("Redis nearer to the nodes: a round trip of %v", s.RTT)
	case RedisCPU:
		if s.LogAlone {
			return s, "nothing more within one log: a faster core, or several issuers that share the sources"
		}
	}
	return moreMasters(s)
}

func moreNodes(s Scenario) (Scenario, string) {
	s.Nodes *= 2
	return s, fmt.Sprintf("%d nodes", s.Nodes)
}

// moreMasters doubles the servers of the cluster; more than one for each partition and
// one for the log are of no use.
func moreMasters(s Scenario) (Scenario, string) {
	most := s.partitions() + 1
	if s.Masters >= most && s.LogAlone {
		return s, fmt.Sprintf("nothing more: %d servers have a partition each; several issuers that share the sources", most-1)
	}
	s.Masters = min(max(2*s.Masters, firstMasters), most)
	s.LogAlone = true
	return s, fmt.Sprintf("a cluster of %d masters, the log's slot alone on one", s.Masters)
}

// cheaper returns the algorithm that signs fastest of those that receivers commonly
// take; "" if it is that one already.
func cheaper(c *Costs, than string) string {
	best, least := "", math.Inf(1)
	for _, algorithm := range []string{"ES256", "RS256"} {
		if us, ok := c.Node.Sign[algorithm]; ok && us < least {
			best, least = algorithm, us
		}
	}
	if us := c.Node.Sign[than]; best == than || us <= least {
		return ""
	}
	return best
}
