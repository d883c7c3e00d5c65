package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	acceptSETs    = 3000 // of a round
	acceptWorkers = 64   // that wait for the same commit
	pushSETs      = 3000 // of a round
	pushSenders   = 32
	burstSETs     = 100_000
	burstSenders  = 256
	// burstGrowth is by how much a receiver's memory may grow, in MiB, while
	// burstSETs wait for their hooks: at most 2 KiB each, and the caches of SQLite.
	burstGrowth = 256
)

// receiveAccept measures what a SET costs from its bytes to the inbox, without HTTP.
func (b *bench) receiveAccept(ctx context.Context, w workload) ([]Result, error) {
	rounds, err := b.receiving(ctx, receiveCall{Algorithm: jose.RS256}, func(p *peer) ([]Round, error) {
		return b.rounds(ctx, w.name, func(context.Context) (r Round, err error) {
			err = p.call("accept", acceptCall{Workers: acceptWorkers, SETs: b.count(acceptSETs)}, &r)
			return r, err
		})
	})
	if err != nil {
		return nil, err
	}
	return []Result{w.atMost(2.5, "µs CPU/SET", rounds)}, nil
}

// receiving calls fn with a process that has a receiver.
func (b *bench) receiving(ctx context.Context, c receiveCall, fn func(p *peer) ([]Round, error)) (_ []Round, err error) {
	p, err := b.peer(ctx, RoleReceiver)
	if err != nil {
		return nil, err
	}
	defer func() {
		if end := p.close(); err == nil {
			err = end
		}
	}()
	c.Dir = b.folder()
	if err := p.call("open", c, nil); err != nil {
		return nil, err
	}
	return fn(p)
}

// receivePush measures the rate of pushed SETs against that of a bare handler in the
// same process.
func (b *bench) receivePush(ctx context.Context, w workload) ([]Result, error) {
	load, err := b.peer(ctx, RoleLoad)
	if err != nil {
		return nil, err
	}
	defer func() { _ = load.close() }()
	n := b.count(pushSETs)
	b.say("%s: signing %d SETs", w.name, 2*n*(Rounds+1))
	var issuer string
	if err := load.call("mint", mintCall{Algorithm: jose.RS256, SETs: 2 * n * (Rounds + 1)}, &issuer); err != nil {
		return nil, err
	}
	rounds, err := b.receiving(ctx, receiveCall{Algorithm: jose.RS256, Issuer: issuer}, func(p *peer) ([]Round, error) {
		var url string
		if err := p.call("url", nil, &url); err != nil {
			return nil, err
		}
		return b.rounds(ctx, w.name, func(context.Context) (r Round, err error) {
			push := func(path string, rate *float64) error {
				return load.call("push", pushCall{URL: url + path, SETs: n, Senders: pushSenders}, rate)
			}
			if err := push(pathBare, &r.Floor); err != nil {
				return r, err
			}
			err = push(pathReceive, &r.Value)
			return r, err
		})
	})
	if err != nil {
		return nil, err
	}
	return []Result{w.atLeast(0.3, "SETs/s", rounds)}, nil
}

// receiveBurst pushes very many SETs at once and looks at what became of them, at the
// process' memory, and at how often the keys were fetched.
func (b *bench) receiveBurst(ctx context.Context, w workload) (results []Result, err error) {
	load, err := b.peer(ctx, RoleLoad)
	if err != nil {
		return nil, err
	}
	defer func() { _ = load.close() }()
	b.say("%s: signing %d SETs", w.name, burstSETs)
	var issuer string
	if err := load.call("mint", mintCall{Algorithm: jose.EdDSA, SETs: burstSETs}, &issuer); err != nil {
		return nil, err
	}
	_, err = b.receiving(ctx, receiveCall{Algorithm: jose.EdDSA, Issuer: issuer, Run: true}, func(p *peer) ([]Round, error) {
		results, err = b.burst(ctx, w, load, p)
		return nil, err
	})
	return results, err
}

func (b *bench) burst(ctx context.Context, w workload, load, p *peer) ([]Result, error) {
	var url string
	if err := p.call("url", nil, &url); err != nil {
		return nil, err
	}
	before, err := peakOf(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	var rate float64
	if err := load.call("push", pushCall{URL: url + pathReceive, SETs: burstSETs, Senders: burstSenders}, &rate); err != nil {
		return nil, err
	}
	b.say("%s: %d SETs were taken at %.0f a second", w.name, burstSETs, rate)
	var handled int
	for start := time.Now(); handled < burstSETs && time.Since(start) < waitTime; {
		if err := pause(ctx, quietTime); err != nil {
			return nil, err
		}
		if err := p.call("handled", nil, &handled); err != nil {
			return nil, err
		}
	}
	after, err := peakOf(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	var fetches float64
	if err := load.call("fetches", nil, &fetches); err != nil {
		return nil, err
	}
	grown, lost := float64(after-before)/(1<<20), float64(burstSETs-handled)
	return []Result{
		{Name: w.name, Is: w.is, Value: grown, Unit: "MiB", Target: burstGrowth, Holds: grown <= burstGrowth},
		{
			Name: w.name + "-lost", Value: lost, Unit: "SETs", Holds: lost == 0,
			Is: "SETs of those that were answered 202 whose hooks did not run; must be none",
		},
		{Name: w.name + "-rate", Value: rate, Unit: "SETs/s", Holds: true, Is: fmt.Sprintf("SETs a second answered 202, %d senders", burstSenders)},
		{
			Name: w.name + "-jwks", Value: fetches, Unit: "fetches", Target: 1, Holds: fetches <= 1,
			Is: fmt.Sprintf("fetches of the issuer's keys for %d tokens", burstSETs),
		},
	}, nil
}
