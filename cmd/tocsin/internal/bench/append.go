package bench

import (
	"context"
	"errors"
)

const (
	appendWriters = 64
	appendRecords = 60_000 // of a round
	appendTarget  = 0.3
)

// append compares the log with a file, both in one process of their own.
func (b *bench) append(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withLog(ctx, func(p *peer) (err error) {
		rounds, err = b.rounds(ctx, w.name, func(context.Context) (r Round, err error) {
			err = p.call("append", appendCall{Writers: appendWriters, Records: b.count(appendRecords)}, &r)
			return r, err
		})
		return err
	})
	return []Result{w.atLeast(appendTarget, "records/s", rounds)}, err
}

// withLog calls fn with a process that has an empty log, which ends with it.
func (b *bench) withLog(ctx context.Context, fn func(*peer) error) error {
	p, err := b.peer(ctx, RoleLog)
	if err != nil {
		return err
	}
	err = p.call("open", openCall{Dir: b.folder()}, nil)
	if err == nil {
		err = fn(p)
	}
	return errors.Join(err, p.close())
}
