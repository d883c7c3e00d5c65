package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

// Shared is what several processes have together that receive from one transmitter: the
// turn to keep its stream, to verify it and to poll, and the state of the stream.
type Shared interface {
	// Turn runs work while it is the turn of this process, again and again until ctx
	// ends. Of all processes one at a time has the turn; its work's context ends when
	// it is no longer its own.
	Turn(ctx context.Context, work func(ctx context.Context))
	// Load returns what was kept last; nil: nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Swap keeps next, durably on return, if what is kept still is last (nil: nothing),
	// and tells the other processes. It returns false, and keeps nothing, if it is not.
	Swap(ctx context.Context, last, next []byte) (bool, error)
	// Changed is signalled when a process may have kept something.
	Changed() <-chan struct{}
}

const (
	// rereadPause is how often a process reads what others have kept, if nobody tells it.
	rereadPause = 30 * time.Second
	// swapAttempts is how often a change is made anew that others were faster than.
	swapAttempts = 10
	// answerPause is how often it is looked whether another process got the answer to a
	// verification.
	answerPause = time.Second
)

// sharedState is a state that several processes have.
type sharedState struct {
	shared Shared
	order  sync.Mutex // one read or change at a time

	mu  sync.Mutex
	now state
	raw []byte // now, as it is kept; nil: nothing is
}

func (s *sharedState) get() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *sharedState) read(ctx context.Context) error {
	s.order.Lock()
	defer s.order.Unlock()
	return s.load(ctx)
}

func (s *sharedState) load(ctx context.Context) error {
	raw, err := s.shared.Load(ctx)
	if err != nil {
		return fmt.Errorf("keeper: what is kept of the stream cannot be read: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := state{Issuer: s.now.Issuer}
	if raw != nil {
		if err := jsonv2.Unmarshal(raw, &next); err != nil {
			return fmt.Errorf("keeper: what is kept of the stream: %w", err)
		}
	}
	if next.Issuer != s.now.Issuer {
		return fmt.Errorf("keeper: what is kept of the stream is of issuer %.200q, not of %.200q", next.Issuer, s.now.Issuer)
	}
	s.now, s.raw = next, raw
	return nil
}

func (s *sharedState) change(ctx context.Context, fn func(*state)) error {
	s.order.Lock()
	defer s.order.Unlock()
	for range swapAttempts {
		s.mu.Lock()
		next, last := s.now, s.raw
		s.mu.Unlock()
		fn(&next)
		raw, err := json.Marshal(next)
		if err != nil {
			return err
		}
		if bytes.Equal(raw, last) {
			return nil
		}
		kept, err := s.shared.Swap(ctx, last, raw)
		if err != nil {
			return fmt.Errorf("keeper: what is known of the stream cannot be kept: %w", err)
		}
		if kept {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.now, s.raw = next, raw
			return nil
		}
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	return errors.New("keeper: what is known of the stream cannot be kept: others change it all the time")
}

// view is what the process sees that keeps a stream, for the others.
type view struct {
	Stream    StreamHealth `json:"stream"`
	MinVerify int64        `json:"min_verify,omitempty"` // seconds
	Asked     time.Time    `json:"asked,omitzero"`
	Answered  time.Time    `json:"answered,omitzero"`
	Unasked   bool         `json:"unasked,omitempty"`
	Unproven  string       `json:"unproven,omitempty"`
	Critical  []string     `json:"critical,omitempty"`
}

// share does the work of one when it is this process's turn, and else sees what the one
// sees whose turn it is.
func (k *Keeper) share(ctx context.Context, group *errgroup.Group) {
	if k.state != nil {
		group.Go(func() error { k.watch(ctx); return nil })
	}
	if k.takesTurns() {
		group.Go(func() error { k.cfg.Shared.Turn(ctx, k.myTurn); return nil })
	}
}

// takesTurns reports whether there is anything that one process at a time does.
func (k *Keeper) takesTurns() bool { return k.state != nil || k.polls }

func (k *Keeper) myTurn(ctx context.Context) {
	if k.state != nil {
		k.refresh(ctx)
	}
	k.turn.Store(true)
	defer k.turn.Store(false)
	k.said, k.odd = nil, oddity{} // others may have told the transmitter something since
	group, ctx := errgroup.WithContext(ctx)
	k.work(ctx, group)
	if k.polls {
		group.Go(func() error { return k.receiver.Poll(ctx) })
	}
	if err := group.Wait(); err != nil {
		k.log.ErrorContext(ctx, "stream is not polled", "err", err)
	}
}

// watch sees what other processes keep.
func (k *Keeper) watch(ctx context.Context) {
	for k.refresh(ctx); wait(ctx, rereadPause, k.cfg.Shared.Changed()); k.refresh(ctx) {
	}
}

// refresh reads the state and does what follows.
func (k *Keeper) refresh(ctx context.Context) {
	before := k.state.get().Verdict
	if err := k.state.read(ctx); err != nil {
		if ctx.Err() == nil {
			k.log.WarnContext(ctx, "what other processes know of the stream cannot be read", "err", err)
		}
		return
	}
	now := k.state.get()
	k.receiver.SetStreamID(now.StreamID)
	if k.turn.Load() {
		if now.Verdict != nil && (before == nil || *before != *now.Verdict) {
			signal(k.recheck)
		}
		return
	}
	if v := now.View; v != nil {
		k.receiver.SetCriticalMembers(v.Critical)
		k.observe(func(o *observed) {
			o.stream, o.minVerify, o.asked, o.answered = v.Stream, time.Duration(v.MinVerify)*time.Second, v.Asked, v.Answered
			o.unasked, o.unproven, o.critical = v.Unasked, v.Unproven, v.Critical
		})
	}
}

// publish lets the others see what this process sees. Where it fails they see it later.
func (k *Keeper) publish(ctx context.Context) {
	if k.cfg.Shared == nil {
		return
	}
	// What is seen is asked for within the change: of two at once the later one is to win.
	seen := func() (v view) {
		k.observe(func(o *observed) {
			v = view{o.stream, int64(o.minVerify / time.Second), o.asked, o.answered, o.unasked, o.unproven, slices.Clone(o.critical)}
			v.Stream.NotDelivered = slices.Clone(o.stream.NotDelivered)
		})
		return v
	}
	if err := k.state.change(ctx, func(s *state) { v := seen(); s.View = &v }); err != nil && ctx.Err() == nil {
		k.log.WarnContext(ctx, "other processes cannot be told of the stream", "err", err)
	}
}

// answeredAnywhere returns a channel that is closed when answered is, or when another
// process got the verification event: its state is no longer outstanding then. stop must
// be called.
func (k *Keeper) answeredAnywhere(ctx context.Context, state string, answered <-chan struct{}) (anywhere <-chan struct{}, stop func()) {
	if k.cfg.Shared == nil {
		return answered, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	came, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for wait(ctx, answerPause, answered) {
			select {
			case <-answered:
			default:
				if k.outstanding(ctx, state) {
					continue
				}
			}
			close(came)
			return
		}
	}()
	return came, func() { cancel(); <-ended }
}

// outstanding reports whether a verification event with the state is still to come, as far
// as can be told.
func (k *Keeper) outstanding(ctx context.Context, state string) bool {
	feed := k.cfg.Receiver.Feed
	if feed == "" {
		feed = k.cfg.Receiver.Issuer
	}
	list, err := k.cfg.Receiver.Inbox.Outstanding(ctx, feed)
	if err != nil {
		return true
	}
	for _, s := range list {
		if s.Value == state {
			return true
		}
	}
	return false
}
