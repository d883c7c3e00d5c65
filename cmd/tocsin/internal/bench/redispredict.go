package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// predictFactor bounds how far a measured run may be from what was reckoned of it.
const predictFactor = 2

// predict compares two nodes under load with what the unit costs say of them: CPU of
// nodes and Redis for a SET.
func (b *bench) predict(ctx context.Context, w workload, c *simulate.Costs) (results []Result, err error) {
	var node, redis []Round
	err = b.withRig(ctx, func(r *rig) error {
		second, err := r.peer(ctx, RoleLoad)
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
		_, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			start := time.Now()
			cpu, used, err := r.nodesRound(ctx, two, []*peer{r.load, second})
			if err != nil {
				return Round{}, err
			}
			rate := float64(b.count(pairEvents)/2*2) / time.Since(start).Seconds()
			wantNode, wantRedis, err := reckon(c, rate)
			if err != nil {
				return Round{}, err
			}
			node, redis = append(node, Round{cpu[0] + cpu[1], wantNode}), append(redis, Round{used, wantRedis})
			return node[len(node)-1], nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for name, rounds := range map[string][]Round{"node": node[1:], "redis": redis[1:]} {
		one := workload{name: w.name + "-predicted-" + name, is: "CPU that two nodes under load used for a SET ÷ what the unit costs say"}
		result := one.atMost(predictFactor, "µs", rounds)
		result.Holds = result.Holds && result.Ratio >= 1.0/predictFactor
		results = append(results, result)
	}
	return results, nil
}

// reckon returns CPU in µs of all nodes and of Redis for an event that becomes one SET,
// at a rate, of what redisPair does.
func reckon(c *simulate.Costs, rate float64) (node, redis float64, err error) {
	s := simulate.Default()
	s.Parties, s.Push, s.Subjects, s.Matches, s.Rate = pairStreams, 1, pairSubjects/pairStreams, 1, rate
	s.Nodes, s.Cores, s.Algorithm, s.Replicas = 2, runtime.NumCPU(), "EdDSA", 0
	row, err := simulate.Run(c, s)
	for _, u := range row.Uses {
		switch u.Resource {
		case simulate.NodeCPU:
			node = 1e6 * u.Share * float64(s.Nodes*s.Cores) / rate
		case simulate.RedisCPU:
			redis = 1e6 * u.Share / rate
		}
	}
	return node, redis, err
}
