package streams

import "context"

// SetEncryption changes to which key the stream's SETs are encrypted from now on, those
// that wait included; "" is to none. What it may be is for the caller to check.
// Error: ErrNotFound.
func (c *Catalog) SetEncryption(ctx context.Context, id, encryption string) (Stream, error) {
	return c.cfg.Store.Update(ctx, id, func(s *Stream) ([]Item, error) {
		s.Encryption = encryption
		return nil, nil
	})
}
