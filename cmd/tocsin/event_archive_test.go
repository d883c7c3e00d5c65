package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// archiving runs a command of event and returns its exit code and what it printed.
func archiving(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = main.Run(t.Context(), append([]string{"event"}, args...), nil, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// Old events of a log in Redis go to files; verify-log verifies both together, against a
// signed checkpoint too. A run that was killed is taken up by the next.
func TestEventArchive(t *testing.T) {
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: url, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	now := time.Now().Add(-30 * 24 * time.Hour)
	log, err := redislog.Open(t.Context(), redislog.Config{DB: db, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	fill := func(from, to int) {
		t.Helper()
		for n := from; n < to; n += 100 {
			events := make([]eventlog.Event, 100)
			for i := range events {
				events[i] = eventlog.Event{Source: "hr", SourceID: fmt.Sprint(n + i), Type: "t"}
			}
			if _, err := log.Append(t.Context(), events...); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(0, 600)
	now = time.Now()
	fill(600, 900)
	keeper, err := checkpoint.Open(t.Context(), checkpoint.Config{Store: redischeckpoint.New(db), Log: log, Origin: "ssf.example/log"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := redisstore.Open(t.Context(), redisstore.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = state.Close() }()
	const follower = "fanout"
	wait := func(id string, seq uint64) { // a paused stream on whose queue a SET waits
		t.Helper()
		err := state.Create(t.Context(), streams.Stream{
			ID: id, Owner: "a", Epoch: 1, Status: streams.Paused, DefaultSubjects: streams.SubjectsAll,
			Delivery: streams.Delivery{Method: delivery.MethodPoll},
		}, 0)
		if err == nil {
			_, err = state.Put(t.Context(), streams.Item{Stream: id, Epoch: 1, Pos: streams.Position{Seq: seq}, ID: "jti", Type: "t", Added: now})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "archive")
	archive := []string{"archive", "--redis", url, "--redis-volatile", "--before", "192h", "--out", dir, "--json"}
	verify := []string{"verify-log", "--redis", url, "--redis-volatile", "--json"}
	type report struct {
		First, Last, Records uint64
		Files                []string
		Trimmed, Checkpoints int
	}
	run := func(args []string, want int) (r report) {
		t.Helper()
		code, out, errOut := archiving(t, args...)
		if err := json.Unmarshal([]byte(out), &r); code != want || err != nil {
			t.Fatalf("%q: got exit code %d and %s (%v), %s, want %d", args, code, out, err, errOut, want)
		}
		return r
	}
	if r := run(archive, 0); r.First != 0 {
		t.Errorf("before the fan-out has read it: got %+v, want nothing to export", r)
	}
	if err := state.SaveCursor(t.Context(), follower, 900); err != nil {
		t.Fatal(err)
	}
	wait("s", 200)
	if r := run(archive, 0); r.First != 0 {
		t.Errorf("while a SET waits for delivery: got %+v, want nothing to export", r)
	}
	if err := state.Delete(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	wait("s2", 550)
	if r := run(archive, 0); r.First != 1 || r.Last != 512 || len(r.Files) != 1 || r.Trimmed != 512 {
		t.Errorf("got %+v, want records 1 to 512 in a file", r)
	}
	if r := run(verify, 1); r.Records != 900 {
		t.Errorf("without the files: got %+v, want 900 records", r)
	}
	if r := run(append(verify, "--archive", dir), 0); r.Records != 900 || r.Checkpoints != 1 {
		t.Errorf("with the files: got %+v, want 900 records and the checkpoint", r)
	}
	if r := run(archive, 0); r.First != 0 || len(r.Files) != 0 {
		t.Errorf("again: got %+v, want nothing to export", r)
	}
	// As after a kill in the middle of a file.
	torn := filepath.Join(dir, ".segment-1234")
	if err := os.WriteFile(torn, []byte("jo@example.com"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(archive, 0); r.First != 0 {
		t.Errorf("after a kill: got %+v, want nothing to export", r)
	}
	if _, err := os.Stat(torn); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a kill: got %v, want what it left removed: no erasure reaches it", err)
	}
	// As after a kill between the file and the end of the trimming.
	if err := server.Client(t).HSet(t.Context(), "tocsin:{log}:head", "archived", 256).Err(); err != nil {
		t.Fatal(err)
	}
	if r := run(archive, 0); r.First != 257 || r.Last != 512 || r.Trimmed != 0 {
		t.Errorf("after a kill: got %+v, want the file to be taken as it is", r)
	}
	if r := run(append(verify, "--archive", dir), 0); r.Records != 900 {
		t.Errorf("with the files: got %+v, want 900 records", r)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 { // the lock's file beside it
		t.Errorf("got %v (%v), want one file", entries, err)
	}
}

// What is wrong with its flags is named, and nothing is exported.
func TestEventArchiveFlags(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	for _, tt := range []struct{ before, redis, want string }{
		{"yesterday", "redis://127.0.0.1:1", "--before"},
		{"24h", "redis://127.0.0.1:1", "192h"},
		{time.Now().Add(-time.Hour).Format(time.RFC3339), "redis://127.0.0.1:1", "192h"},
		{"720h", "", "--redis"},
		{"720h", "http://user:secret@127.0.0.1", "url"},
	} {
		code, _, errOut := archiving(t, "archive", "--before", tt.before, "--redis", tt.redis, "--out", dir)
		if code != 1 || !strings.Contains(errOut, tt.want) || strings.Contains(errOut, "secret") {
			t.Errorf("%s, %s: got exit code %d and %q, want 1 and %q named", tt.before, tt.redis, code, errOut, tt.want)
		}
	}
}
