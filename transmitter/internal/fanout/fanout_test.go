package fanout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

const (
	revoked  = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	purged   = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	patience = 20 * time.Second
)

// bench is a log and a store on disk, with a fan-out between them.
type bench struct {
	t     *testing.T
	cfg   fanout.Config
	log   *sqlitelog.Log
	store *sqlitestore.Store
}

func newBench(t *testing.T, maxDepth int) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t}
	var err error
	if b.log, err = sqlitelog.Open(t.Context(), sqlitelog.Config{Path: filepath.Join(dir, "log.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.log.Close() })
	if b.store, err = sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(dir, "state.db"), MaxDepth: maxDepth}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	b.cfg = fanout.Config{
		Log: b.log, Store: b.store, Logger: slog.New(slog.DiscardHandler),
		Full: func(_ context.Context, stream string, n int) { t.Errorf("Full: got %s, %d", stream, n) },
	}
	return b
}

// stream makes a stream of an application of the same name.
func (b *bench) stream(id string, change ...func(*streams.Stream)) {
	b.t.Helper()
	s := streams.Stream{
		ID: id, Owner: id, Issuer: "https://t.example", Audience: []string{id}, EventsDelivered: []string{revoked, purged},
		Delivery: streams.Delivery{Method: delivery.MethodPoll}, Status: streams.Enabled, DefaultSubjects: streams.SubjectsAll,
	}
	for _, f := range change {
		f(&s)
	}
	if err := b.store.Create(b.t.Context(), s, 0); err != nil {
		b.t.Fatal(err)
	}
}

// emit appends an event about a user with an e-mail address and an id, which
// becomes two security events.
func (b *bench) emit(user string, applications ...string) *eventlog.Record {
	b.t.Helper()
	done, err := b.log.Append(b.t.Context(), eventlog.Event{
		Source: "hr", Type: "x", Applications: applications,
		Subjects: []subject.Identifier{subject.Email(user + "@example.com"), subject.Opaque(user)},
		Mapped:   []eventlog.Mapped{{Type: revoked, Payload: json.RawMessage(`{}`)}, {Type: purged, Payload: json.RawMessage(`{}`)}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	rec, err := b.log.Record(b.t.Context(), done[0].Seq)
	if err != nil {
		b.t.Fatal(err)
	}
	return rec
}

// run follows until done, then ends.
func (b *bench) run(what string, done func() bool) {
	b.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f := fanout.New(b.cfg)
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			b.t.Errorf("Run: got %v, want nil", err)
		}
	})
	defer running.Wait()
	defer stop()
	deadline := time.NewTimer(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			b.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (b *bench) depth(stream string) int {
	b.t.Helper()
	d, err := b.store.Depth(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Items
}

// take takes and acknowledges all items of a stream.
func (b *bench) take(stream string) []streams.Item {
	b.t.Helper()
	var all []streams.Item
	for {
		items, err := b.store.Take(b.t.Context(), stream, streams.TakeOptions{Max: 100, Lease: time.Minute})
		if err != nil {
			b.t.Fatal(err)
		}
		if len(items) == 0 {
			return all
		}
		var outcomes []streams.Outcome
		for _, item := range items {
			outcomes = append(outcomes, streams.Outcome{ID: item.ID, Verdict: streams.Delivered})
		}
		if _, err := b.store.Settle(b.t.Context(), stream, outcomes, nil); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, items...)
	}
}

// An item says which SET it stands for: jti, position, subject, order.
func TestItems(t *testing.T) {
	b := newBench(t, 0)
	b.stream("shop")
	b.stream("mail")
	b.stream("purges", func(s *streams.Stream) { s.EventsDelivered = []string{purged} })
	rec := b.emit("a")
	only := b.emit("b", "mail")
	b.run("both records are fanned out", func() bool { return b.depth("mail") == 4 && b.depth("shop") == 2 })
	got := b.take("shop")
	for n, item := range got {
		if item.ID != rec.JTI("shop", uint32(n)) || item.Pos != (streams.Position{Seq: rec.Seq, N: uint32(n)}) || item.Type != rec.Mapped[n].Type ||
			item.OrderKey != rec.Subjects[0].OrderKey() || item.Subject != 0 || item.Lane != streams.LaneEvents || item.Added.IsZero() {
			t.Errorf("contracts.md §6 item %d: got %+v", n, item)
		}
	}
	mail := b.take("mail")
	if len(mail) != 4 || mail[0].ID != rec.JTI("mail", 0) || mail[0].ID == got[0].ID || mail[2].ID != only.JTI("mail", 0) {
		t.Errorf("U32: got %+v", mail)
	}
	if one := b.take("purges"); len(one) != 1 || one[0].Pos.N != 1 || one[0].Type != purged {
		t.Errorf("SSF-8.1.1-01: got %+v, want the type that is delivered alone", one)
	}
}

// contracts.md §3: the place is an optimisation. With the saved place nothing
// is read again; without it everything is, and changes nothing, even where it
// was acknowledged.
func TestPlace(t *testing.T) {
	b := newBench(t, 0)
	b.stream("shop")
	for i := range 10 {
		b.emit(fmt.Sprint("u", i))
	}
	b.run("all", func() bool { return b.depth("shop") == 20 })
	place, err := b.store.Cursor(t.Context(), "fanout")
	if err != nil || place != 10 {
		t.Fatalf("place after Run: got %d, %v, want 10", place, err)
	}
	if n := len(b.take("shop")); n != 20 {
		t.Fatalf("got %d items, want 20", n)
	}
	var puts atomic.Int64
	b.cfg.Crash = func(point string) {
		if point == fanout.CrashAfterPut {
			puts.Add(1)
		}
	}
	b.emit("next")
	b.run("the next", func() bool { return b.depth("shop") == 2 })
	if got := puts.Load(); got != 1 {
		t.Errorf("with its place: got %d puts, want 1", got)
	}
	b.take("shop")
	if err := b.store.SaveCursor(t.Context(), "fanout", 0); err != nil { // a power cut
		t.Fatal(err)
	}
	b.emit("last")
	b.run("all again", func() bool { return b.depth("shop") == 2 })
	if got := b.take("shop"); len(got) != 2 || got[0].Pos.Seq != 12 {
		t.Errorf("contracts.md §4 without its place: got %+v, want the last alone", got)
	}
}

// A process that ends between Put and the saving of its place costs nothing.
func TestEndsAfterPut(t *testing.T) {
	for _, point := range []string{fanout.CrashBeforePut, fanout.CrashAfterPut} {
		b := newBench(t, 0)
		b.stream("shop")
		b.emit("a")
		died := make(chan struct{})
		b.cfg.Crash = func(at string) {
			if at == point {
				close(died)
				select {} // this one does nothing more
			}
		}
		go func() { _ = fanout.New(b.cfg).Run(context.Background()) }()
		<-died
		b.cfg.Crash = nil
		b.emit("b")
		b.run("both", func() bool { return b.depth("shop") == 4 })
		if got := b.take("shop"); len(got) != 4 || got[0].Pos.Seq != 1 || got[3].Pos.Seq != 2 {
			t.Errorf("%s: got %+v, want each item once, in order", point, got)
		}
	}
}

// The SET bears what the stream registered, else the format that the
// application prefers, else the first identifier.
func TestSubject(t *testing.T) {
	b := newBench(t, 0)
	b.stream("prefers")
	b.stream("plain")
	b.stream("strange")
	b.stream("registered", func(s *streams.Stream) { s.DefaultSubjects = streams.SubjectsNone })
	if err := b.store.Add(t.Context(), "registered", subject.Opaque("a"), 0); err != nil {
		t.Fatal(err)
	}
	formats := map[string]string{"prefers": "opaque", "strange": "did"}
	b.cfg.Format = func(_ context.Context, owner string) (string, error) {
		if owner == "registered" {
			t.Error("Format was asked though the stream registered an identifier")
		}
		return formats[owner], nil
	}
	rec := b.emit("a")
	b.run("all", func() bool {
		return b.depth("prefers") == 2 && b.depth("plain") == 2 && b.depth("strange") == 2 && b.depth("registered") == 2
	})
	for stream, want := range map[string]int{"prefers": 1, "plain": 0, "strange": 0, "registered": 1} {
		for _, item := range b.take(stream) {
			if item.Subject != want || item.OrderKey != rec.Subjects[want].OrderKey() {
				t.Errorf("contracts.md §3, SSF-10.1-01 %s: got subject %d, order key %s, want %d", stream, item.Subject, item.OrderKey, want)
			}
		}
	}
}

// SSF-9.2-01: the hook decides per application, event and n; SSF-10.1-01: a
// format that cannot be read makes no event leave under another identifier.
func TestHooks(t *testing.T) {
	b := newBench(t, 0)
	b.stream("shop")
	b.stream("mail")
	b.cfg.Authorize = func(_ context.Context, owner string, rec *eventlog.Record, n uint32) bool {
		return owner == "mail" || n == 1 && rec.Seq > 0
	}
	var asked atomic.Int64
	b.cfg.Format = func(context.Context, string) (string, error) {
		if asked.Add(1) < 3 {
			return "", errors.New("disk")
		}
		return "opaque", nil
	}
	b.emit("a")
	b.run("both", func() bool { return b.depth("shop") == 1 && b.depth("mail") == 2 })
	for _, item := range slices.Concat(b.take("shop"), b.take("mail")) {
		if item.Subject != 1 {
			t.Errorf("SSF-10.1-01: got subject %d, want 1", item.Subject)
		}
		if item.Stream == "shop" && item.Pos.N != 1 {
			t.Errorf("SSF-9.2-01: got n %d for shop, want 1 alone", item.Pos.N)
		}
	}
}

// contracts.md §5: at its bound a queue keeps no more; who must know is told
// the number, and other streams go on.
func TestFull(t *testing.T) {
	b := newBench(t, 3)
	b.stream("slow")
	var mu sync.Mutex
	dropped := map[string]int{}
	b.cfg.Full = func(_ context.Context, stream string, n int) {
		mu.Lock()
		defer mu.Unlock()
		dropped[stream] += n
	}
	for range 5 {
		b.emit("a")
	}
	b.stream("quick", func(s *streams.Stream) { s.From = 4 })
	b.run("the bound", func() bool { mu.Lock(); defer mu.Unlock(); return dropped["slow"] == 7 && b.depth("quick") == 2 })
	if got := b.depth("slow"); got != 3 {
		t.Errorf("got %d items, want 3", got)
	}
	if len(dropped) != 1 {
		t.Errorf("got %v, want the full stream alone", dropped)
	}
}

// failing fails a number of times.
type failing struct {
	*sqlitestore.Store
	puts, matches, cursors atomic.Int64
}

func (f *failing) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	if f.puts.Add(-1) >= 0 {
		return streams.PutReport{}, errors.New("disk")
	}
	return f.Store.Put(ctx, items...)
}

func (f *failing) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	if f.matches.Add(-1) >= 0 {
		return nil, errors.New("disk")
	}
	return f.Store.Match(ctx, q)
}

func (f *failing) Cursor(ctx context.Context, name string) (uint64, error) {
	if f.cursors.Add(-1) >= 0 {
		return 0, errors.New("disk")
	}
	return f.Store.Cursor(ctx, name)
}

// A store that fails is asked again, and nothing is lost or twice.
func TestFailingStore(t *testing.T) {
	b := newBench(t, 0)
	b.stream("shop")
	f := &failing{Store: b.store}
	f.puts.Store(2)
	f.matches.Store(1)
	f.cursors.Store(1)
	b.cfg.Store = f
	for i := range 3 {
		b.emit(fmt.Sprint(i))
	}
	b.run("all", func() bool { return b.depth("shop") == 6 })
	var last streams.Position
	for _, item := range b.take("shop") {
		if !last.Before(item.Pos) {
			t.Errorf("got %v after %v", item.Pos, last)
		}
		last = item.Pos
	}
}
