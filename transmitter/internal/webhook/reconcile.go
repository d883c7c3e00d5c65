package webhook

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Mend is Reconcile if a change has not come to its end, else nothing. It is
// cheap then.
func (s *Service) Mend(ctx context.Context) error {
	if !s.behind.Swap(false) {
		return nil
	}
	err := s.Reconcile(ctx)
	if err != nil {
		s.behind.Store(true)
	}
	return err
}

// Reconcile mends what an end between two steps has left: a row without its
// stream, a stream without its row, a stream that its row has run ahead of.
func (s *Service) Reconcile(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	rows, err := s.cfg.Store.Webhooks(ctx, "")
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(rows))
	for _, row := range rows {
		known[row.ID] = true
		st, err := s.cfg.Streams.Stream(ctx, row.ID)
		switch {
		case errors.Is(err, streams.ErrNotFound) && s.underWay(row):
			s.behind.Store(true) // looked at again
			err = nil
		case errors.Is(err, streams.ErrNotFound):
			s.cfg.Logger.WarnContext(ctx, "removing a webhook that was never finished or is half removed", "stream_id", row.ID)
			err = s.cfg.Store.RemoveWebhook(ctx, row.ID)
		case err == nil && st.Delivery.AuthorizationHeader != row.Revision:
			err = ignore(s.follow(ctx, row.ID), auth.ErrNotFound, streams.ErrNotFound) // removed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return s.deleteRowless(ctx, known)
}

func (s *Service) deleteRowless(ctx context.Context, known map[string]bool) error {
	owners, err := s.cfg.Streams.Owners(ctx)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if _, webhooks := streams.ApplicationOf(owner); !webhooks {
			continue
		}
		list, err := s.cfg.Streams.Streams(ctx, owner)
		if err != nil {
			return err
		}
		for _, st := range list {
			if known[st.ID] {
				continue
			}
			// The row comes before its stream: there was none at that time, or it is gone.
			if _, err := s.cfg.Store.Webhook(ctx, st.ID); !errors.Is(err, auth.ErrNotFound) {
				if err != nil {
					return err
				}
				continue
			}
			s.cfg.Logger.WarnContext(ctx, "deleting the stream of a webhook that is gone", "stream_id", st.ID)
			if err := s.cfg.Streams.Delete(ctx, st.ID); err != nil && !errors.Is(err, streams.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

// making is longer than it takes to make a webhook, row and stream, and than what clocks
// differ by.
const making = time.Minute

// underWay reports whether another process may be about to make the row's stream.
func (s *Service) underWay(row auth.Webhook) bool {
	return s.cfg.Shared && s.cfg.Now().Sub(row.Created) < making
}

// ignore returns err unless it is of one of the kinds.
func ignore(err error, kinds ...error) error {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return nil
		}
	}
	return err
}
