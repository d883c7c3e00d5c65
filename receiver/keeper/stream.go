package keeper

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// minPause is the shortest time between two looks at the stream, however short its
// inactivity timeout.
const minPause = time.Second

// maxBefore bounds the streams whose ids are noted before another is created.
const maxBefore = 100

// keep looks at the stream again and again and makes it what it shall be.
func (k *Keeper) keep(ctx context.Context) {
	failures := k.newBackoff()
	if err := k.state.read(ctx); err != nil { // a keeper before this one may have written since New
		k.noteLook(err)
	}
	var pause time.Duration
	for wait(ctx, pause, k.recheck) {
		next, err := k.look(ctx)
		if ctx.Err() != nil {
			return
		}
		k.noteLook(err)
		k.publish(ctx)
		if err == nil {
			failures.Reset()
			pause = jitter(next)
			continue
		}
		pause = failures.NextBackOff()
		if refused, ok := errors.AsType[*client.Error](err); ok {
			pause = max(pause, refused.RetryAfter)
		}
		k.log.WarnContext(ctx, "stream cannot be kept as configured", "stream_id", k.receiver.StreamID(), "in", pause, "err", err)
	}
}

// look makes the stream what it shall be and returns how long it may be left alone.
func (k *Keeper) look(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*CallTimeout)
	defer cancel()
	if k.cfg.Shared != nil {
		if err := k.state.read(ctx); err != nil { // others may have been told something
			return 0, err
		}
	}
	metadata, err := k.api.Metadata(ctx)
	if err != nil {
		return 0, err
	}
	k.noteCritical(metadata.CriticalSubjectMembers)
	stream, err := k.find(ctx)
	if errors.Is(err, client.ErrNotFound) {
		stream, err = k.create(ctx)
	}
	if err != nil {
		return 0, err
	}
	if err := k.adopt(ctx, stream); err != nil {
		return 0, err
	}
	if stream, err = k.repair(ctx, stream); err != nil {
		return 0, err
	}
	next := k.cfg.Interval
	settled, err := k.keepStatus(ctx, stream.StreamID)
	if err != nil {
		return 0, err
	}
	if k.unverified { // not before it has been told where and how SETs shall come
		k.unverified = false
		signal(k.verifyNow)
	}
	if !settled {
		next = min(next, verdictGrace)
	}
	if stream.InactivityTimeout > 0 {
		next = min(next, max(time.Duration(stream.InactivityTimeout)*time.Second/2, minPause))
	}
	return next, nil
}

// find returns the stream as it is: by its id if one is known, else by the push
// endpoint. Error: client.ErrNotFound if there is none.
func (k *Keeper) find(ctx context.Context) (streams.Configuration, error) {
	id := k.state.get().StreamID
	if id == "" {
		id = k.cfg.Stream.ID
	}
	if id != "" {
		stream, err := call(ctx, func(ctx context.Context) (streams.Configuration, error) { return k.api.Stream(ctx, id) })
		if err == nil || !errors.Is(err, client.ErrNotFound) {
			return stream, err
		}
		k.log.WarnContext(ctx, "stream is gone at the transmitter", "stream_id", id)
	}
	before := k.state.get().Before
	if before == nil && k.cfg.Stream.Delivery.Method == delivery.MethodPoll {
		return streams.Configuration{}, client.ErrNotFound
	}
	list, err := k.list(ctx)
	if err != nil {
		return streams.Configuration{}, err
	}
	for _, stream := range list {
		if k.isOurs(stream, before) {
			return stream, nil
		}
	}
	return streams.Configuration{}, client.ErrNotFound
}

// isOurs reports whether stream is pushed to our endpoint, or polled and the one that we
// created when there were those in before.
func (k *Keeper) isOurs(stream streams.Configuration, before *[]string) bool {
	want := k.cfg.Stream
	if want.Delivery.Method == delivery.MethodPush {
		return stream.Delivery.EndpointURL == want.Delivery.EndpointURL
	}
	return before != nil && !slices.Contains(*before, stream.StreamID) && stream.Delivery.Method == delivery.MethodPoll &&
		stream.Description == want.Description && same(stream.EventsRequested, k.cfg.wanted())
}

// list returns our streams, none if the transmitter has no list.
func (k *Keeper) list(ctx context.Context) ([]streams.Configuration, error) {
	list, err := call(ctx, k.api.Streams)
	if err != nil && !listless(err) {
		return nil, err
	}
	return list, nil
}

// announce notes which streams there are before a polled one is created: if the answer
// is lost, nothing else tells which one it was.
func (k *Keeper) announce(ctx context.Context) error {
	if k.cfg.Stream.Delivery.Method != delivery.MethodPoll {
		return nil
	}
	list, err := k.list(ctx)
	if err != nil {
		return err
	}
	if len(list) > maxBefore {
		return nil
	}
	ids := make([]string, len(list))
	for i, stream := range list {
		ids[i] = stream.StreamID
	}
	return k.state.change(ctx, func(s *state) { s.Before = &ids })
}

// listless reports whether err says that the transmitter has no list of streams, or
// none that may be used.
func listless(err error) bool {
	if refused, ok := errors.AsType[*client.Error](err); ok {
		return slices.Contains([]int{
			http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented,
		}, refused.Status)
	}
	return errors.Is(err, client.ErrMismatch)
}

// create creates the stream, or adopts the one that the transmitter has for us (409).
func (k *Keeper) create(ctx context.Context) (streams.Configuration, error) {
	if err := k.announce(ctx); err != nil {
		return streams.Configuration{}, err
	}
	var adopted bool
	stream, err := call(ctx, func(ctx context.Context) (streams.Configuration, error) {
		s, found, err := k.api.Ensure(ctx, k.request())
		adopted = found
		return s, err
	})
	if err != nil {
		return streams.Configuration{}, err
	}
	k.said = &stream // it has just been told everything
	k.log.InfoContext(ctx, "stream created", "stream_id", stream.StreamID, "adopted", adopted)
	return stream, nil
}

// adopt makes stream the receiver's.
func (k *Keeper) adopt(ctx context.Context, stream streams.Configuration) error {
	former := k.state.get().StreamID
	if err := k.state.change(ctx, func(s *state) {
		s.Before = nil
		if s.StreamID != stream.StreamID {
			s.StreamID, s.Verdict, s.Resumed = stream.StreamID, nil, time.Time{}
		}
	}); err != nil {
		return err
	}
	k.receiver.SetStreamID(stream.StreamID)
	k.pollAt(stream)
	if k.noteStream(stream, former) {
		k.unverified = true
		if former != "" && former != stream.StreamID {
			k.log.WarnContext(ctx, "stream replaced", "former", former, "stream_id", stream.StreamID)
		}
	}
	return nil
}

// pollAt tells the receiver where a stream is polled, if the answer says so.
func (k *Keeper) pollAt(stream streams.Configuration) {
	how := stream.Delivery
	if k.cfg.Stream.Delivery.Method == delivery.MethodPoll && how.Method == delivery.MethodPoll && how.EndpointURL != "" {
		k.receiver.SetPollEndpoint(how.EndpointURL)
	}
}

// repair tells the transmitter what the stream shall be, if it has not been told in
// this process or the stream has changed since.
func (k *Keeper) repair(ctx context.Context, stream streams.Configuration) (streams.Configuration, error) {
	var drifted []string
	if k.said != nil {
		if drifted = k.drift(stream); len(drifted) == 0 && !k.takeDoubt() {
			return stream, nil
		}
	}
	answer, err := call(ctx, func(ctx context.Context) (streams.Configuration, error) {
		return k.api.Apply(ctx, stream.StreamID, k.request())
	})
	if err != nil {
		return stream, err
	}
	k.said = &answer
	if len(drifted) > 0 {
		k.noteRepair()
		k.log.WarnContext(ctx, "stream had been changed, repaired", "stream_id", stream.StreamID, "members", drifted)
	}
	k.noteStream(answer, "")
	k.pollAt(answer)
	return answer, nil
}

// drift names the members in which stream differs from what is wanted. What the
// transmitter has answered when it was last told is no drift, also if it is not what
// was wanted: asking again would change nothing.
func (k *Keeper) drift(stream streams.Configuration) []string {
	want := k.cfg.Stream
	var names []string
	if types := stream.EventsRequested; !same(types, k.cfg.wanted()) && !same(types, k.said.EventsRequested) {
		names = append(names, "events_requested")
	}
	moved := want.Delivery.Method == delivery.MethodPush && stream.Delivery.EndpointURL != want.Delivery.EndpointURL
	if (stream.Delivery.Method != want.Delivery.Method || moved) && stream.Delivery != k.said.Delivery {
		names = append(names, "delivery")
	}
	if want.Description != "" && stream.Description != want.Description && stream.Description != k.said.Description {
		names = append(names, "description")
	}
	return names
}

// request is what the receiver says about its stream. Event types are always in it:
// without them nothing is requested (U11).
func (k *Keeper) request() client.Request {
	how := k.cfg.Stream.Delivery
	r := client.Request{EventsRequested: k.cfg.wanted(), Delivery: &how}
	if text := k.cfg.Stream.Description; text != "" {
		r.Description = &text
	}
	return r
}

// call bounds one call of the API.
func call[T any](ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	return fn(ctx)
}

// same compares lists of event types as sets (U10).
func same(a, b []string) bool {
	within := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	return !slices.ContainsFunc(a, within(b)) && !slices.ContainsFunc(b, within(a))
}
