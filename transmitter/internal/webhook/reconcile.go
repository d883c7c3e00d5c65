package webhook

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/streams"
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
		case errors.Is(err, streams.ErrNotFound):
			s.cfg.Logger.WarnContext(ctx, "removing a webhook that was never finished or is half removed", "stream_id", row.ID)
			err = s.cfg.Store.RemoveWebhook(ctx, row.ID)
		case err == nil && st.Delivery.AuthorizationHeader != row.Revision:
			var settings Settings
			if settings, err = decode(row); err == nil {
				err = s.follow(ctx, row, settings)
			}
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
			s.cfg.Logger.WarnContext(ctx, "deleting the stream of a webhook that is gone", "stream_id", st.ID)
			if err := s.cfg.Streams.Delete(ctx, st.ID); err != nil && !errors.Is(err, streams.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}
