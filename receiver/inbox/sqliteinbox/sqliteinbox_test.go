package sqliteinbox_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/inboxtest"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
)

func open(t *testing.T, cfg sqliteinbox.Config) *sqliteinbox.Inbox {
	t.Helper()
	in, err := sqliteinbox.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestContract(t *testing.T) {
	inboxtest.Run(t, func(t *testing.T, dir string) inboxtest.Closer {
		return open(t, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	})
}

func TestConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	for name, cfg := range map[string]sqliteinbox.Config{
		"SEC-06: forgets too soon": {Path: path, Remember: inbox.MinRemember - time.Second},
		"negative bound":           {Path: path, MaxWaiting: -1},
		"no path":                  {},
	} {
		if in, err := sqliteinbox.Open(t.Context(), cfg); err == nil {
			_ = in.Close()
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func message(id string) inbox.Message {
	return inbox.Message{Feed: "f", Issuer: "https://t.example", ID: id, SET: []byte("a.b.c"), Received: time.Now()}
}

// SEC-06: (iss, jti) is known as long as configured, also for what still waits.
func TestForgets(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		in := open(t, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db"), Remember: inbox.MinRemember})
		defer func() { _ = in.Close() }()
		duplicate := func(id string) bool {
			got, err := in.Append(t.Context(), message(id))
			if err != nil {
				t.Fatal(err)
			}
			return got[0].Duplicate
		}
		duplicate("old")
		<-time.After(inbox.MinRemember)
		duplicate("at the limit")
		if !duplicate("old") {
			t.Error("got a message forgotten at the limit, want it known")
		}
		<-time.After(time.Second)
		duplicate("after the limit")
		if duplicate("old") {
			t.Error("got a message known after the limit, want it forgotten")
		}
		if !duplicate("at the limit") {
			t.Error("got a younger message forgotten, want it known")
		}
	})
}

// A due time that was written while the clock was ahead does not hold its
// message, and its order key, back for a year.
func TestDueOfAClockAhead(t *testing.T) {
	cfg := sqliteinbox.Config{Path: filepath.Join(t.TempDir(), "inbox.db")}
	in := open(t, cfg)
	if _, err := in.Append(t.Context(), message("a")); err != nil {
		t.Fatal(err)
	}
	taken, err := in.Take(t.Context(), "f", 1)
	if err != nil {
		t.Fatal(err)
	}
	ahead := time.Now().Add(365 * 24 * time.Hour)
	err = in.Settle(t.Context(), inbox.Outcome{Seq: taken[0].Seq, Verdict: inbox.Again, Due: ahead.Add(time.Second)})
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	in = open(t, cfg)
	defer func() { _ = in.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := in.Take(ctx, "f", 1); err != nil {
		t.Errorf("got %v after a restart with the right clock, want the message", err)
	}
}

func TestFull(t *testing.T) {
	in := open(t, sqliteinbox.Config{Path: filepath.Join(t.TempDir(), "inbox.db"), MaxWaiting: 2})
	defer func() { _ = in.Close() }()
	got, err := in.Append(t.Context(), message("a"), message("b"), message("c"))
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Err != nil || got[1].Err != nil || !errors.Is(got[2].Err, inbox.ErrFull) {
		t.Fatalf("got %+v, want the third refused as full", got)
	}
	if got, err := in.Append(t.Context(), message("a")); err != nil || !got[0].Duplicate {
		t.Errorf("got %+v, %v for a repeat at a full inbox, want a duplicate", got, err)
	}
	taken, err := in.Take(t.Context(), "f", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Settle(t.Context(), inbox.Outcome{Seq: taken[0].Seq}); err != nil {
		t.Fatal(err)
	}
	if got, err := in.Append(t.Context(), message("c")); err != nil || got[0].Err != nil || got[0].Duplicate {
		t.Errorf("got %+v, %v once there is room, want it kept", got, err)
	}
}
