package bench

import (
	"context"
	"errors"
	"fmt"
)

// rig is senders, receivers and the servers between them.
type rig struct {
	bench   *bench
	load    *peer
	sink    *peer
	url     string // of the sink
	closers []func() error
}

// withRig calls fn with a rig that ends with it.
func (b *bench) withRig(ctx context.Context, fn func(r *rig) error) (err error) {
	r := &rig{bench: b}
	defer func() {
		for i := len(r.closers) - 1; i >= 0; i-- {
			err = errors.Join(err, r.closers[i]())
		}
	}()
	if r.sink, err = r.peer(ctx, RoleSink); err != nil {
		return err
	}
	if r.load, err = r.peer(ctx, RoleLoad); err != nil {
		return err
	}
	if err := r.sink.call("url", nil, &r.url); err != nil {
		return err
	}
	return fn(r)
}

func (r *rig) peer(ctx context.Context, role string) (*peer, error) {
	p, err := r.bench.peer(ctx, role)
	if err == nil {
		r.closers = append(r.closers, p.close)
	}
	return p, err
}

func (r *rig) serve(ctx context.Context, flags ...string) (*server, error) {
	return r.serveIn(ctx, "", flags...)
}

// serveIn serves a data folder, a new one if dir is "".
func (r *rig) serveIn(ctx context.Context, dir string, flags ...string) (*server, error) {
	s, err := r.bench.serve(ctx, dir, flags...)
	if err == nil {
		r.closers = append(r.closers, s.close)
	}
	return s, err
}

// endpoint is the URL of receiver i of a kind.
func (r *rig) endpoint(path string, i int) string { return r.url + path + fmt.Sprint(i) }

// deliver sends events and waits until sets SETs have arrived.
func (r *rig) deliver(c sendCall, sets int, times bool) (sendAnswer, waitAnswer, error) {
	var sent sendAnswer
	var got waitAnswer
	if err := r.sink.call("expect", expectCall{SETs: sets, Times: times}, nil); err != nil {
		return sent, got, err
	}
	if err := r.load.call("send", c, &sent); err != nil {
		return sent, got, err
	}
	err := r.sink.call("wait", nil, &got)
	return sent, got, err
}

// cost is the server's CPU time per event of a load that is delivered once, in µs.
func (r *rig) cost(ctx context.Context, s *server, c sendCall) (float64, error) {
	us, err := s.cpu(ctx, func() error {
		_, _, err := r.deliver(c, c.Events, false)
		return err
	})
	return us / float64(c.Events), err
}
