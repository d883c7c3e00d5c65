package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Times around a status that is not the one wanted.
const (
	// verdictGrace is how long a stream-updated may be on its way: a status that was
	// found changed is left alone for that long. It is also how long before the
	// change it may come.
	verdictGrace = 30 * time.Second
	// repairPause is the shortest time between two attempts to change a status: who
	// changes it back without telling, or refuses, is not fought.
	repairPause = time.Hour
	// resumePause is the shortest time between two pauses that are lifted.
	resumePause = 24 * time.Hour
)

// keepStatus makes the stream's status the one wanted, unless the transmitter decided
// otherwise. It reports false if it has to be looked at again soon.
func (k *Keeper) keepStatus(ctx context.Context, id string) (settled bool, err error) {
	found, err := call(ctx, func(ctx context.Context) (client.Status, error) { return k.api.Status(ctx, id) })
	if errors.Is(err, client.ErrNotOffered) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	v, err := k.verdictOn(ctx, found)
	if err != nil {
		return false, err
	}
	k.noteStatus(found, v)
	if k.cfg.Stream.LeaveStatus || found.Status == k.cfg.Stream.Status {
		k.odd = oddity{}
		return true, nil
	}
	if v != nil {
		k.odd = oddity{}
		return k.resume(ctx, found, *v)
	}
	switch {
	case k.odd.status != found.Status:
		k.odd = oddity{found.Status, k.now()}
		return false, nil
	case k.now().Sub(k.odd.since) < verdictGrace:
		return false, nil
	case !k.tried.IsZero() && k.now().Sub(k.tried) < repairPause:
		return true, nil
	}
	return k.setStatus(ctx, found)
}

// oddity is a status that is not the one wanted, and since when it was seen.
type oddity struct {
	status streams.Status
	since  time.Time
}

// verdictOn returns the transmitter's decision for the status found, nil if there is
// none. A decision for another status has lost its force.
func (k *Keeper) verdictOn(ctx context.Context, found client.Status) (*verdict, error) {
	v := k.state.get().Verdict
	if v == nil || v.Status == found.Status {
		return v, nil
	}
	if k.now().Sub(v.Told) < verdictGrace {
		return nil, nil // it is told before it is done (SSF §8.1.5)
	}
	return nil, k.state.change(ctx, func(s *state) { s.Verdict = nil })
}

// resume lifts a pause that the transmitter told, where that is wanted and was not done
// for it or lately.
func (k *Keeper) resume(ctx context.Context, found client.Status, v verdict) (bool, error) {
	last := k.state.get().Resumed
	if !k.cfg.Stream.Resume || v.Status != streams.Paused || v.Lifted || k.now().Sub(last) < resumePause {
		return true, nil
	}
	err := k.state.change(ctx, func(s *state) {
		s.Resumed = k.now()
		if s.Verdict != nil && s.Verdict.At.Equal(v.At) { // no other was told meanwhile
			v.Lifted = true
			s.Verdict = &v
		}
	})
	if err != nil {
		return false, err
	}
	return k.setStatus(ctx, found)
}

// setStatus asks for the status wanted. A refusal is no failure of the keeper's: the
// status that is found is shown.
func (k *Keeper) setStatus(ctx context.Context, found client.Status) (bool, error) {
	k.tried = k.now()
	got, err := call(ctx, func(ctx context.Context) (client.Status, error) {
		return k.api.SetStatus(ctx, found.StreamID, k.cfg.Stream.Status, "")
	})
	if refused, ok := errors.AsType[*client.Error](err); ok &&
		slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict}, refused.Status) {
		k.log.WarnContext(ctx, "transmitter refuses to change the stream's status", "stream_id", found.StreamID, "status", string(found.Status), "err", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	k.odd = oddity{}
	k.noteRepair()
	k.noteStatus(got, nil)
	k.log.WarnContext(ctx, "stream status repaired", "stream_id", found.StreamID, "found", string(found.Status), "status", string(got.Status))
	return true, nil
}

// updated keeps what a stream-updated event tells, durably: a restart does not make the
// transmitter's decision undone.
func (k *Keeper) updated(ctx context.Context, d receiver.Delivery, payload []byte) error {
	var told struct {
		Status streams.Status `json:"status"`
		Reason string         `json:"reason"`
	}
	if json.Unmarshal(payload, &told) != nil || !told.Status.Valid() {
		return nil // the receiver has said so
	}
	defer signal(k.recheck)
	return k.state.change(ctx, func(s *state) {
		if s.Verdict != nil && s.Verdict.At.After(d.Token.IssuedAt) {
			return // an older one that was resent
		}
		s.Verdict = nil
		if told.Status != streams.Enabled {
			s.Verdict = &verdict{Status: told.Status, Reason: told.Reason, At: d.Token.IssuedAt, Told: k.now()}
		}
	})
}
