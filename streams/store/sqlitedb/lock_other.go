//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlitedb

import (
	"errors"
	"os"
)

const vfs = "" // SQLite's default

// lockFile refuses: without a lock two processes could ruin a folder.
func lockFile(*os.File) error { return errors.ErrUnsupported }
