package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Bounds of a data folder.
const (
	leastFree  = 1 << 30 // bytes; below it a store soon cannot write
	littleFree = 5 << 30 // bytes
	longWAL    = 1 << 30 // bytes; it is moved into the file at 16 MiB
)

// Disk is what is known of the file system of a folder.
type Disk struct {
	Free  uint64 // bytes for the user of the process
	Total uint64
	Kind  string // "network" or "memory"; else empty
}

// Folder looks at a data folder: who has rights to it, the disk below it, its databases.
// disk tells of a file system, DiskOf unless a test says otherwise. It opens no database.
func Folder(r *Report, dir string, disk func(dir string) (Disk, error)) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.OK("folder", dir, "there is no such folder yet; the first start makes it")
		return
	case err != nil:
		r.Fail("folder", dir, "let the user of the server own it", "it cannot be looked at: %v", err)
		return
	case !info.IsDir():
		r.Fail("folder", dir, "name a folder with data", "it is no folder")
		return
	case info.Mode().Perm()&0o077 != 0:
		r.Fail("folder.mode", dir, "chmod 700 "+dir, "others than its owner have rights to it (mode %04o): keys and events are in it, and the admin socket", info.Mode().Perm())
	default:
		r.OK("folder.mode", dir, "its owner alone has rights to it")
	}
	space(r, dir, disk)
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		return // the pattern is ours
	}
	for _, name := range files {
		database(r, name)
	}
}

func space(r *Report, dir string, disk func(string) (Disk, error)) {
	d, err := disk(dir)
	if err != nil {
		r.Warn("disk.space", dir, "look with df", "the disk does not tell how full it is: %v", err)
		return
	}
	free := fmt.Sprintf("%.1f GiB of %.1f are free", float64(d.Free)/(1<<30), float64(d.Total)/(1<<30))
	switch {
	case d.Free < leastFree:
		r.Fail("disk.space", dir, "make room, or move the folder (docs/guides/production.md); --retention bounds the log", "%s: events are refused when the disk is full", free)
	case d.Free < littleFree && d.Free < d.Total/10:
		r.Warn("disk.space", dir, "make room; --retention bounds the log", "%s", free)
	default:
		r.OK("disk.space", dir, "%s", free)
	}
	switch d.Kind {
	case "network":
		r.Fail("disk.kind", dir, "move it to a disk of this machine, or use --redis", "the folder is on a network file system: the locks of its databases do not hold there, and what was acknowledged can be lost")
	case "memory":
		r.Warn("disk.kind", dir, "move it to a disk", "the folder is in memory: everything in it is lost when this machine restarts")
	}
}

// The head of a database file (https://www.sqlite.org/fileformat.html §1.3).
const (
	sqliteMagic = "SQLite format 3\x00"
	headBytes   = 100
	versionAt   = 18 // write and read version: 2 is a write-ahead log
	walVersion  = 2
)

// database looks at a file of a store: what its head says, and its write-ahead log.
func database(r *Report, name string) {
	head, err := readHead(name)
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		r.Fail("store.file", name, "let the user of the server own it", "it cannot be read: %v", err)
		return
	case err != nil || !bytes.HasPrefix(head, []byte(sqliteMagic)):
		r.Fail("store.file", name, "stop the server and put the folder back from a backup (docs/guides/production.md)", "it is no database any more")
		return
	case head[versionAt] != walVersion || head[versionAt+1] != walVersion:
		r.Fail("store.journal", name, "stop whatever else opened it; the next start of the server sets it right", "its journal mode is not WAL: another program has changed it")
	default:
		r.OK("store.journal", name, "a database with a write-ahead log")
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&othersMay != 0 {
		r.Warn("store.mode", name, "chmod 600 "+name, "its mode is %04o: others have rights to it, if they come into the folder", info.Mode().Perm())
	}
	if info, err := os.Stat(name + "-wal"); err == nil && info.Size() > longWAL {
		r.Warn("store.wal", name, "end what reads the database for long (a backup, another program), or start the server again", "its write-ahead log has %.1f GiB: something holds an old snapshot", float64(info.Size())/(1<<30))
	}
}

func readHead(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	head := make([]byte, headBytes)
	_, err = io.ReadFull(f, head)
	return head, err
}

// maxKeyFile bounds a private key, in bytes.
const maxKeyFile = 64 << 10

// Sealed looks whether private keys and secrets are encrypted where they are stored.
// secret says that a passphrase or a key for that is configured; known, that it is known
// whether one is.
func Sealed(r *Report, dir string, secret, known bool) {
	const do = "serve --key-passphrase-file FILE, or --key-file FILE (docs/operations/keys.md); what is in clear is encrypted at that start"
	raw, err := readBounded(filepath.Join(dir, localca.KeyFile), maxKeyFile)
	clear := err == nil && len(raw) > 0 && !vault.Sealed(raw)
	switch {
	case secret && clear:
		r.Warn("keys.sealed", dir, "start the server with it", "a passphrase or key is configured, and the CA's key is still in clear: no server has started with it")
	case secret:
		r.OK("keys.sealed", dir, "private keys and secrets are encrypted where they are stored")
	case clear || known:
		r.Warn("keys.sealed", dir, do, "private keys and secrets are stored in clear: whoever reads the folder, a backup or a replica can sign as this issuer")
	}
}
