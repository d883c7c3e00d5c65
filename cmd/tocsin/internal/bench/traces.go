package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// tracesTarget bounds what traces may add to an event's CPU.
const tracesTarget = 1.6

// traces measures what traces cost: the same events through a server that sends its spans
// to a collector, and one that makes none.
func (b *bench) traces(ctx context.Context, w workload) ([]Result, error) {
	collector, end, err := collect(ctx)
	if err != nil {
		return nil, err
	}
	var rounds []Round
	err = b.withRig(ctx, func(r *rig) error {
		cost := func(kind int, flags ...string) (func(ctx context.Context) (float64, error), error) {
			s, err := r.serve(ctx, append(flags, "--algorithm", "EdDSA")...)
			if err == nil {
				_, err = s.stream(ctx, r.endpoint(pathPrompt, kind), typeWanted)
			}
			return func(ctx context.Context) (float64, error) { return r.cost(ctx, s, s.events(b.count(eventsEdDSA))) }, err
		}
		off, err := cost(0)
		if err != nil {
			return err
		}
		on, err := cost(1, "--otlp-endpoint", collector)
		if err != nil {
			return err
		}
		rounds, err = b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) {
			floor, err := off(ctx)
			if err != nil {
				return Round{}, err
			}
			us, err := on(ctx)
			return Round{us, floor}, err
		})
		return err
	})
	return []Result{w.atMost(tracesTarget, "µs CPU/event", rounds)}, errors.Join(err, end())
}

// collect serves a collector that reads spans and keeps none, in this process: what it
// costs is not the server's.
func collect(ctx context.Context) (url string, end func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("starting a collector: %w", err)
	}
	s := &http.Server{ReadHeaderTimeout: callTime, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String(), s.Close, nil
}
