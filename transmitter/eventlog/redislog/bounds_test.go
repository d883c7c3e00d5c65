package redislog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// What is remembered of source ids is bounded by the length of the memory: every append
// forgets some that are older, at most a few.
func TestKeysForgotten(t *testing.T) {
	server := redistest.Start(t)
	var offset atomic.Int64
	l := open(t, plain(server), redislog.Config{
		KeyMemory: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	})
	events := make([]eventlog.Event, 1000)
	for i := range events {
		events[i] = event(i)
	}
	if _, err := l.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	remembered := func() [2]int64 {
		t.Helper()
		ids, err := server.Client(t).HLen(t.Context(), "tocsin:{log}:ids").Result()
		order, orderErr := server.Client(t).LLen(t.Context(), "tocsin:{log}:order").Result()
		if err := errors.Join(err, orderErr); err != nil {
			t.Fatal(err)
		}
		return [2]int64{ids, order}
	}
	if got := remembered(); got != [2]int64{1000, 1000} {
		t.Errorf("got %d remembered, want 1000", got)
	}
	offset.Store(int64(2 * time.Hour))
	for n := range 500 {
		add(t, l, event(n)) // its key is known still on the server, and too old
		if got := remembered(); n == 0 && got[1] < 990 {
			t.Errorf("got %d remembered after one append, want it to forget a few at a time", got)
		}
	}
	if got := remembered(); got != [2]int64{500, 500} {
		t.Errorf("got %d remembered, want the 500 within the memory", got)
	}
	if got, err := l.Append(t.Context(), event(3)); err != nil || !got[0].Duplicate || got[0].Seq != 1004 {
		t.Errorf("got %+v (%v), want a duplicate of 1004", got, err)
	}
}

// What was erased is gone from the server, and after Compact from its files.
func TestErasedFromFiles(t *testing.T) {
	if os.Getenv(redistest.Address) != "" {
		t.Skipf("SKIPPED, not tested: the files of the server of %s are not at hand", redistest.Address)
	}
	server := redistest.StartDurable(t)
	client := server.Client(t)
	l := open(t, redisdb.Config{URL: "redis://" + server.Addr}, redislog.Config{})
	secret := "8d2c1f-what-nobody-shall-read"
	e := event(1)
	e.Data = json.RawMessage(`{"secret":"` + secret + `"}`)
	a := add(t, l, e)
	add(t, l, event(2))
	settings, err := client.ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !inFiles(t, settings["dir"], secret) {
		t.Fatal("got no event in the append-only file, want it there")
	}
	if n, err := l.Erase(t.Context(), a.Seq); err != nil || n != 1 {
		t.Fatalf("got %d erased (%v), want 1", n, err)
	}
	if err := l.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); inFiles(t, settings["dir"], secret); {
		if time.Now().After(end) {
			t.Fatal("got the erased event in the server's files still, want it gone")
		}
	}
	server.Restart(t)
	l = open(t, redisdb.Config{URL: "redis://" + server.Addr}, redislog.Config{})
	records, err := l.Read(t.Context(), 0, 10)
	if err != nil || len(records) != 2 || !records[0].Erased || records[1].Erased {
		t.Errorf("got %+v (%v), want an erased record and a whole one", records, err)
	}
}

// inFiles says whether a text is in a file of a folder.
func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "temp-") {
			return nil // deleted meanwhile
		}
		b, err := os.ReadFile(path)
		found = found || err == nil && bytes.Contains(b, []byte(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// One call appends what a script may be given, and no more.
func TestTooLarge(t *testing.T) {
	l := open(t, plain(redistest.Start(t)), redislog.Config{})
	for _, n := range []int{redislog.MaxAppend, redislog.MaxAppend + 1} {
		events := make([]eventlog.Event, n)
		for i := range events {
			events[i] = event(i)
		}
		got, err := l.Append(t.Context(), events...)
		if n <= redislog.MaxAppend && (err != nil || len(got) != n || got[n-1].Seq != uint64(n)) {
			t.Errorf("%d events: got %v, want them appended", n, err)
		}
		if n > redislog.MaxAppend && !errors.Is(err, redislog.ErrTooLarge) {
			t.Errorf("%d events: got %v, want %v", n, err, redislog.ErrTooLarge)
		}
	}
	large := event(90_000)
	large.Data = json.RawMessage(`{"a":"` + strings.Repeat("a", 3<<20) + `"}`)
	if a := add(t, l, large); a.Seq != redislog.MaxAppend+1 {
		t.Errorf("got seq %d, want %d", a.Seq, redislog.MaxAppend+1)
	}
	r, err := l.Record(t.Context(), redislog.MaxAppend+1)
	if err != nil || !bytes.Equal(r.Data, large.Data) {
		t.Errorf("got %d bytes (%v), want the event whole", len(r.Data), err)
	}
}

// Config names what is wrong, and the program knows a log that is of another version.
func TestOpen(t *testing.T) {
	server := redistest.Start(t)
	for _, cfg := range []redislog.Config{{}, {DB: connect(t, plain(server)), Tail: -1}} {
		if _, err := redislog.Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v: got no error, want one", cfg)
		}
	}
	open(t, plain(server), redislog.Config{})
	if err := server.Client(t).HSet(t.Context(), "tocsin:{log}:head", "version", 99).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := redislog.Open(t.Context(), redislog.Config{DB: connect(t, plain(server))}); err == nil || !strings.Contains(err.Error(), "99") {
		t.Errorf("got %v, want an error that names the version", err)
	}
}

// A part of the tree that is not there is found at the start.
func TestDamaged(t *testing.T) {
	server := redistest.Start(t)
	l := open(t, plain(server), redislog.Config{})
	events := make([]eventlog.Event, 300)
	for i := range events {
		events[i] = event(i)
	}
	if _, err := l.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"tocsin:{log}:rows:1", "tocsin:{log}:nodes:1:0"} {
		c := server.Client(t)
		was := c.Get(t.Context(), key).Val()
		c.Del(t.Context(), key)
		if _, err := redislog.Open(t.Context(), redislog.Config{DB: connect(t, plain(server))}); !errors.Is(err, redislog.ErrDamaged) {
			t.Errorf("without %s: got %v, want %v", key, err, redislog.ErrDamaged)
		}
		c.Set(t.Context(), key, was, 0)
	}
	open(t, plain(server), redislog.Config{})
}

// Times of recording are the server's, from the first record on.
func TestRecorded(t *testing.T) {
	server := redistest.Start(t)
	for n := range 3 {
		l := open(t, plain(server), redislog.Config{})
		before, err := server.Client(t).Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		a := add(t, l, event(n))
		after, err := server.Client(t).Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.Record(t.Context(), a.Seq)
		if err != nil {
			t.Fatal(err)
		}
		// What this process knows of the server's time is behind it by as long as an answer takes.
		if r.Recorded.Before(before.Add(-5*time.Second)) || r.Recorded.After(after.Add(time.Millisecond)) {
			t.Errorf("got %v recorded between %v and %v", r.Recorded, before, after)
		}
	}
}
