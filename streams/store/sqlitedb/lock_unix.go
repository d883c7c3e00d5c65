//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlitedb

import (
	"errors"
	"os"
	"syscall"
)

// vfs is SQLite's way to files: one process has the database for itself, so
// that no lock is asked of the system for each transaction and the index of
// the write-ahead log stays in memory (contracts.md §7: one folder, one process).
const vfs = "unix-excl"

// lockFile takes the whole file's advisory lock; it ends with the file.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errHeld
	}
	return err
}
