package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// maxPlainBytes bounds a file of the folder that is no database.
const maxPlainBytes = 1 << 20

// Backup copies the live stores, and the folder's own certificate authority,
// into dir, an absolute path, which must not exist or be empty. If it fails it
// leaves no copy of a file behind.
//
// index.db is not copied: it is built anew from the log.
//
// state.db is copied before log.db: a log that is ahead of its queues is only
// fanned out again, one behind them would have lost events. So is admin.db,
// which has the places of pollers: what was polled meanwhile is polled again.
func (n *Node) Backup(ctx context.Context, dir string) (err error) {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the folder %s is not an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of the copy: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking into the folder of the copy: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder %s is not empty", dir)
	}
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, file := range made {
			_ = os.Remove(filepath.Join(dir, file))
		}
	}()
	for _, file := range []string{stateFile, adminFile, logFile} {
		made = append(made, file)
		if err := n.copies[file](ctx, filepath.Join(dir, file)); err != nil {
			return fmt.Errorf("copying %s: %w", file, err)
		}
	}
	for _, file := range []string{localca.KeyFile, localca.CertFile} {
		made = append(made, file)
		if err := copyPlain(n.path(file), filepath.Join(dir, file)); err != nil {
			return fmt.Errorf("copying %s: %w", file, err)
		}
	}
	return nil
}

// copyPlain copies a small file with its mode; one that is not there is none
// to copy.
func copyPlain(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() // it is only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPlainBytes))
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, info.Mode().Perm())
}
