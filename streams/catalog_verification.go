package streams

import (
	"context"
	"time"
)

// Verify puts a verification event with the receiver's state on the stream's
// queue (SSF §8.1.4.2). On a paused stream it waits there (U18).
//
// The check of min_verification_interval and the record of the request are one
// step, together with the event: of requests at the same time one succeeds.
//
// Errors: ErrNotFound; *RuleError, of kind TooSoon with RetryAfter within
// min_verification_interval of the last request that was accepted, of kind
// Invalid for a disabled stream.
func (c *Catalog) Verify(ctx context.Context, owner Owner, req VerificationRequest) error {
	if req.State != nil && len(*req.State) > MaxStateBytes {
		return invalid("state", "too long")
	}
	if _, err := c.Stream(ctx, owner, req.StreamID); err != nil {
		return err
	}
	it, err := c.verify(ctx, req, func(s *Stream, now time.Time) error {
		if err := tooSoon(*s, now); err != nil {
			return err
		}
		s.VerificationRequested = now
		return nil
	})
	if err == nil && c.cfg.Asked != nil {
		c.cfg.Asked(it)
	}
	return err
}

// RequestVerification puts a verification event without state on the stream's
// queue, on the transmitter's own account (SSF-8.1.4-01, SSF-8.1.4.2-03).
// Errors: ErrNotFound; *RuleError of kind Invalid for a disabled stream.
func (c *Catalog) RequestVerification(ctx context.Context, id string) error {
	_, err := c.verify(ctx, VerificationRequest{StreamID: id}, func(*Stream, time.Time) error { return nil })
	return err
}

func (c *Catalog) verify(ctx context.Context, req VerificationRequest, admit func(*Stream, time.Time) error) (Item, error) {
	payload, err := verificationPayload(req.State)
	if err != nil {
		return Item{}, err
	}
	item := c.control(req.StreamID, TypeVerification, payload)
	_, err = c.cfg.Store.Update(ctx, req.StreamID, func(s *Stream) ([]Item, error) {
		if s.Status == Disabled {
			return nil, invalid("stream_id", "the stream is disabled")
		}
		return []Item{item}, admit(s, item.Added)
	})
	return item, err
}

// tooSoon refuses a second request within the interval. A last request that
// lies in the future (a clock set back) does not count.
func tooSoon(s Stream, now time.Time) error {
	since := now.Sub(s.VerificationRequested)
	if s.VerificationRequested.IsZero() || since < 0 || since >= s.MinVerificationInterval {
		return nil
	}
	wait := s.MinVerificationInterval - since
	if rest := wait % time.Second; rest > 0 {
		wait += time.Second - rest
	}
	return &RuleError{Kind: TooSoon, Description: "sooner than min_verification_interval after the last request", RetryAfter: wait}
}
