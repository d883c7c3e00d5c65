package bench

import (
	"context"
	"errors"
)

const (
	appendWriters = 64
	appendRecords = 30_000 // of a round
	appendTarget  = 0.3
)

// append compares the log with a file, both in one process of their own.
func (b *bench) append(ctx context.Context, w workload) ([]Result, error) {
	var rounds []Round
	err := b.withLog(ctx, openCall{Dir: b.folder()}, func(p *peer) (err error) {
		rounds, err = b.rounds(ctx, w.name, func(context.Context) (r Round, err error) {
			err = p.call("append", appendCall{Writers: appendWriters, Records: b.count(appendRecords)}, &r)
			return r, err
		})
		return err
	})
	return []Result{w.atLeast(appendTarget, "records/s", rounds)}, err
}

// withLog calls fn with a process that has a log open, which ends with it.
func (b *bench) withLog(ctx context.Context, c openCall, fn func(*peer) error) error {
	p, err := b.peer(ctx, RoleLog)
	if err != nil {
		return err
	}
	err = p.call("open", c, nil)
	if err == nil {
		err = fn(p)
	}
	return errors.Join(err, p.close())
}
