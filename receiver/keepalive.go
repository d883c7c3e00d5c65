package receiver

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
)

// Pauses of a receiver that keeps its stream from being taken for abandoned.
const (
	minAlive    = time.Second      // between two calls, however short the timeout
	aliveRetry  = time.Minute      // after a failure, or while the stream_id is not known
	aliveReread = 12 * time.Hour   // of the configuration of a stream without timeout
	aliveLimit  = 30 * time.Second // for one call
)

// keepAlive reads the status of a stream with an inactivity_timeout once in half of
// that time (SSF §8.1.1): pushes that arrive do not count as activity.
func (r *Receiver) keepAlive(ctx context.Context) error {
	if r.cfg.Client == nil {
		return nil
	}
	var pause time.Duration
	for wait(ctx, pause) {
		pause = r.showActivity(ctx)
	}
	return nil
}

// showActivity makes the calls once and returns the time until the next.
func (r *Receiver) showActivity(ctx context.Context) time.Duration {
	id := r.StreamID()
	if id == "" {
		return aliveRetry
	}
	ctx, cancel := context.WithTimeout(ctx, aliveLimit)
	defer cancel()
	stream, err := r.cfg.Client.Stream(ctx, id)
	if err == nil {
		_, err = r.cfg.Client.Status(ctx, id)
	}
	if err != nil && !errors.Is(err, client.ErrNotOffered) {
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "stream cannot be read", "stream_id", id, "err", err)
		}
		return aliveRetry
	}
	if stream.InactivityTimeout == 0 {
		return aliveReread
	}
	return max(time.Duration(stream.InactivityTimeout)*time.Second/2, minAlive)
}
