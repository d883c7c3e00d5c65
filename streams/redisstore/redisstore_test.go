package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

const lease = time.Minute

// on opens a further store on a server.
func on(t *testing.T, server *redistest.Server, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: server.URL(), Volatile: true})
	must(t, err)
	cfg.DB = db
	s, err := redisstore.Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// Config's errors name what is wrong.
func TestConfig(t *testing.T) {
	_, err := redisstore.Open(t.Context(), redisstore.Config{MaxDepth: -1, Poll: -1, Node: "a\nb"})
	for _, want := range []string{"DB", "MaxDepth", "times", "Node"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}

// A process that ends between the reservation of a place and the creation of the stream
// neither leaks the place nor lets the limit be exceeded.
func TestReservationThatWasLeft(t *testing.T) {
	s, c := opened(t, redisstore.Config{})
	one := streamOf("one", func(s *streams.Stream) { s.Owner = "app" })
	if _, err := redisstore.Reserve(s, t.Context(), "app", "left", 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), one, 1); !errors.Is(err, streams.ErrConflict) {
		t.Fatalf("got %v while another may be about to create, want %v", err, streams.ErrConflict)
	}
	ago := float64(time.Now().Add(-redisstore.ReservationLife - time.Second).UnixMilli())
	must(t, c.ZAdd(t.Context(), s.OwnerKey("app"), redis.Z{Member: "left", Score: ago}).Err())
	must(t, s.Create(t.Context(), one, 1))
	if err := s.Create(t.Context(), streamOf("two", func(s *streams.Stream) { s.Owner = "app" }), 1); !errors.Is(err, streams.ErrConflict) {
		t.Errorf("got %v above the limit, want %v", err, streams.ErrConflict)
	}
	// Nothing is created on a place that is too old: others may have dropped it.
	must(t, c.ZAdd(t.Context(), s.OwnerKey("late"), redis.Z{Member: "late", Score: ago}).Err())
	late := streamOf("late", func(s *streams.Stream) { s.Owner = "late" })
	if err := s.Create(t.Context(), late, 1); err == nil || errors.Is(err, streams.ErrExists) {
		t.Errorf("got %v on an old place, want a failure that is safe to repeat", err)
	}
	must(t, s.Create(t.Context(), late, 1))
	if list, err := s.Streams(t.Context(), "late"); err != nil || len(list) != 1 {
		t.Errorf("got %d streams, %v, want one", len(list), err)
	}
}

// A process that begins under its former name has what it had taken before; what others
// took stays out.
func TestNodeBeginsAnew(t *testing.T) {
	server := redistest.Start(t)
	a, b := on(t, server, redisstore.Config{Node: "a"}), on(t, server, redisstore.Config{Node: "b"})
	must(t, a.Create(t.Context(), streamOf("s"), 0))
	_, err := a.Put(t.Context(), eventOf("s", 1, 1), eventOf("s", 2, 2), eventOf("s", 3, 3))
	must(t, err)
	for _, s := range []*redisstore.Store{a, b} {
		if n := take(t, s, "s", 1); len(n) != 1 {
			t.Fatalf("got %d items, want one", len(n))
		}
	}
	if got := seqs(take(t, on(t, server, redisstore.Config{Node: "a"}), "s", 9)); got != "1 3" {
		t.Errorf("got %s, want 1 of the former process and 3", got)
	}
}

func take(t testing.TB, s *redisstore.Store, stream string, max int) []streams.Item {
	t.Helper()
	items, err := s.Take(t.Context(), stream, streams.TakeOptions{Max: max, Lease: lease})
	must(t, err)
	return items
}

func seqs(items []streams.Item) string {
	var list []string
	for _, it := range items {
		list = append(list, fmt.Sprint(it.Pos.Seq))
	}
	return strings.Join(list, " ")
}

// What waits behind an order key, and how much waits at all, costs a Take nothing.
func TestTakeCostsWhatItHandsOut(t *testing.T) {
	for _, behind := range []int{600, 6000} {
		s, c := opened(t, redisstore.Config{})
		must(t, s.Create(t.Context(), streamOf("s"), 0))
		var items []streams.Item
		for i := range behind {
			items = append(items, eventOf("s", uint64(i+1), 0))
		}
		for i := range 100 {
			items = append(items, eventOf("s", uint64(behind+i+1), i+1))
		}
		_, err := s.Put(t.Context(), items...)
		must(t, err)
		if got := seqs(take(t, s, "s", 1)); got != "1" {
			t.Fatalf("got %s, want 1", got)
		}
		if got, want := seqs(take(t, s, "s", 1)), fmt.Sprint(behind+1); got != want {
			t.Fatalf("got %s, want %s, of another subject", got, want)
		}
		before := commands(t, c)
		for i := range 99 {
			if got, want := seqs(take(t, s, "s", 1)), fmt.Sprint(behind+i+2); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		if each := (commands(t, c) - before) / 99; each > 60 {
			t.Errorf("with %d blocked: got %.0f commands for a Take, want at most 60", behind, each)
		}
	}
}

// commands counts what the server has carried out, in scripts too.
func commands(t testing.TB, c redis.UniversalClient) float64 {
	t.Helper()
	raw, err := c.Info(t.Context(), "commandstats").Result()
	must(t, err)
	n := 0.0
	for _, m := range regexp.MustCompile(`calls=(\d+)`).FindAllStringSubmatch(raw, -1) {
		var k float64
		_, err := fmt.Sscan(m[1], &k)
		must(t, err)
		n += k
	}
	return n
}

// More candidates than one script looks at, of both kinds, are all found.
func TestMatchInPages(t *testing.T) {
	s, _ := opened(t, redisstore.Config{})
	jo := subject.Email("jo@example.com")
	want := 0
	for i := 0; want < 1100; i++ {
		id := fmt.Sprint("s", i)
		if streams.PartitionOf(id) != 3 {
			continue
		}
		want++
		must(t, s.Create(t.Context(), streamOf(id, func(s *streams.Stream) {
			if want%2 == 0 {
				s.DefaultSubjects = streams.SubjectsAll
			}
		}), 0))
		if want%2 != 0 {
			must(t, s.Add(t.Context(), id, jo, 0))
		}
	}
	found, err := s.Match(t.Context(), streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{jo}})
	must(t, err)
	seen := make(map[string]bool)
	for _, c := range found {
		seen[c.Stream] = true
	}
	if len(found) != want || len(seen) != want {
		t.Errorf("got %d candidates, %d streams, want %d", len(found), len(seen), want)
	}
}

// A Put of many streams and a Settle of many outcomes are cut into parts.
func TestLargeBatches(t *testing.T) {
	s, _ := opened(t, redisstore.Config{})
	var items []streams.Item
	for i := range 40 {
		id := fmt.Sprint("s", i)
		must(t, s.Create(t.Context(), streamOf(id), 0))
		for n := range 50 {
			items = append(items, eventOf(id, uint64(n+1), n))
		}
	}
	for n := range 700 {
		items = append(items, eventOf("s0", uint64(n+51), n))
	}
	report, err := s.Put(t.Context(), items...)
	must(t, err)
	if report.Kept != len(items) {
		t.Errorf("got %+v, want %d kept", report, len(items))
	}
	var outcomes []streams.Outcome
	for _, it := range take(t, s, "s0", 10_000) {
		outcomes = append(outcomes, streams.Outcome{ID: it.ID})
	}
	gone, err := s.Settle(t.Context(), "s0", outcomes, &streams.Health{Refusals: 1})
	must(t, err)
	if len(gone) != 750 {
		t.Errorf("got %d settled, want 750", len(gone))
	}
	if h, err := s.Health(t.Context(), "s0"); err != nil || h.Refusals != 1 {
		t.Errorf("got health %+v, %v, want that of the call", h, err)
	}
	total, _, err := s.Depths(t.Context(), 1)
	must(t, err)
	if want := len(items) - 750; total.Items != want || total.Leased != 0 {
		t.Errorf("got %+v, want %d items", total, want)
	}
}

// No update of a stream is lost, whichever process made it.
func TestUpdatesOfSeveral(t *testing.T) {
	server := redistest.Start(t)
	a, b := on(t, server, redisstore.Config{}), on(t, server, redisstore.Config{})
	must(t, a.Create(t.Context(), streamOf("s"), 0))
	var group sync.WaitGroup
	for i := range 20 {
		s := []*redisstore.Store{a, b}[i%2]
		group.Go(func() {
			_, err := s.Update(t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) {
				s.Description += "x"
				return nil, nil
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	group.Wait()
	if s, err := a.Stream(t.Context(), "s"); err != nil || len(s.Description) != 20 {
		t.Errorf("got %d changes, %v, want 20", len(s.Description), err)
	}
}

// A taker, and who waits for work, are woken by what another process put; they do not look
// by themselves here.
func TestWokenByAnother(t *testing.T) {
	server := redistest.Start(t)
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: server.URL(), Volatile: true})
	must(t, err)
	wakes := redisdb.NewWakes(db, nil)
	a := on(t, server, redisstore.Config{})
	b, err := redisstore.Open(t.Context(), redisstore.Config{DB: db, Wakes: wakes, Poll: time.Hour})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	var work sync.WaitGroup
	work.Go(func() { _ = wakes.Run(ctx) })
	held := make(chan streams.Partition, streams.Partitions)
	work.Go(func() {
		_ = b.Hold(ctx, func(ctx context.Context, p streams.Partition) { held <- p; <-ctx.Done() })
	})
	defer func() {
		cancel()
		work.Wait()
		must(t, errors.Join(b.Close(), db.Close()))
	}()
	for range streams.Partitions {
		<-held
	}
	must(t, a.Create(ctx, streamOf("push"), 0))
	must(t, a.Create(ctx, streamOf("poll", func(s *streams.Stream) { s.Delivery.Method = "urn:ietf:rfc:8936" }), 0))
	took, ready := make(chan time.Time, 1), make(chan time.Time, 1)
	work.Go(func() {
		if items, err := b.Take(ctx, "poll", streams.TakeOptions{Max: 1, Lease: lease, Wait: true}); len(items) == 1 && err == nil {
			took <- time.Now()
		}
	})
	work.Go(func() {
		for ctx.Err() == nil {
			if ids, err := b.Ready(ctx, 9); err == nil && len(ids) == 1 && ids[0] == "push" {
				ready <- time.Now()
				return
			}
		}
	})
	begin := time.Now()
	_, err = a.Put(ctx, eventOf("push", 1, 0), eventOf("poll", 1, 0))
	must(t, err)
	for what, woken := range map[string]chan time.Time{"the taker": took, "who waits for work": ready} {
		select {
		case at := <-woken:
			t.Logf("%s was woken %v after the Put began", what, at.Sub(begin))
		case <-ctx.Done():
			t.Fatalf("%s was not woken", what)
		}
	}
}

// While the server is away calls fail, and nothing is lost; then all goes on.
func TestServerAway(t *testing.T) {
	server := redistest.StartDurable(t)
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: server.URL() + "?max_retries=-1&dial_timeout=100ms"})
	must(t, err)
	s, err := redisstore.Open(t.Context(), redisstore.Config{DB: db, Timeout: 500 * time.Millisecond})
	must(t, err)
	defer func() { must(t, errors.Join(s.Close(), db.Close())) }()
	must(t, s.Create(t.Context(), streamOf("s"), 0))
	must(t, s.Add(t.Context(), "s", subject.Opaque("1"), 0))
	_, err = s.Put(t.Context(), eventOf("s", 1, 0))
	must(t, err)
	s.Touch(t.Context(), "s", time.Now())
	server.Stop()
	if _, err := s.Put(t.Context(), eventOf("s", 2, 0)); err == nil {
		t.Error("got no error from a Put while the server is away")
	}
	if _, err := s.Stream(t.Context(), "s"); err == nil || errors.Is(err, streams.ErrNotFound) {
		t.Errorf("got %v for a stream while the server is away, want a failure", err)
	}
	server.Restart(t)
	_, err = s.Put(t.Context(), eventOf("s", 2, 0))
	must(t, err)
	if got := seqs(take(t, s, "s", 9)); got != "1 2" {
		t.Errorf("got %s, want 1 2", got)
	}
	if n, err := s.SubjectCount(t.Context(), "s"); n != 1 || err != nil {
		t.Errorf("got %d subjects, %v, want one", n, err)
	}
}

// What a receiver or an operator was answered, replicas have; what they do not have is no
// success. A repeat of what is there already is acknowledged, too.
func TestReplicas(t *testing.T) {
	server := redistest.StartDurable(t)
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: server.URL(), Replicas: 1})
	must(t, err)
	s, err := redisstore.Open(t.Context(), redisstore.Config{DB: db})
	must(t, err)
	defer func() { must(t, errors.Join(s.Close(), db.Close())) }()
	jo := subject.Opaque("jo")
	if err := s.Create(t.Context(), streamOf("s"), 0); !errors.Is(err, redisdb.ErrReplicas) {
		t.Fatalf("Create: got %v without a replica, want %v", err, redisdb.ErrReplicas)
	}
	// One that a failover forgot would keep its items out for a lease.
	if _, err := s.Settle(t.Context(), "s", nil, &streams.Health{Failures: 1}); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("Settle: got %v without a replica, want %v", err, redisdb.ErrReplicas)
	}
	server.StartReplica(t)
	must(t, s.Create(t.Context(), streamOf("s"), 0))
	for range 2 {
		must(t, s.Add(t.Context(), "s", jo, 0))
	}
	_, err = s.Update(t.Context(), "s", func(s *streams.Stream) ([]streams.Item, error) { s.Status = streams.Paused; return nil, nil })
	must(t, err)
	must(t, s.Delete(t.Context(), "s"))
}

// Every key is in the table of the documentation, and a deleted stream leaves only what it
// says.
func TestKeys(t *testing.T) {
	s, c := opened(t, redisstore.Config{Node: "a"})
	ctx := t.Context()
	all := streamOf("stream-1", func(s *streams.Stream) { s.DefaultSubjects, s.InactivityTimeout = streams.SubjectsAll, time.Hour })
	must(t, s.Create(ctx, all, 3))
	must(t, s.SaveCursor(ctx, "fanout", 1))
	pair, err := subject.Complex(map[string]subject.Identifier{"user": subject.Opaque("1"), "tenant": subject.Opaque("2")})
	must(t, err)
	must(t, s.Add(ctx, "stream-1", pair, 0))
	must(t, s.Remove(ctx, "stream-1", subject.Opaque("3"), 0))
	var items []streams.Item
	for i := range 6 {
		it := eventOf("stream-1", uint64(i+5), 0)
		if i > 0 { // of one subject: they wait for the first
			it.ID = fmt.Sprint("e", i)
		}
		items = append(items, it)
	}
	items[5].Ref, items[4].Ref = streams.Position{Seq: 2}, streams.Position{Seq: 1}
	control := streams.Item{Stream: "stream-1", Lane: streams.LaneControl, ID: "c1", Type: streams.TypeVerification, Payload: []byte(`{}`), Added: time.Now()}
	_, err = s.Put(ctx, append(items, control)...)
	must(t, err)
	take(t, s, "stream-1", 2)
	take(t, s, "stream-1", 2)
	_, err = s.Settle(ctx, "stream-1", []streams.Outcome{{ID: "e1", Verdict: streams.Refused}, {ID: "c1", Verdict: streams.Failed}}, &streams.Health{Failures: 1, NextDue: time.Now().Add(time.Hour)})
	must(t, err)
	documented := regexp.MustCompile("`(?:PREFIX:\\{pNN\\}:|…:)([a-z]+)(?::ID|:CALL)?`").FindAllStringSubmatch(page(t), -1)
	known := make(map[string]bool)
	for _, m := range documented {
		known[m[1]] = true
	}
	seen := make(map[string]bool)
	for _, key := range keys(t, c) {
		if kind, ok := strings.CutPrefix(key, "tocsin:{p"); ok {
			kind = strings.Split(kind, ":")[1]
			if seen[kind] = true; !known[kind] {
				t.Errorf("got key %s, want it in docs/operations/redis.md", key)
			}
		} else if !strings.HasPrefix(key, "tocsin:{owner-") {
			t.Errorf("got key %s, want none of that name", key)
		}
	}
	for kind := range known {
		if !seen[kind] && !slices.Contains([]string{"lease", "gone", "used"}, kind) {
			t.Errorf("got no key %s, want one of each kind in the table", kind)
		}
	}
	must(t, s.Delete(ctx, "stream-1"))
	part := fmt.Sprintf("tocsin:{p%02d}:", streams.PartitionOf("stream-1"))
	for _, key := range keys(t, c) {
		kind, ours := strings.CutPrefix(key, part)
		if strings.HasPrefix(kind, "answer:") || strings.Contains("part types used cursors nodes changes", kind) {
			continue
		}
		if ours || strings.Contains(key, "{owner-") {
			t.Errorf("got key %s after the only stream was deleted", key)
		}
	}
	for name, want := range map[string]float64{"items": 0, "leased": 0, "dead": 0} {
		if got, err := c.HGet(ctx, part+"part", name).Float64(); err != nil || got != want {
			t.Errorf("got %v %s, %v, want %v", got, name, err, want)
		}
	}
}

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations/redis.md")
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## Streams, subjects, queues\n")
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

func keys(t *testing.T, c redis.UniversalClient) []string {
	t.Helper()
	list, err := c.Keys(t.Context(), "*").Result()
	must(t, err)
	return list
}

// What a process that ended while it deleted a stream left behind, the next deletion in the
// partition erases.
func TestSubjectsThatWereLeft(t *testing.T) {
	s, c := opened(t, redisstore.Config{})
	ctx := t.Context()
	part := fmt.Sprintf("tocsin:{p%02d}:", streams.PartitionOf("s"))
	other := ""
	for i := 0; other == ""; i++ {
		if id := fmt.Sprint("other", i); streams.PartitionOf(id) == streams.PartitionOf("s") {
			other = id
		}
	}
	must(t, s.Create(ctx, streamOf("s"), 0))
	must(t, s.Create(ctx, streamOf(other), 0))
	for i := range 600 {
		must(t, s.Add(ctx, "s", subject.Opaque(fmt.Sprint(i)), 0))
	}
	// As if it had ended when the stream's own keys were gone, and its subjects were not.
	must(t, c.Copy(ctx, part+"subjects:s", part+"copy", 0, false).Err())
	must(t, s.Delete(ctx, "s"))
	must(t, c.Rename(ctx, part+"copy", part+"subjects:s").Err())
	must(t, c.SAdd(ctx, part+"gone", "s").Err())
	must(t, s.Delete(ctx, other))
	if n, err := c.Exists(ctx, part+"subjects:s", part+"gone", part+"match").Result(); n != 0 || err != nil {
		t.Errorf("got %d keys of the deleted stream, %v, want none", n, err)
	}
}

// What was forgotten is not in the server's files when Scrub returns.
func TestScrub(t *testing.T) {
	server := redistest.StartDurable(t)
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: server.URL()})
	must(t, err)
	s, err := redisstore.Open(t.Context(), redisstore.Config{DB: db})
	must(t, err)
	defer func() { must(t, errors.Join(s.Close(), db.Close())) }()
	must(t, s.Create(t.Context(), streamOf("s"), 0))
	jo := subject.Email("jo-who-is-to-be-forgotten@example.com")
	must(t, s.Add(t.Context(), "s", jo, 0))
	c := server.Client(t)
	dir, err := c.ConfigGet(t.Context(), "dir").Result()
	must(t, err)
	if !inFiles(t, dir["dir"], "jo-who-is-to-be-forgotten") {
		t.Fatal("got no trace of the subject in the files, want one before it is forgotten")
	}
	n, err := s.Forget(t.Context(), "", jo)
	must(t, err)
	must(t, s.Scrub(t.Context()))
	if n != 1 || inFiles(t, dir["dir"], "jo-who-is-to-be-forgotten") {
		t.Errorf("got %d forgotten, and it is in the files, want one that is not", n)
	}
}

func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	entries, err := os.ReadDir(dir + "/appendonlydir")
	must(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(dir + "/appendonlydir/" + e.Name())
		if err == nil && strings.Contains(string(data), text) {
			found = true
		}
	}
	return found
}
