package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// movePoints are the points of a move at which it is killed, in the order in which it
// comes to them.
func movePoints() []string {
	return []string{
		"migrate.marked-here", "migrate.marked-there", "migrate.records", "migrate.source ids", "migrate.keys of entries",
		"migrate.keys", "migrate.applications", "migrate.checkpoints", "migrate.subjects", "migrate.items", "migrate.stream:2",
		"migrate.items:3", "migrate.dead letters:4", "migrate.used ids", "migrate.checked",
	}
}

// moving runs a move, and returns what it printed, what it said, and its error.
func moving(t *testing.T, dir, redis string, env ...string) (out, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), proctest.Binary(t), "migrate", "--json", "--from", dir, "--to", redis)
	cmd.Env = append(os.Environ(), env...)
	var words strings.Builder
	cmd.Stderr = &words
	raw, err := cmd.Output()
	return string(raw), words.String(), err
}

// killed reports whether a process was ended by kill -9.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// refuses runs a command that must end by itself with an error that has the words.
func refuses(t *testing.T, words string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), proctest.StartTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, proctest.Binary(t), args...).CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), words) {
		t.Errorf("tocsin %s: got %v, %s, want a refusal with %q", args[0], err, out, words)
	}
}

func verifyLog(t *testing.T, s *proctest.Server, args ...string) (report map[string]any) {
	t.Helper()
	out, err := s.Command(t.Context(), append([]string{"event", "verify-log", "--json"}, args...)...)
	if err != nil {
		t.Fatalf("verify-log: %v", err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// An installation that is in use is moved to Redis, by a move that is killed at every
// point: every event accepted before is delivered there, in order, none under two jtis,
// what was acknowledged does not come back, and the log is proven to be the same.
func TestMigrate(t *testing.T) {
	migrates(t, "redis://"+redistest.StartDurable(t).Addr, movePoints())
}

// To a cluster of three nodes, which has the log, the streams and what is known of the
// move in different places.
func TestMigrateToCluster(t *testing.T) {
	cluster := redistest.StartCluster3(t)
	for _, node := range cluster.Nodes {
		if err := node.Client(t).ConfigSet(t.Context(), "appendonly", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
	migrates(t, cluster.URL(), []string{"migrate.marked-there", "migrate.records", "migrate.applications", "migrate.items:3", "migrate.checked"})
}

// To the master that Sentinels know.
func TestMigrateToSentinel(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LONG") != "1" {
		t.Skip("long: TOCSIN_TEST_LONG=1 runs it; make test has a plain server and a cluster")
	}
	migrates(t, redistest.StartSentinel(t, "--appendonly", "yes").URL(), []string{"migrate.stream:2"})
}

func migrates(t *testing.T, redis string, points []string) {
	s := storm.New(t)
	s.Pace = 5 * time.Millisecond
	var pollers sync.WaitGroup
	polling := func(name string) {
		for _, r := range s.Receivers {
			if r.Name == name {
				pollers.Go(func() { s.PollLoop(t.Context(), r) })
			}
		}
	}
	load := func(d time.Duration) {
		ctx, stop := context.WithCancel(t.Context())
		var senders sync.WaitGroup
		for i := range 3 {
			senders.Go(func() { s.Send(ctx, i) })
		}
		proctest.Pause(d)
		stop()
		senders.Wait()
	}
	polling("poll-a") // poll-b has everything on its queue when it is moved
	load(3 * time.Second)
	dir := s.Server.Dir
	s.Kill()
	before := verifyLog(t, s.Server, "--data", dir)
	for i, point := range points {
		if _, said, err := moving(t, dir, redis, "TOCSIN_CRASH_POINT="+point); !killed(err) {
			t.Fatalf("at %s: got %v, %s, want it to be killed", point, err, said)
		}
		if i%5 == 1 {
			refuses(t, "is not complete", "serve", "--redis", redis, "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--insecure-loopback")
			refuses(t, "moved to Redis in part", "serve", "--data", dir, "--listen", "127.0.0.1:0", "--insecure-loopback")
			refuses(t, "moved to Redis in part", "client", "list", "--data", dir)
		}
	}
	out, said, err := moving(t, dir, redis)
	if err != nil {
		t.Fatalf("migrate: got %v, %s, want no error", err, said)
	}
	var moved struct {
		Records, Streams, Items uint64
		Root                    string
		Resumed                 bool
	}
	if err := json.Unmarshal([]byte(out), &moved); err != nil {
		t.Fatal(err)
	}
	if !moved.Resumed || moved.Streams != 4 || moved.Items == 0 || moved.Records != uint64(before["records"].(float64)) || moved.Root != before["root"] {
		t.Errorf("got %s, want a move that went on, of four streams and %v", out, before)
	}
	if !strings.Contains(said, "streams checked: 4 of 4\n") || !strings.Contains(said, "records checked: ") {
		t.Errorf("progress: got %q, want lines of the steps", said)
	}
	if diff := cmp.Diff(before, verifyLog(t, s.Server, "--redis", redis)); diff != "" {
		t.Errorf("verify-log (-before +after):\n%s", diff)
	}
	refuses(t, "use --redis", "serve", "--data", dir, "--listen", "127.0.0.1:0", "--insecure-loopback")
	s.Server.Args = append(s.Server.Args, "--redis", redis) // on the same folder: its index goes on
	if err := s.Server.Start(); err != nil {
		t.Fatal(err)
	}
	polling("poll-b")
	load(2 * time.Second)
	s.Settle(t)
	s.End()
	pollers.Wait()
	s.Judge(t)
}

// What stands in the way of a move is told, and changes nothing; what was moved can be
// taken back.
func TestMigrateRefuses(t *testing.T) {
	server := proctest.New(t, "--log-level", "error")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Token(t.Context(), "c", "https://rp.example", "ssf.manage"); err != nil {
		t.Fatal(err)
	}
	durable := redistest.StartDurable(t)
	redis := "redis://" + durable.Addr
	refuses(t, "no data folder", "migrate", "--from", t.TempDir(), "--to", redis)
	refuses(t, "in use", "migrate", "--from", server.Dir, "--to", redis)
	refuses(t, "--to", "migrate", "--from", server.Dir)
	server.Kill()

	other := proctest.New(t, "--redis", redis, "--redis-prefix", "other", "--log-level", "error")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	other.Kill()
	refuses(t, "another installation", "migrate", "--from", server.Dir, "--to", redis, "--redis-prefix", "other")
	if _, err := os.Stat(filepath.Join(server.Dir, "migration.json")); err == nil {
		t.Error("after a refusal: got a folder that says it is moved, want one that is as it was")
	}

	if _, said, err := moving(t, server.Dir, redis, "TOCSIN_CRASH_POINT=migrate.done-there"); !killed(err) {
		t.Fatalf("got %v, %s, want it to be killed", err, said)
	}
	if _, said, err := moving(t, server.Dir, redis); err != nil {
		t.Fatalf("again at the very end: got %v, %s, want no error", err, said)
	}
	refuses(t, "already", "migrate", "--from", server.Dir, "--to", redis)
	refuses(t, "another Redis", "serve", "--data", server.Dir, "--redis", redis, "--redis-prefix", "new", "--listen", "127.0.0.1:0", "--insecure-loopback")
	out, err := server.Command(t.Context(), "client", "list", "--json", "--data", server.Dir, "--redis", redis)
	if err != nil || !strings.Contains(string(out), `"c"`) {
		t.Errorf("clients in Redis: got %s (%v), want c", out, err)
	}

	refuses(t, "--take-back", "serve", "--data", server.Dir, "--redis", redis, "--take-back", "--listen", "127.0.0.1:0", "--insecure-loopback")
	server.Args = append(server.Args, "--take-back")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	refuses(t, "another installation", "migrate", "--from", server.Dir, "--to", redis)
	if _, said, err := moving(t, server.Dir, redis+"/1"); err != nil {
		t.Errorf("to another place: got %v, %s, want no error", err, said)
	}
}
