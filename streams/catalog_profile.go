package streams

import "context"

// SetProfile changes the form in which the stream's SETs leave from now on, those
// that wait included; "" is the current one. What it may be is for the caller to
// check. Error: ErrNotFound.
func (c *Catalog) SetProfile(ctx context.Context, id, profile string) (Stream, error) {
	return c.cfg.Store.Update(ctx, id, func(s *Stream) ([]Item, error) {
		s.Profile = profile
		return nil, nil
	})
}
