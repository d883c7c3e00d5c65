package bench

import (
	"context"
	"errors"
	"fmt"
)

const (
	stateStreams  = 100_000
	stateSubjects = 10 // of each: a million
	// stateLess is by how much less is made without --full.
	stateLess = 50

	streamBytes  = 4 << 10 // at most, of a stream in Redis
	subjectBytes = 640     // at most, of a subject; with few, what a partition has besides counts too
)

// redisState measures the memory of streams and of their subjects.
func (b *bench) redisState(ctx context.Context, w workload) ([]Result, error) {
	n := stateStreams
	if !b.Full {
		n = b.count(n / stateLess)
	}
	stream, subject, err := b.stateMemory(ctx, n)
	return []Result{
		bounded(w.name+"-stream", fmt.Sprintf("memory of Redis for each of %d streams without subjects", n), stream, streamBytes),
		bounded(w.name+"-subject", fmt.Sprintf("memory of Redis for each of %d subjects, an e-mail address each, %d of a stream", n*stateSubjects, stateSubjects), subject, subjectBytes),
	}, err
}

// stateMemory returns the memory of Redis for each of n streams, and for each of their
// subjects.
func (b *bench) stateMemory(ctx context.Context, n int) (stream, subject float64, err error) {
	p, err := b.peer(ctx, RoleRedis)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.call("open", openRedisCall{b.redis.url, b.redis.space()}, nil); err != nil {
		return 0, 0, err
	}
	if stream, err = b.grow(ctx, p, n, 0); err != nil {
		return 0, 0, err
	}
	with, err := b.grow(ctx, p, n, stateSubjects)
	return stream, (with - stream) / stateSubjects, err
}

// grow makes streams with subjects, and returns the memory of each stream.
func (b *bench) grow(ctx context.Context, p *peer, n, subjects int) (float64, error) {
	bar := b.progress(fmt.Sprintf("making %d streams with %d subjects each", n, subjects), n)
	defer bar.end()
	const steps = 50
	used, err := b.redis.during(ctx, func() error {
		for i := range steps {
			bar.to(n / steps * i)
			if err := p.call("grow", growCall{n / steps, subjects}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return used.memory / float64(n/steps*steps), err
}

// bounded is a figure that is at most target.
func bounded(name, is string, value, target float64) Result {
	r := workload{name: name, is: is}.result("B", []Round{{Value: value}})
	r.Target, r.Holds = target, value <= target
	return r
}
