package sql_test

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// postgres starts a PostgreSQL server of its own and returns its DSN and how to end
// it. It listens on a Unix socket alone, and runs as "postgres" if the test is root's.
func postgres(t *testing.T) (dsn string, stop func()) {
	t.Helper()
	initdb, server := program(t, "initdb"), program(t, "postgres")
	parent, err := os.MkdirTemp("", "pg") // short: it bears a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		uid, gid := unprivileged(t)
		if err := os.Chown(parent, uid, gid); err != nil {
			t.Fatal(err)
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(parent, "data")
	made := exec.Command(initdb, "--pgdata", data, "--username", "tocsin", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C")
	made.SysProcAttr, made.Dir = attr, parent
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	cmd := exec.Command(server, "-D", data, "-k", parent, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB")
	cmd.SysProcAttr, cmd.Dir = attr, parent
	lines, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(lines); scan.Scan(); {
			if strings.Contains(scan.Text(), "ready to accept connections") {
				ready <- true
			}
		}
		_ = cmd.Wait()
		close(ready)
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown, children too
		<-ended
	})
	t.Cleanup(stop)
	if !<-ready {
		t.Fatal("PostgreSQL did not start")
	}
	return fmt.Sprintf("postgres://tocsin:hunter2@/postgres?host=%s", url.QueryEscape(parent)), stop
}

// program returns the path of a program of PostgreSQL. Debian keeps them off the PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if found, _ := filepath.Glob(filepath.Join("/usr/lib/postgresql/*/bin", name)); len(found) > 0 {
		return slices.Max(found)
	}
	if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("SKIPPED, not tested: %s is not installed (Debian package postgresql)", name)
	return ""
}

func unprivileged(t *testing.T) (uid, gid int) {
	t.Helper()
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(who.Uid)
	gid, _ = strconv.Atoi(who.Gid)
	return uid, gid
}
