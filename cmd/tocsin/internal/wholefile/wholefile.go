// Package wholefile writes files that are read by later starts: each is there as it was
// or as it is to be, whatever ends the process or the machine in between.
package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Unfinished is the pattern of the names that files have while they are written: what a
// process left that was killed meanwhile.
const Unfinished = ".*.new"

// Replace writes the file at path, which has the mode then. It is durable, the name in its
// folder included, once Replace returns nil; else the file is as it was. One at a time may
// write a file; what a write that was cut off left beside it is gone with the next.
func Replace(path string, text []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	fresh := filepath.Join(dir, "."+filepath.Base(path)+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm()) // EXCL: no link is followed
	if err != nil {
		return err
	}
	if err = f.Chmod(mode.Perm()); err == nil { // whatever the umask
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return Sync(dir)
}

// Sync makes the names in a folder durable.
func Sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
