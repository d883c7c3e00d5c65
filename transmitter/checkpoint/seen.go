package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// forgetSeen ends the errors of a checkpoint that was seen.
const forgetSeen = "if the log was begun anew on purpose, remove the file"

// seen takes the checkpoint that this process, or an earlier one, saw last into
// account: the store and the log may both be older, as after a failover to a server
// that lagged behind.
func (k *Keeper) seen(ctx context.Context) error {
	if k.cfg.Seen == "" {
		return nil
	}
	text, err := os.ReadFile(k.cfg.Seen)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint: what was seen last: %w", err)
	}
	c, err := Parse(text, k.key.Verifier(firstLine(string(text))))
	if err != nil {
		return fmt.Errorf("%w: the checkpoint in %s is signed by another key; %s", ErrOtherLog, k.cfg.Seen, forgetSeen)
	}
	if err := k.follows(ctx, c); err != nil {
		return fmt.Errorf("%w, by the checkpoint in %s; %s", err, k.cfg.Seen, forgetSeen)
	}
	if k.last != nil && k.last.Size >= c.Size {
		return nil
	}
	c.Made = k.cfg.Now()
	k.last = &c
	if _, err := k.catchUp(ctx); err != nil && !errors.Is(err, ErrBehind) { // it is put back
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// remember keeps the last checkpoint in the file. A failure is told and no more: the
// checkpoint is in the store.
func (k *Keeper) remember(ctx context.Context) {
	if k.cfg.Seen == "" || k.last == nil || k.remembered == k.last.Tree {
		return
	}
	beside := filepath.Join(filepath.Dir(k.cfg.Seen), "."+filepath.Base(k.cfg.Seen)+".new")
	err := os.WriteFile(beside, k.last.Text, 0o600)
	if err == nil {
		err = os.Rename(beside, k.cfg.Seen)
	}
	if err != nil {
		k.cfg.Logger.ErrorContext(ctx, "the last checkpoint cannot be kept in its file", "err", err)
		return
	}
	k.remembered = k.last.Tree
}
