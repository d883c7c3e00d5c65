package adminapi

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
)

// SocketFile is the name of the socket in the data folder.
const SocketFile = "admin.sock"

// maxSocketPath is the longest path that a socket's address can hold on every
// system (BSD's is the shortest, 104 bytes with its end).
const maxSocketPath = 100

// Listen opens the socket of a data folder, which only this user can connect
// to: it is made in a folder that nobody else can enter, and then moved. The
// caller holds the folder's lock, so a socket that is there is a dead server's
// and gives way. Close does not remove the file.
func Listen(ctx context.Context, dir string) (net.Listener, error) {
	private, err := os.MkdirTemp(dir, ".socket-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private) // an empty folder left behind harms nobody
	const name = "s"
	path, done, err := shorten(private, name)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it moves
	}
	made := filepath.Join(private, name)
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, filepath.Join(dir, SocketFile))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial connects to the server that runs on a data folder.
func Dial(ctx context.Context, dir string) (net.Conn, error) {
	path, done, err := shorten(dir, SocketFile)
	if err != nil {
		return nil, err
	}
	defer done()
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// shorten returns a path to name in dir that fits into a socket's address: by
// a link in a temporary folder where the path itself is too long. done removes
// the link, after the path has been used.
func shorten(dir, name string) (path string, done func(), err error) {
	if path := filepath.Join(dir, name); len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	short, err := os.MkdirTemp("", "tocsin-")
	if err != nil {
		return "", nil, err
	}
	done = func() { _ = os.RemoveAll(short) }
	link := filepath.Join(short, "d")
	if err := os.Symlink(dir, link); err != nil {
		done()
		return "", nil, err
	}
	return filepath.Join(link, name), done, nil
}
