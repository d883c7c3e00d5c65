package signer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	// maxPath is the longest path that a socket's address can hold on every system.
	maxPath = 100
	// othersWrite are the rights of group and others to change what is in a folder.
	othersWrite = 0o022
	// othersAll are all rights of group and others.
	othersAll = 0o077
	// lookTime bounds the look at a socket that is there.
	lookTime = 2 * time.Second
)

// Listen opens the socket at path, which only the user of this process can connect to; with
// shared also those of its group, for a server with Users. A folder that is missing is
// made. One in which others could put another socket in this one's place is refused, and
// where the kernel does not say who asks every one that others can enter. A socket that
// nobody serves gives way. Close removes it.
func Listen(ctx context.Context, path string, shared bool) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the socket's path has %d bytes, at most %d: %s", len(path), maxPath, path)
	}
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	forbidden := fs.FileMode(othersWrite)
	if runtime.GOOS != "linux" {
		forbidden = othersAll
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return nil, fmt.Errorf("the folder of the socket, %s, has the mode %#o: others could put a socket of theirs there; take that right away (chmod %#o)", dir, mode, mode&^forbidden)
	}
	if err := vacate(ctx, path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o600)
	if shared {
		mode = 0o660
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// vacate removes a socket that nobody serves.
func vacate(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := (&net.Dialer{Timeout: lookTime}).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process serves the socket %s", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
