package redisinbox_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Environment of the processes that the tests start: the server, and what to do.
const (
	childServer = "TOCSIN_TEST_REDIS_INBOX"
	childTakes  = "TOCSIN_TEST_REDIS_INBOX_TAKES"
)

// shortLease is that of tests with real processes: long enough for a busy machine.
const shortLease = 3 * time.Second

func TestMain(m *testing.M) {
	addr := os.Getenv(childServer)
	switch {
	case addr == "":
		os.Exit(m.Run())
	case os.Getenv(childTakes) != "":
		takeAndHold(addr)
	default:
		appendForEver(addr)
	}
	os.Exit(1)
}

func configOf(addr string) redisinbox.Config {
	return redisinbox.Config{Redis: redisdb.Config{URL: "redis://" + addr, Volatile: true}, Lease: shortLease}
}

func message(id string) inbox.Message {
	return inbox.Message{Feed: "f", Issuer: "https://t.example", ID: id, SET: []byte("a.b.c"), Received: time.Now()}
}

// appendForEver prints each id once its message is in the inbox.
func appendForEver(addr string) {
	ctx := context.Background()
	in, err := redisinbox.Open(ctx, configOf(addr))
	for n := 0; err == nil; n++ {
		id := fmt.Sprint("m", n)
		if _, err = in.Append(ctx, message(id)); err == nil {
			_, err = fmt.Println(id)
		}
	}
	fmt.Fprintln(os.Stderr, err)
}

// takeAndHold takes what there is, prints it, and settles it when it is told to.
func takeAndHold(addr string) {
	ctx := context.Background()
	in, err := redisinbox.Open(ctx, configOf(addr))
	var taken []inbox.Message
	if err == nil {
		taken, err = in.Take(ctx, "f", 10)
	}
	for i := range taken {
		fmt.Println(taken[i].ID)
	}
	fmt.Println("taken")
	for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
		for i := range taken {
			err = errors.Join(err, in.Settle(ctx, inbox.Outcome{Seq: taken[i].Seq}))
		}
		fmt.Println("settled")
	}
}

// child is a process of this test binary.
type child struct {
	*exec.Cmd
	lines *bufio.Scanner
	tell  func(line string)
}

func startChild(t *testing.T, env ...string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &child{cmd, bufio.NewScanner(out), func(line string) {
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatal(err)
		}
	}}
}

// until reads the child's lines up to one, and returns those before it.
func (c *child) until(t *testing.T, last string) []string {
	t.Helper()
	var before []string
	for c.lines.Scan() {
		line := strings.TrimSpace(c.lines.Text())
		if line == last {
			return before
		}
		before = append(before, line)
	}
	t.Fatalf("got the end of the process after %q, want %q", before, last)
	return nil
}

// takeAll takes until n messages came, within some leases.
func takeAll(t *testing.T, in *redisinbox.Inbox, n int) map[string]inbox.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all := make(map[string]inbox.Message)
	for len(all) < n {
		got, err := in.Take(ctx, "f", n)
		if err != nil {
			t.Fatalf("got %v after %d messages, want %d", err, len(all), n)
		}
		for _, m := range got {
			all[m.ID] = m
		}
	}
	return all
}

// PUSH-2-04: what was acknowledged survives a kill -9 of the process and a crash of the
// server, which writes all to disk before it answers.
func TestKilled(t *testing.T) {
	server := redistest.StartDurable(t)
	c := startChild(t, childServer+"="+server.Addr)
	var acknowledged []string
	for len(acknowledged) < 50 && c.lines.Scan() {
		acknowledged = append(acknowledged, c.lines.Text())
	}
	server.Stop() // in the middle of it
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for c.lines.Scan() {
		acknowledged = append(acknowledged, c.lines.Text())
	}
	server.Restart(t)
	if len(acknowledged) < 50 {
		t.Fatalf("got %d acknowledged, want at least 50", len(acknowledged))
	}
	cfg := configOf(server.Addr)
	cfg.Redis.Volatile = false
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	kept := takeAll(t, in, len(acknowledged))
	for _, id := range acknowledged {
		if _, ok := kept[id]; !ok {
			t.Errorf("got %s lost, want it kept: it was acknowledged", id)
		}
	}
}

// What a killed process had returns after its lease; what a stopped one had, too, and
// its outcome does not count when it wakes.
func TestHolderGone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"frozen", syscall.SIGSTOP}} {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t)
			in := open(t, configOf(server.Addr))
			defer func() { _ = in.Close() }()
			if _, err := in.Append(t.Context(), message("a"), message("b")); err != nil {
				t.Fatal(err)
			}
			c := startChild(t, childServer+"="+server.Addr, childTakes+"=1")
			if got := c.until(t, "taken"); len(got) != 2 {
				t.Fatalf("got %q taken, want both", got)
			}
			began := time.Now()
			if err := c.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			taken := takeAll(t, in, 2)
			if d := time.Since(began); d < shortLease/4 {
				t.Errorf("got them after %v, want them after their lease", d)
			}
			if tt.signal == syscall.SIGSTOP {
				if err := c.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				c.tell("settle")
				c.until(t, "settled")
			}
			if got, err := in.Counts(t.Context(), "f"); err != nil || got.Waiting != 2 || got.Running != 2 {
				t.Errorf("got %+v, %v, want both still out here", got, err)
			}
			for _, m := range taken {
				if m.Attempts != 0 {
					t.Errorf("got %d attempts, want 0", m.Attempts)
				}
				if err := in.Settle(t.Context(), inbox.Outcome{Seq: m.Seq}); err != nil {
					t.Error(err)
				}
			}
			if got, err := in.Counts(t.Context(), "f"); err != nil || got.Waiting != 0 {
				t.Errorf("got %+v, %v, want none", got, err)
			}
		})
	}
}
