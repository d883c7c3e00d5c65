package redisinbox_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func TestConfig(t *testing.T) {
	_, err := redisinbox.Open(t.Context(), redisinbox.Config{
		Remember: inbox.MinRemember - time.Second, MaxWaiting: -1, Lease: time.Millisecond, Poll: -1, Timeout: -1,
	})
	for _, want := range []string{"remember", "max_waiting", "lease", "poll", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}

// SEC-06: (iss, jti) is known as long as configured, and forgotten then.
func TestForgets(t *testing.T) {
	server := redistest.Start(t)
	synctest.Test(t, func(t *testing.T) {
		cfg := configOf(server.Addr)
		cfg.Now = time.Now
		in := open(t, cfg)
		defer func() { _ = in.Close() }()
		duplicate := func(id string) bool {
			got, err := in.Append(t.Context(), message(id))
			if err != nil {
				t.Fatal(err)
			}
			return got[0].Duplicate
		}
		duplicate("old")
		duplicate("old, and never again")
		<-time.After(inbox.MinRemember)
		duplicate("at the limit")
		if !duplicate("old") {
			t.Error("got a message forgotten at the limit, want it known")
		}
		<-time.After(time.Second)
		if duplicate("old") {
			t.Error("got a message known after the limit, want it forgotten")
		}
		if !duplicate("at the limit") {
			t.Error("got a younger message forgotten, want it known")
		}
	})
	c := server.Client(t)
	seen := keyOf(t, c, "seen")
	if n, err := c.ZCard(t.Context(), seen).Result(); err != nil || n != 2 {
		t.Errorf("got %d identities kept (%v), want 2", n, err)
	}
	// Also where nothing comes any more, but somebody takes; by the server's clock all
	// of them are old.
	in := open(t, configOf(server.Addr))
	defer func() { _ = in.Close() }()
	if _, err := in.Take(t.Context(), "f", 1); err != nil {
		t.Fatal(err)
	}
	if n, err := c.ZCard(t.Context(), seen).Result(); err != nil || n != 0 {
		t.Errorf("got %d identities kept (%v), want none", n, err)
	}
}

// keyOf returns the key of that name; there is one feed.
func keyOf(t *testing.T, c redis.UniversalClient, name string) string {
	t.Helper()
	keys, err := c.Keys(t.Context(), "*}:"+name).Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("got %q, %v, want one key of the name %s", keys, err, name)
	}
	return keys[0]
}

// Dead letters take room as well: what Redis holds is bounded.
func TestFull(t *testing.T) {
	cfg := configOf(redistest.Start(t).Addr)
	cfg.MaxWaiting = 2
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	one := func(id string) inbox.Appended {
		t.Helper()
		got, err := in.Append(t.Context(), message(id))
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	one("a")
	one("b")
	if got := one("c"); !errors.Is(got.Err, inbox.ErrFull) {
		t.Fatalf("got %+v, want the third refused as full", got)
	}
	if got := one("a"); !got.Duplicate {
		t.Errorf("got %+v for a repeat at a full inbox, want a duplicate", got)
	}
	a := takeAll(t, in, 2)["a"]
	if err := in.Settle(t.Context(), inbox.Outcome{Seq: a.Seq, Verdict: inbox.SetAside}); err != nil {
		t.Fatal(err)
	}
	if got := one("c"); !errors.Is(got.Err, inbox.ErrFull) {
		t.Errorf("got %+v beside a dead letter, want it refused as full", got)
	}
	if err := in.Drop(t.Context(), a.Issuer, a.ID); err != nil {
		t.Fatal(err)
	}
	if got := one("c"); got != (inbox.Appended{}) {
		t.Errorf("got %+v once there is room, want it kept", got)
	}
}

// All keys are of the list in docs/operations/redis.md, each feed's in one slot. Once all
// is handled nothing stays but what is remembered, and the two numbers.
func TestKeys(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	in := open(t, configOf(server.Addr))
	defer func() { _ = in.Close() }()
	m := message("a")
	m.OrderKey = "jo@example.com"
	dead := message("b")
	if _, err := in.Append(t.Context(), m, dead); err != nil {
		t.Fatal(err)
	}
	for id, m := range takeAll(t, in, 2) {
		o := inbox.Outcome{Seq: m.Seq, Reason: "no"}
		if id == "b" {
			o.Verdict = inbox.SetAside
		}
		if err := errors.Join(onlyDigests(t.Context(), c), in.Settle(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Drop(t.Context(), dead.Issuer, dead.ID); err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var stay []string
	for _, key := range keys {
		_, name, _ := strings.Cut(key, "}:")
		left := c.PTTL(t.Context(), key).Val()
		if strings.HasPrefix(name, "answer:") || name == "seen" {
			if left <= 0 {
				t.Errorf("%s: got no end, want one", key)
			}
			continue
		}
		stay = append(stay, name)
	}
	slices.Sort(stay)
	if want := []string{"numbers", "seq"}; !slices.Equal(stay, want) {
		t.Errorf("got %q left, want %q", stay, want)
	}
}

// onlyDigests returns an error if a key or a member names a subject.
func onlyDigests(ctx context.Context, c redis.UniversalClient) error {
	keys, err := c.Keys(ctx, "*").Result()
	for _, key := range keys {
		raw, dumpErr := c.Dump(ctx, key).Result()
		err = errors.Join(err, dumpErr)
		if strings.Contains(key+raw, "jo@example.com") {
			return errors.New("a subject in clear in " + key)
		}
	}
	return err
}

// Concurrent callers share commits.
func TestGroupCommit(t *testing.T) {
	cfg := configOf(redistest.Start(t).Addr)
	var batches, total atomic.Int64
	cfg.Observe = func(n int, _ time.Duration) {
		batches.Add(1)
		total.Add(int64(n))
	}
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	var wg sync.WaitGroup
	const callers, each = 64, 10
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				if _, err := in.Append(t.Context(), message(string(rune('A'+i))+string(rune('a'+j)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if total.Load() != callers*each || batches.Load() > callers*each/2 {
		t.Errorf("got %d messages in %d commits, want %d in at most half as many", total.Load(), batches.Load(), callers*each)
	}
}

// More messages at once than a script is given, of several feeds: each has its answer.
func TestLargeAppend(t *testing.T) {
	in := open(t, configOf(redistest.Start(t).Addr))
	defer func() { _ = in.Close() }()
	var messages []inbox.Message
	for i := range 600 {
		m := message(string(rune('a' + i%300)))
		m.SET = bytes.Repeat([]byte("x"), 8<<10)
		messages = append(messages, m)
		m.Feed = "g"
		messages = append(messages, m)
	}
	got, err := in.Append(t.Context(), messages...)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range got {
		if want := i >= 600; a.Duplicate != want || a.Err != nil {
			t.Fatalf("got %+v for message %d, want duplicate %v", a, i, want)
		}
	}
	if c, err := in.Counts(t.Context(), "g"); err != nil || c.Waiting != 300 {
		t.Errorf("got %+v, %v, want 300", c, err)
	}
	if feeds, err := in.Feeds(t.Context()); err != nil || !slices.Equal(feeds, []string{"f", "g"}) {
		t.Errorf("got %q, %v, want f and g", feeds, err)
	}
	if all := takeAll(t, in, 300); len(all) != 300 {
		t.Errorf("got %d, want all 300", len(all))
	}
}
