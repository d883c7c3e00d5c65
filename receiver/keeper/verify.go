package keeper

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/streams"
)

// verify asks for a verification as soon as there is a stream, after it has been
// replaced or enabled, and on a schedule.
func (k *Keeper) verify(ctx context.Context) {
	if !k.awaitFirst(ctx) {
		return
	}
	failures := k.newBackoff()
	for {
		pause := jitter(k.cfg.VerifyInterval)
		if err := k.verifyOnce(ctx); err != nil {
			pause = failures.NextBackOff()
			if refused, ok := errors.AsType[*client.Error](err); ok {
				pause = max(pause, refused.RetryAfter)
			}
		} else {
			failures.Reset()
		}
		if !wait(ctx, max(pause, k.minVerification()), k.verifyNow) {
			return
		}
	}
}

// awaitFirst waits for the first reason to verify. Where another process has asked
// before, the next time is of its schedule.
func (k *Keeper) awaitFirst(ctx context.Context) bool {
	asked, answered := k.asked()
	if asked.IsZero() {
		select {
		case <-k.verifyNow:
			return true
		case <-ctx.Done():
			return false
		}
	}
	pause := k.minVerification()
	if !answered.Before(asked) {
		pause = max(pause, asked.Add(jitter(k.cfg.VerifyInterval)).Sub(k.now()))
	}
	return wait(ctx, pause, k.verifyNow)
}

// verifyOnce asks once and waits for the answer. A stream that is not enabled, or whose
// transmitter offers no verification, is not asked.
func (k *Keeper) verifyOnce(ctx context.Context) error {
	if status := k.status(); status != "" && status != streams.Enabled {
		return nil
	}
	err := k.ask(ctx)
	if ctx.Err() != nil {
		return nil
	}
	unoffered := errors.Is(err, client.ErrNotOffered)
	if unoffered {
		err = nil
	}
	k.noteVerification(unoffered, err)
	k.publish(ctx)
	if err != nil {
		k.log.WarnContext(ctx, "stream not verified", "stream_id", k.receiver.StreamID(), "err", err)
	}
	return err
}

// ask asks for a verification event and waits for it. One that does not come is a
// reason to tell the transmitter anew where and how SETs shall come: that it has lost
// our authorization header is to be seen nowhere else.
func (k *Keeper) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.VerifyTimeout+CallTimeout)
	defer cancel()
	state, answered, err := k.receiver.ExpectVerification(ctx)
	if err != nil {
		return err
	}
	k.noteAsked()
	id := k.receiver.StreamID()
	if _, err := call(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, k.api.Verify(ctx, id, &state) }); err != nil {
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusNotFound {
			signal(k.recheck)
		}
		return err
	}
	timer := time.NewTimer(k.cfg.VerifyTimeout)
	defer timer.Stop()
	answered, stop := k.answeredAnywhere(ctx, state, answered)
	defer stop()
	select {
	case <-answered:
		k.noteAnswered()
		k.log.DebugContext(ctx, "stream verified", "stream_id", id)
		return nil
	case <-timer.C:
		k.noteDoubt()
		signal(k.recheck)
		return fmt.Errorf("no verification event within %v", k.cfg.VerifyTimeout)
	case <-k.verifyNow: // the stream is another, or was enabled: what was asked for may be lost
		signal(k.verifyNow)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
