package redisinbox_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// woken opens an inbox that hears of others. By itself it would look once a minute.
func woken(t *testing.T, cfg redisdb.Config) *redisinbox.Inbox {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	wakes := redisdb.NewWakes(db, nil)
	begun := make(chan struct{}, 100)
	wakes.On("inbox", func(string) { begun <- struct{}{} })
	in := open(t, redisinbox.Config{DB: db, Wakes: wakes, Poll: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = wakes.Run(ctx) }()
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		<-ended
		_ = db.Close()
	})
	<-begun
	return in
}

// What one process brings, settles or sends again another takes at once, however seldom
// it looks by itself. The bound is generous: the machine may be busy.
func TestOthersAreWoken(t *testing.T) {
	const soon = 6 * time.Second // before a lease ends
	servers(t, func(t *testing.T, cfg redisdb.Config, client redis.UniversalClient) {
		a, b := woken(t, cfg), woken(t, cfg)
		bring := func(id, key string) {
			t.Helper()
			m := message(id)
			m.OrderKey = key
			if _, err := a.Append(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		bring("first", "k")
		bring("second", "k")
		first := takeAll(t, a, 1)["first"]
		before := scripts(t, client)
		taken := make(chan inbox.Message)
		go func() {
			for {
				list, err := b.Take(t.Context(), "f", 1)
				if err != nil {
					close(taken)
					return
				}
				taken <- list[0]
			}
		}()
		next := func(want string) inbox.Message {
			t.Helper()
			select {
			case m := <-taken:
				if m.ID != want {
					t.Fatalf("got %s, want %s", m.ID, want)
				}
				return m
			case <-time.After(soon):
				t.Fatalf("got nothing in %v, want %s", soon, want)
			}
			panic("unreachable")
		}
		settle := func(in *redisinbox.Inbox, m inbox.Message, v inbox.Verdict) {
			t.Helper()
			if err := in.Settle(t.Context(), inbox.Outcome{Seq: m.Seq, Verdict: v}); err != nil {
				t.Fatal(err)
			}
		}
		for scripts(t, client) == before { // until b has looked, and waits
		}
		settle(a, first, inbox.Done)
		settle(b, next("second"), inbox.Done)
		var last inbox.Message
		for n := range 10 { // in a row: none is overheard
			bring("m"+strconv.Itoa(n), "")
			last = next("m" + strconv.Itoa(n))
			if n < 9 {
				settle(b, last, inbox.Done)
			}
		}
		settle(b, last, inbox.SetAside)
		if err := a.Resend(t.Context(), last.Issuer, last.ID); err != nil {
			t.Fatal(err)
		}
		next(last.ID)
	})
}

// scripts returns how many the server has run.
func scripts(t *testing.T, client redis.UniversalClient) string {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "cmdstat_evalsha:calls=")
	n, _, _ := strings.Cut(rest, ",")
	return n
}
