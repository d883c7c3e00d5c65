package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// fresh is a config with a prefix of its own.
func fresh(cfg redisdb.Config) redisdb.Config {
	cfg.Prefix = newPrefix()
	return cfg
}

// A batch of events costs a process one exchange for all partitions that it holds and
// where nothing was changed, and one more for each where something was (contracts.md §9:
// each partition has its own subject index).
func TestMatchAsksOnceForABatch(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		s := join(t, fresh(cfg), redisstore.Config{})
		s.LookEvery(time.Hour)
		for i := range 40 {
			must(t, s.Create(t.Context(), some(fmt.Sprint("all", i), "app", streams.SubjectsAll, typeA), 0))
			id := fmt.Sprint("some", i)
			must(t, s.Create(t.Context(), some(id, "app", streams.SubjectsNone, typeA), 0))
			must(t, s.Add(t.Context(), id, mail(fmt.Sprint("u", i)), 0))
		}
		parts, _ := s.hold(t)
		batch := func(first uint64) int64 {
			return s.count.during(func() {
				for seq := first; seq < first+64; seq++ {
					q := streams.Query{Seq: seq, Head: first + 63, Type: typeA, Subjects: []subject.Identifier{mail(fmt.Sprint("u", seq%40))}}
					if found := matchAll(t, parts, q); len(found) != 41 {
						t.Fatalf("got %d streams, want 41", len(found))
					}
				}
			})
		}
		// What is small is loaded by the first look. The script is sent once.
		if n := batch(1); n > streams.Partitions+1 {
			t.Errorf("first batch: got %d exchanges, want %d", n, streams.Partitions)
		}
		batch(65) // connects for what goes together
		if n := batch(129); n != 1 {
			t.Errorf("next batch: got %d exchanges, want 1", n)
		}
		if n := batch(1); n != 0 {
			t.Errorf("a batch that was asked before: got %d exchanges, want 0", n)
		}
		must(t, s.Remove(t.Context(), "some1", mail("u1"), 0))
		must(t, s.Add(t.Context(), "some1", mail("u1"), 0))
		if n := batch(193); n != 2 {
			t.Errorf("batch after a change in one partition: got %d exchanges, want 2", n)
		}
	})
}

// What docs/operations/redis.md says of exchanges: an event alone costs a process one to
// match and one to put; its SET three. Events of a batch share them.
func TestExchangesOfEvents(t *testing.T) {
	s := join(t, fresh(serverOf(t)), redisstore.Config{})
	s.LookEvery(time.Hour)
	must(t, s.Create(t.Context(), some("s", "app", streams.SubjectsAll, typeA), 0))
	parts, _ := s.hold(t)
	part := parts[streams.PartitionOf("s")]
	head := uint64(0)
	events := func(n uint64) int64 {
		return s.count.during(func() {
			var items []streams.Item
			head += n
			for seq := head - n + 1; seq <= head; seq++ {
				for range matchAll(t, parts, streams.Query{Seq: seq, Head: head, Type: typeA, Subjects: []subject.Identifier{mail("u")}}) {
					items = append(items, eventOf("s", seq, int(seq)))
				}
			}
			report, err := part.Put(t.Context(), items...)
			must(t, err)
			if report.Kept != int(n) {
				t.Fatalf("Put: got %+v, want %d kept", report, n)
			}
		})
	}
	deliver := func(n int) int64 {
		return s.count.during(func() {
			items, err := part.Take(t.Context(), "s", streams.TakeOptions{Max: n, Lease: time.Minute})
			must(t, err)
			var outcomes []streams.Outcome
			for _, it := range items {
				_, err = part.Stream(t.Context(), "s") // right before its request
				must(t, err)
				outcomes = append(outcomes, streams.Outcome{ID: it.ID})
			}
			_, err = part.Settle(t.Context(), "s", outcomes, nil)
			must(t, err)
			if len(items) != n {
				t.Fatalf("Take: got %d items, want %d", len(items), n)
			}
		})
	}
	events(1) // scripts are sent
	deliver(1)
	events(1) // connects for what goes together
	deliver(1)
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"an event", events(1), 2},
		{"its SET", deliver(1), 3},
		{"256 events", events(256), 2},
		{"32 SETs of a window", deliver(32), 34},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d exchanges, want %d", c.what, c.got, c.want)
		}
	}
}

// What one process changed before a record was appended is seen by who matches a batch
// that ends with it (streams.Query.Head).
func TestMatchSeesWhatCameBefore(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		cfg = fresh(cfg)
		a, b := join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
		const records = 40
		must(t, b.Create(t.Context(), some("excluding", "app", streams.SubjectsAll, typeB), 0))
		for seq := 1; seq <= records; seq++ {
			must(t, b.Create(t.Context(), some(fmt.Sprintf("old%d.", seq), "app", streams.SubjectsNone, typeA), 0))
			must(t, b.Add(t.Context(), fmt.Sprintf("old%d.", seq), mail("u"), 0))
		}
		parts, _ := a.hold(t)
		var log atomic.Uint64 // its head
		var group sync.WaitGroup
		group.Go(func() {
			for seq := uint64(1); seq <= records; seq++ {
				added, old := fmt.Sprintf("new%d.", seq), fmt.Sprintf("old%d.", seq)
				must(t, b.Create(t.Context(), some(added, "app", streams.SubjectsNone, typeA), 0))
				must(t, b.Add(t.Context(), added, mail("u"), 0))
				switch seq % 3 {
				case 0:
					must(t, b.Remove(t.Context(), old, mail("u"), 0))
				case 1:
					must(t, b.Delete(t.Context(), old))
				case 2:
					set(t, b, old, func(s *streams.Stream) { s.Status = streams.Disabled })
				}
				must(t, b.Remove(t.Context(), "excluding", mail(fmt.Sprint("x", seq)), 0))
				log.Store(seq)
			}
		})
		for head := uint64(0); head < records; {
			if head = log.Load(); head == 0 {
				continue
			}
			found := told(matchAll(t, parts, streams.Query{Seq: head, Head: head, Type: typeA, Subjects: []subject.Identifier{mail("u")}}))
			for seq := uint64(1); seq <= head; seq++ {
				if !strings.Contains(found, fmt.Sprintf("new%d.", seq)) {
					t.Errorf("record %d: got no new%d, want the stream that registered the subject before", head, seq)
				}
				if strings.Contains(found, fmt.Sprintf("old%d.", seq)) {
					t.Errorf("record %d: got old%d, want none that was deleted, disabled or lost its subject before", head, seq)
				}
			}
			q := streams.Query{Seq: head, Head: head, Type: typeB, Subjects: []subject.Identifier{mail(fmt.Sprint("x", head))}}
			if found := matchAll(t, parts, q); len(found) > 0 {
				t.Errorf("record %d: got %s, want none: it was excluded before", head, told(found))
			}
		}
		group.Wait()
	})
}

// Where changes are missing, the feed is of another history, or gone, all is loaded anew:
// nothing is answered from what was.
func TestMatchAfterAGap(t *testing.T) {
	cfg := fresh(serverOf(t))
	a, b := join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
	a.LookEvery(time.Hour)
	const id = "s"
	must(t, b.Create(t.Context(), some(id, "app", streams.SubjectsNone, typeA), 0))
	parts, _ := a.hold(t)
	client, feed := b.db.Client(), fmt.Sprintf("%s:{p%02d}:changes", cfg.Prefix, streams.PartitionOf(id))
	head := uint64(0)
	ask := func(name string) string {
		head++
		return told(matchAll(t, parts, streams.Query{Seq: head, Head: head, Type: typeA, Subjects: []subject.Identifier{mail(name)}}))
	}
	const one = "[s of app epoch 1 subject 0]"
	for _, gap := range []struct {
		name string
		make func()
	}{
		{"nothing is missing", func() {}},
		{"gone", func() { must(t, client.Del(t.Context(), feed).Err()) }},
		{"cut off", func() { must(t, client.XTrimMaxLen(t.Context(), feed, 1).Err()) }},
		{"taken back by a failover", func() {
			last, err := client.XRevRangeN(t.Context(), feed, "+", "-", 3).Result()
			must(t, err)
			for _, entry := range last {
				must(t, client.XDel(t.Context(), feed, entry.ID).Err())
			}
		}},
		{"another at its place", func() {
			last, err := client.XRevRangeN(t.Context(), feed, "+", "-", 1).Result()
			must(t, err)
			must(t, client.Del(t.Context(), feed).Err())
			last[0].Values["i"] = "other"
			must(t, client.XAdd(t.Context(), addArgs(feed, last[0])).Err())
		}},
		{"more than are told at once", func() {
			for i := range 600 {
				must(t, b.Add(t.Context(), id, mail(fmt.Sprint("many", i)), 0))
			}
		}},
	} {
		ask("other")
		must(t, b.Add(t.Context(), id, mail(gap.name), 0))
		gap.make()
		if got := ask(gap.name); got != one {
			t.Errorf("%s: got %s, want %s", gap.name, got, one)
		}
		must(t, b.Remove(t.Context(), id, mail(gap.name), 0))
		gap.make()
		if got := ask(gap.name); got != "[]" {
			t.Errorf("%s: got %s, want [] when it is removed", gap.name, got)
		}
		for range 4 {
			ask("other")
		}
		if n := a.count.during(func() { ask("other") }); n != 1 {
			t.Errorf("%s: got %d exchanges when it is loaded anew, want 1", gap.name, n)
		}
	}
}

// Beyond the bound nothing is in memory, and all is still found.
func TestMatchBeyondMaxIndex(t *testing.T) {
	cfg := fresh(serverOf(t))
	const bound = 20
	a, b := join(t, cfg, redisstore.Config{MaxIndex: bound}), join(t, cfg, redisstore.Config{})
	must(t, b.Create(t.Context(), some("s", "app", streams.SubjectsNone, typeA), 0))
	parts, _ := a.hold(t)
	for i := range uint64(2 * bound) {
		must(t, b.Add(t.Context(), "s", mail(fmt.Sprint("u", i)), 0))
		q := streams.Query{Seq: i + 1, Head: i + 1, Type: typeA, Subjects: []subject.Identifier{mail(fmt.Sprint("u", i))}}
		if found := matchAll(t, parts, q); len(found) != 1 {
			t.Fatalf("subject %d: got %d streams, want 1", i, len(found))
		}
		if n := a.Indexed(); n > bound || i < bound/2 && n != int(i)+2 {
			t.Fatalf("got %d in memory with %d subjects, want all up to %d, then none", n, i+1, bound)
		}
	}
	if n := a.Indexed(); n != 0 {
		t.Errorf("got %d in memory beyond the bound, want 0", n)
	}
}

// Who has lost the lease has nothing in memory any more, and learns that it is lost.
func TestMatchWithoutLease(t *testing.T) {
	a := join(t, fresh(serverOf(t)), redisstore.Config{})
	must(t, a.Create(t.Context(), some("s", "app", streams.SubjectsAll, typeA), 0))
	parts, stop := a.hold(t)
	q := streams.Query{Seq: 1, Type: typeA}
	if found := matchAll(t, parts, q); len(found) != 1 || a.Indexed() != 1 {
		t.Fatalf("got %d streams, %d in memory, want 1 and 1", len(found), a.Indexed())
	}
	stop()
	if n := a.Indexed(); n != 0 {
		t.Errorf("got %d in memory, want 0", n)
	}
	if _, err := parts[streams.PartitionOf("s")].Match(t.Context(), q); !errors.Is(err, streams.ErrNotHeld) {
		t.Errorf("got %v, want %v", err, streams.ErrNotHeld)
	}
}

// Loading goes page by page beside changes of others, and finds all.
func TestMatchWhileItLoads(t *testing.T) {
	cfg := fresh(serverOf(t))
	a, b := join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
	a.LoadPages(10)
	must(t, b.Create(t.Context(), some("s", "app", streams.SubjectsNone, typeA), 0))
	const subjects = 100
	for i := range subjects {
		must(t, b.Add(t.Context(), "s", mail(fmt.Sprint("u", i)), 0))
	}
	part := mustPart(t, a, "s")
	has := func(name string, head uint64) bool {
		found, err := part.Match(t.Context(), streams.Query{Seq: head, Type: typeA, Subjects: []subject.Identifier{mail(name)}})
		must(t, err)
		return len(found) == 1
	}
	for head := range uint64(subjects) {
		added, removed := fmt.Sprint("new", head), fmt.Sprint("u", head)
		must(t, b.Add(t.Context(), "s", mail(added), 0))
		must(t, b.Remove(t.Context(), "s", mail(removed), 0))
		if !has(added, head+1) || has(removed, head+1) {
			t.Errorf("at %d: got %v and %v, want the subject that was added and not the one that was removed",
				head, has(added, head+1), has(removed, head+1))
		}
	}
	if got := a.Indexed(); got != subjects+1 {
		t.Errorf("got %d in memory, want %d", got, subjects+1)
	}
}

// Two complex subjects of a stream share keys: the removal of one leaves the other.
func TestMatchOfSubjectsThatShareKeys(t *testing.T) {
	a := join(t, fresh(serverOf(t)), redisstore.Config{})
	must(t, a.Create(t.Context(), some("s", "app", streams.SubjectsNone, typeA), 0))
	part, head := mustPart(t, a, "s"), uint64(0)
	pair := func(tenant string) subject.Identifier {
		id, err := subject.Complex(map[string]subject.Identifier{"user": mail("u"), "tenant": subject.Opaque(tenant)})
		must(t, err)
		return id
	}
	user, err := subject.Complex(map[string]subject.Identifier{"user": mail("u")})
	must(t, err)
	found := func() int {
		head++
		list, err := part.Match(t.Context(), streams.Query{Seq: head, Type: typeA, Subjects: []subject.Identifier{user}})
		must(t, err)
		return len(list)
	}
	found()
	must(t, a.Add(t.Context(), "s", pair("1"), 0))
	must(t, a.Add(t.Context(), "s", pair("2"), 0))
	for i, want := range []int{1, 0} {
		must(t, a.Remove(t.Context(), "s", pair(fmt.Sprint(i+1)), 0))
		if n := found(); n != want {
			t.Errorf("when %d of 2 are removed: got %d streams, want %d", i+1, n, want)
		}
	}
}

// Neither the feed nor the memory has what a subject says, and what is erased is gone from
// the memory with the next look.
func TestMirrorHasNoSubjects(t *testing.T) {
	a := join(t, fresh(serverOf(t)), redisstore.Config{})
	part := mustPart(t, a, "s")
	head := uint64(0)
	size := func() int {
		head++
		_, err := part.Match(t.Context(), streams.Query{Seq: head, Type: typeA})
		must(t, err)
		return a.Indexed()
	}
	size()
	must(t, a.Create(t.Context(), some("s", "app", streams.SubjectsNone, typeA), 0))
	user, err := subject.Complex(map[string]subject.Identifier{"user": mail("alice"), "tenant": subject.Opaque("acme")})
	must(t, err)
	for _, id := range []subject.Identifier{mail("alice"), mail("bob"), user} {
		must(t, a.Add(t.Context(), "s", id, 0))
	}
	if n := size(); n != 1+2+3 {
		t.Errorf("got %d in memory, want a stream, 2 subjects, and one under its 3 keys", n)
	}
	feed := fmt.Sprintf("%s:{p%02d}:changes", a.db.Prefix(), streams.PartitionOf("s"))
	entries, err := a.db.Client().XRange(t.Context(), feed, "-", "+").Result()
	must(t, err)
	if text := fmt.Sprint(entries); len(entries) < 4 || strings.Contains(text, "alice") || strings.Contains(text, "acme") {
		t.Errorf("the feed has %d entries, or a subject in clear: %q", len(entries), text)
	}
	if life, err := a.db.Client().PTTL(t.Context(), feed).Result(); err != nil || life <= 0 {
		t.Errorf("the feed ends in %v, %v, want an end", life, err)
	}
	if n, err := a.Forget(t.Context(), "", mail("alice")); n != 2 || err != nil {
		t.Errorf("Forget: got %d, %v, want 2", n, err)
	}
	if n := size(); n != 2 {
		t.Errorf("got %d in memory when it is forgotten, want a stream and a subject", n)
	}
	must(t, a.Delete(t.Context(), "s"))
	if n := size(); n != 0 {
		t.Errorf("got %d in memory when the stream is deleted, want 0", n)
	}
}
