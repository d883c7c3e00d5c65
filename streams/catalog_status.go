package streams

import (
	"context"
	"errors"
	"fmt"
)

// Status returns what the status endpoint says of the stream (SSF §8.1.2.1).
// Error: ErrNotFound.
func (c *Catalog) Status(ctx context.Context, owner Owner, id string) (StatusReport, error) {
	s, err := c.Stream(ctx, owner, id)
	if err != nil {
		return StatusReport{}, err
	}
	return s.report(), nil
}

// SetStatus sets the status that the receiver asks for, from any state to any
// other; no event tells of it (SSF-8.1.2.2-01, SSF-8.1.2-01). Disabling drops
// what waits (U16). The same status again succeeds and replaces the reason.
//
// Errors: ErrNotFound; *RuleError, of kind Forbidden if a policy holds the
// stream in another status (U17).
func (c *Catalog) SetStatus(ctx context.Context, owner Owner, to StatusReport) (StatusReport, error) {
	if !to.Status.Valid() {
		return StatusReport{}, invalid("status", "must be enabled, paused or disabled")
	}
	if len(to.Reason) > MaxReasonBytes {
		return StatusReport{}, invalid("reason", "too long")
	}
	if _, err := c.Stream(ctx, owner, to.StreamID); err != nil {
		return StatusReport{}, err
	}
	s, err := c.cfg.Store.Update(ctx, to.StreamID, func(s *Stream) ([]Item, error) {
		if s.Status != Enabled && s.StatusBy == ByPolicy {
			if s.Status != to.Status {
				return nil, &RuleError{Kind: Forbidden, Member: "status", Description: "the transmitter's policy holds the stream in its status"}
			}
			return nil, nil // the reason stays the policy's
		}
		return nil, c.move(ctx, s, to.Status, to.Reason, ByReceiver)
	})
	if err != nil {
		return StatusReport{}, err
	}
	return s.report(), nil
}

func (s Stream) report() StatusReport {
	return StatusReport{StreamID: s.ID, Status: s.Status, Reason: s.Reason}
}

// move changes the status. Disabling raises the epoch, so that the queue is
// purged; leaving disabled sets From to the log's head of this moment: nothing
// accepted while the stream was disabled ever leaves (contracts.md §3).
func (c *Catalog) move(ctx context.Context, s *Stream, to Status, reason string, by Party) error {
	if to == Disabled && s.Status != Disabled {
		s.Epoch++
	}
	if to != Disabled && s.Status == Disabled {
		head, err := c.cfg.Head(ctx)
		if err != nil {
			return fmt.Errorf("head of the event log: %w", err)
		}
		s.From = head
	}
	s.Status, s.Reason, s.StatusBy = to, cut(reason, MaxReasonBytes), by
	return nil
}

// Pause holds the stream's events back on the transmitter's own decision and
// tells the receiver by stream-updated, ahead of the change (SSF-8.1.5-01). by
// says whether the receiver may lift it (ByTransmitter) or not (ByPolicy).
//
// A stream that is not enabled stays as it is, except that ByPolicy locks a
// paused one. It returns the stream as it is then. Error: ErrNotFound.
func (c *Catalog) Pause(ctx context.Context, id, reason string, by Party) (Stream, error) {
	return c.impose(ctx, id, Paused, reason, by, func(s Stream) bool {
		return s.Status == Enabled || s.Status == Paused && by == ByPolicy && s.StatusBy != ByPolicy
	})
}

// Disable stops the stream and drops what waits, on the transmitter's own
// decision, otherwise like Pause. A disabled stream can be locked by ByPolicy.
func (c *Catalog) Disable(ctx context.Context, id, reason string, by Party) (Stream, error) {
	return c.impose(ctx, id, Disabled, reason, by, func(s Stream) bool {
		locked := s.Status != Enabled && s.StatusBy == ByPolicy
		return s.Status != Disabled && (!locked || by == ByPolicy) || by == ByPolicy && !locked
	})
}

// Resume enables the stream again on the transmitter's own decision;
// stream-updated goes out ahead of held events (SSF-8.1.5-02). An enabled
// stream stays as it is.
//
// Errors: ErrNotFound; *RuleError of kind Conflict if the receiver chose the
// status.
func (c *Catalog) Resume(ctx context.Context, id, reason string) (Stream, error) {
	s, err := c.cfg.Store.Stream(ctx, id)
	if err != nil {
		return Stream{}, err
	}
	if s.Status != Enabled && s.StatusBy == ByReceiver {
		return Stream{}, &RuleError{Kind: Conflict, Description: "the receiver chose the status of the stream"}
	}
	return c.impose(ctx, id, Enabled, reason, ByTransmitter, func(s Stream) bool {
		return s.Status != Enabled && s.StatusBy != ByReceiver
	})
}

// errUnmoved ends an Update that has nothing to change.
var errUnmoved = errors.New("streams: nothing to change")

func (c *Catalog) impose(ctx context.Context, id string, to Status, reason string, by Party, when func(Stream) bool) (Stream, error) {
	reason = cut(reason, MaxReasonBytes)
	payload, err := streamUpdatedPayload(to, reason)
	if err != nil {
		return Stream{}, err
	}
	item := c.control(id, TypeStreamUpdated, payload)
	s, err := c.cfg.Store.Update(ctx, id, func(s *Stream) ([]Item, error) {
		if !when(*s) {
			return nil, errUnmoved
		}
		var news []Item
		if s.Delivery.Method != MethodWebhook { // stream-updated is SSF's alone
			news = []Item{item}
		}
		return news, c.move(ctx, s, to, reason, by)
	})
	if errors.Is(err, errUnmoved) {
		return c.cfg.Store.Stream(ctx, id)
	}
	return s, err
}

const (
	// inactiveBatch is how many streams one look at the store yields.
	inactiveBatch = 100
	// ReasonInactive is the reason of a stream paused for inactivity.
	ReasonInactive = "no activity within inactivity_timeout"
)

// PauseInactive pauses every stream that went without activity for its
// inactivity timeout, with stream-updated and [ReasonInactive]
// (SSF-8.1.1-05, SSF-8.1.1-06), and returns their ids. The receiver may enable
// them again (U17). Call it now and then; an error ends it early and what was
// done stays done.
func (c *Catalog) PauseInactive(ctx context.Context) ([]string, error) {
	var paused []string
	for {
		ids, err := c.cfg.Store.Inactive(ctx, c.cfg.Now().Add(-c.cfg.ActivityLag), inactiveBatch)
		if err != nil {
			return paused, err
		}
		moved := 0
		for _, id := range ids {
			s, err := c.impose(ctx, id, Paused, ReasonInactive, ByTransmitter, func(s Stream) bool {
				return s.Status == Enabled || s.Status == Paused && s.StatusBy == ByReceiver
			})
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return paused, err
			}
			if s.Status == Paused && s.StatusBy == ByTransmitter {
				paused = append(paused, id)
				moved++
			}
		}
		if len(ids) < inactiveBatch || moved == 0 {
			return paused, nil
		}
	}
}
