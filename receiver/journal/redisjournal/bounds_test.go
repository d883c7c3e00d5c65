package redisjournal_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/redisjournal"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func pick(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }

// random is an entry of one of many kinds; few values, so that questions meet something.
func random(r *rand.Rand) journal.Entry {
	issuer := pick(r, "https://a.example", "https://b.example", "https://c.example")
	return journal.Entry{
		Event:         journal.Event{Feed: pick(r, "", "x", "y"), Issuer: issuer, ID: strconv.Itoa(r.IntN(400))},
		TransactionID: pick(r, "", "t", "u", "v"), Type: "https://schemas.example/event", Scope: "user",
		Rule: pick(r, "r", "s"), Hook: "hook " + strconv.Itoa(r.IntN(5)), Effect: pick(r, "end", "deny"),
		Verdict: journal.Verdicts()[r.IntN(len(journal.Verdicts()))], Attempt: 1, Ended: r.IntN(5) - 1,
		Time: time.UnixMilli(1700000000000), At: time.UnixMilli(1700000000000 + int64(r.IntN(1e6))),
	}
}

func randomQuery(r *rand.Rand) journal.Query {
	q := journal.Query{Max: 1 + r.IntN(300)}
	e := random(r)
	for i, set := range []func(){
		func() { q.Feed = e.Feed },
		func() { q.Issuer = e.Issuer },
		func() { q.Hook = e.Hook },
		func() { q.Verdict = e.Verdict },
		func() { q.TransactionID = e.TransactionID },
		func() { q.ID = e.ID },
	} {
		if r.IntN(3+i) == 0 {
			set()
		}
	}
	return q
}

// all returns what q asks for, page after page.
func all(t *testing.T, j journal.Journal, q journal.Query) []journal.Entry {
	t.Helper()
	var list []journal.Entry
	for {
		page, err := j.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page...)
		if len(page) < q.Max {
			return list
		}
		q.Before = page[len(page)-1].Seq
	}
}

// Whatever is asked, the answers are those of the journal in memory, which looks at
// everything.
func TestAnswersAsMemory(t *testing.T) {
	cfg := redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true}
	j := open(t, cfg, redisjournal.Config{MaxEntries: 1200})
	defer func() { _ = j.Close() }()
	model := memjournal.New(1200)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var entries []journal.Entry
		for range 1 + r.IntN(15) {
			entries = append(entries, random(r))
		}
		if err := j.Record(t.Context(), entries...); err != nil {
			t.Fatal(err)
		}
		if err := model.Record(t.Context(), entries...); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 120 {
		q := randomQuery(r)
		if n == 0 {
			q = journal.Query{Max: journal.MaxPage}
		}
		got, want := all(t, j, q), all(t, model, q)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: got %d entries, want %d\ngot  %v\nwant %v", q, len(got), len(want), got, want)
		}
	}
	got, err := j.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := model.Totals(t.Context()); !slices.Equal(got, want) {
		t.Errorf("got totals %v, want %v", got, want)
	}
}

// calls returns how many commands the server has carried out, those of scripts, too.
func calls(t *testing.T, c redis.UniversalClient) int {
	t.Helper()
	info, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(info) {
		if _, rest, ok := strings.Cut(line, ":calls="); ok {
			n, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
			sum += n
		}
	}
	return sum
}

// What a question, a record and the sums cost does not grow with what is kept.
func TestCosts(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t)
	j := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true}, redisjournal.Config{})
	defer func() { _ = j.Close() }()
	entry := func(id string, verdict journal.Verdict) journal.Entry {
		return journal.Entry{
			Event: journal.Event{Feed: "f", Issuer: "https://a.example", ID: id}, TransactionID: "t" + id, Rule: "r", Hook: "redis",
			Effect: "end", Verdict: verdict, At: time.UnixMilli(1700000000000), Time: time.UnixMilli(1700000000000),
		}
	}
	fill := func(from, to int) {
		for ; from < to; from += redisjournal.MaxRecord {
			var entries []journal.Entry
			for n := range min(to-from, redisjournal.MaxRecord) {
				entries = append(entries, entry(strconv.Itoa(from+n), journal.Done))
			}
			if err := j.Record(t.Context(), entries...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Record(t.Context(), entry("bad", journal.Failed)); err != nil {
		t.Fatal(err)
	}
	ask := func(q journal.Query) func() error {
		return func() error {
			_, err := j.List(t.Context(), q)
			return err
		}
	}
	asks := map[string]func() error{
		"record": func() error { return j.Record(t.Context(), entry("again", journal.Done)) },
		"of":     func() error { _, err := j.Of(t.Context(), entry("1", "").Event); return err },
		"totals": func() error { _, err := j.Totals(t.Context()); return err },
		"newest": ask(journal.Query{Max: 10}),
		"jti":    ask(journal.Query{ID: "1", Max: 10}),
		"txn":    ask(journal.Query{TransactionID: "t1", Hook: "redis", Max: 10}),
		"failed": ask(journal.Query{Verdict: journal.Failed, Max: 10}),
		"both":   ask(journal.Query{Hook: "redis", Verdict: journal.Failed, Feed: "f", Max: 10}),
		"none":   ask(journal.Query{Hook: "redis", Verdict: journal.Skipped, Max: 10}),
		"issuer": ask(journal.Query{Issuer: "https://a.example", Max: 10}),
	}
	measure := func() map[string]int {
		costs := map[string]int{}
		for name, ask := range asks {
			_ = ask() // scripts are loaded, the entry of record is there
			before := calls(t, c)
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			costs[name] = calls(t, c) - before
		}
		return costs
	}
	fill(0, 100)
	few := measure()
	fill(100, 5000)
	for name, many := range measure() {
		if many > few[name] {
			t.Errorf("%s: got %d commands among 5000 entries, want at most the %d among 100", name, many, few[name])
		}
	}
}

// What goes leaves nothing behind, and where nothing is recorded any more all ends.
func TestEnds(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t)
	synctest.Test(t, func(t *testing.T) {
		j := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true}, redisjournal.Config{Now: time.Now})
		defer func() { _ = j.Close() }()
		entry := func(id string) journal.Entry {
			return journal.Entry{
				Event: journal.Event{Issuer: "https://a.example", ID: id}, TransactionID: id, Hook: id, Effect: "deny", Verdict: journal.Done,
				Lane: journal.Lane("https://a.example", id), At: time.Now(), Time: time.Now(),
			}
		}
		for n := range 20 {
			if err := j.Record(t.Context(), entry(strconv.Itoa(n))); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(journal.DefaultRemember + time.Second)
		for range 10 { // each takes two along
			if err := j.Record(t.Context(), entry("last")); err != nil {
				t.Fatal(err)
			}
		}
	})
	sizes := map[string]int{}
	for name, size := range map[string]func(context.Context, string) *redis.IntCmd{
		"entries": c.HLen, "kinds": c.HLen, "states": c.HLen, "index": c.ZCard, "lifetimes": c.ZCard,
	} {
		n, err := size(t.Context(), "tocsin:{journal}:"+name).Result()
		if err != nil {
			t.Fatal(err)
		}
		sizes[name] = int(n)
	}
	if got := fmt.Sprint(sizes); got != "map[entries:1 index:4 kinds:1 lifetimes:1 states:1]" {
		t.Errorf("got %s kept, want one entry and one state", got)
	}
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		ends, err := c.PTTL(t.Context(), key).Result()
		if most := journal.DefaultRemember + 24*time.Hour; err != nil || ends <= 0 || ends > most {
			t.Errorf("%s: got an end in %v %v, want one within %v", key, ends, err, most)
		}
	}
	if slices.SortFunc(keys, cmp.Compare[string]); len(keys) < 6 {
		t.Errorf("got keys %q, want the six and answers", keys)
	}
}

// A record that the server gets twice, since its answer was lost, is kept once.
func TestRepeated(t *testing.T) {
	s := redistest.Start(t)
	twice := s.Client(t)
	twice.AddHook(repeat{})
	j := open(t, redisdb.Config{Client: twice, Volatile: true}, redisjournal.Config{})
	defer func() { _ = j.Close() }()
	e := journal.Entry{Event: journal.Event{Issuer: "https://a.example", ID: "a"}, Effect: "end", Verdict: journal.Done}
	for want := range 2 {
		if err := j.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		got, err := j.List(t.Context(), journal.Query{Max: 10})
		if err != nil || len(got) != 1 || got[0].Seq != uint64(want+1) {
			t.Errorf("got %v %v, want one entry in place %d", got, err, want+1)
		}
	}
}

// repeat sends every command twice and forgets the first answer.
type repeat struct{}

func (repeat) DialHook(next redis.DialHook) redis.DialHook { return next }

func (repeat) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		_ = next(ctx, cmd)
		cmd.SetErr(nil)
		return next(ctx, cmd)
	}
}

func (repeat) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A record that is sent again is acknowledged when the replicas have what was written the
// first time: WAIT is about what its own connection wrote.
func TestRepeatedBeforeReplicas(t *testing.T) {
	server := redistest.Start(t)
	replica := server.StartReplica(t)
	c, way := server.Client(t), &redistest.Repeat{By: server.Client(t)}
	c.AddHook(way)
	j := open(t, redisdb.Config{Client: c, Replicas: 1, ReplicaWait: time.Second}, redisjournal.Config{})
	defer func() { _ = j.Close() }()
	record := func(id string) error {
		return j.Record(t.Context(), journal.Entry{Event: journal.Event{Issuer: "https://a.example", ID: id}, Effect: "end", Verdict: journal.Done})
	}
	if err := record("a"); err != nil {
		t.Fatal(err)
	}
	lost := way.Lost()
	replica.Pause(t)
	if err := record("b"); !errors.Is(err, redisdb.ErrReplicas) || way.Lost() == lost {
		t.Errorf("got %v after %d lost answers, want %v after one", err, way.Lost()-lost, redisdb.ErrReplicas)
	}
	replica.Resume(t)
}

func TestTooMany(t *testing.T) {
	j := open(t, redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true}, redisjournal.Config{})
	defer func() { _ = j.Close() }()
	e := journal.Entry{Event: journal.Event{Issuer: "https://a.example", ID: "a"}, Effect: "end", Verdict: journal.Done}
	if err := j.Record(t.Context(), slices.Repeat([]journal.Entry{e}, redisjournal.MaxRecord+1)...); err == nil {
		t.Error("got no error, want one")
	}
}
