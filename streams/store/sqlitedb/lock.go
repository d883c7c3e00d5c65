package sqlitedb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockName is the file in a folder that carries its lock and, for people to
// read, the holder's process id.
const lockName = "lock"

// maxPIDBytes bounds what is read of the lock file.
const maxPIDBytes = 32

// FolderLock is the right to use a folder, held until Unlock or the end of
// the process, however it ends.
type FolderLock struct{ file *os.File }

// LockFolder takes the lock of dir (contracts.md §7: one folder, one process).
// It does not wait. Error: *LockedError (ErrLocked) if another holds it.
func LockFolder(dir string) (*FolderLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: lock folder: %w", err)
	}
	if err := lockFile(f); err != nil {
		pid := readPID(f)
		closed := f.Close()
		if errors.Is(err, errHeld) {
			return nil, &LockedError{Dir: dir, PID: pid}
		}
		return nil, fmt.Errorf("sqlitedb: lock folder %s: %w", dir, errors.Join(err, closed))
	}
	text := strconv.Itoa(os.Getpid()) + "\n"
	_, werr := f.WriteAt([]byte(text), 0)
	if err := errors.Join(werr, f.Truncate(int64(len(text)))); err != nil {
		return nil, fmt.Errorf("sqlitedb: lock folder %s: %w", dir, errors.Join(err, f.Close()))
	}
	return &FolderLock{file: f}, nil
}

// Unlock gives the folder free. The file stays: removing it would let two
// processes lock two files of one name.
func (l *FolderLock) Unlock() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

// errHeld: another process (or another open file of this one) has the lock.
var errHeld = errors.New("held")

// readPID returns the process id in f, 0 if there is none.
func readPID(f *os.File) int {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxPIDBytes))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
