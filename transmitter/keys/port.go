package keys

import (
	"context"
	"time"
)

// Copy takes all keys with their marks of last use from one store to another, which has
// none of its own; begun again it goes on. Error: ErrChanged if the other has keys that
// are none of them.
func Copy(ctx context.Context, from, to Store) error {
	all, err := from.Keys(ctx)
	if err != nil {
		return err
	}
	have, err := to.Keys(ctx)
	if err != nil {
		return err
	}
	before := ""
	used := make(map[string]time.Time, len(all))
	for i, r := range all {
		used[r.ID] = r.LastUsed
		switch {
		case i >= len(have) && r.Next:
			if err := to.Announce(ctx, r, before); err != nil {
				return err
			}
		case i >= len(have):
			if err := to.Add(ctx, r, before, time.Time{}); err != nil {
				return err
			}
		case have[i].ID != r.ID:
			return ErrChanged
		}
		before = r.ID
	}
	if len(have) > len(all) {
		return ErrChanged
	}
	return to.Mark(ctx, used)
}
