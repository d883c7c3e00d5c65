package erase_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

const revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

var (
	jo      = subject.Email("jo@example.com")
	joID    = subject.IssSub("https://idp.example", "jo-7")
	al      = subject.Email("al@example.com")
	session = subject.Opaque("session-1")
)

// index finds by reading the whole log.
type index struct {
	log       eventlog.Log
	forgotten map[uint64]bool
	waited    uint64
	during    func() // called once while it looks; nil: nothing is
}

func (x *index) Place() uint64 { return 0 }

func (x *index) Wait(_ context.Context, seq uint64) error { x.waited = max(x.waited, seq); return nil }

func (x *index) Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error) {
	if do := x.during; do != nil {
		x.during = nil
		do()
	}
	var found []uint64
	for ; len(found) < max; after++ {
		page, err := x.log.Read(ctx, after, 1)
		if err != nil || len(page) == 0 || page[0].Seq >= before {
			return found, err
		}
		if r := page[0]; eventlog.MentionsAny(&r.Event, ids) && !x.forgotten[r.Seq] {
			found = append(found, r.Seq)
		}
	}
	return found, nil
}

func (x *index) Forget(_ context.Context, seqs ...uint64) error {
	for _, seq := range seqs {
		x.forgotten[seq] = true
	}
	return nil
}

// world is a log, a store of streams and an eraser on them.
type world struct {
	*testing.T
	path    string
	clock   atomic.Int64
	log     *sqlitelog.Log
	index   *index
	streams *storetest.Memory
	eraser  *erase.Eraser
	crash   string            // the point at which to crash
	meet    map[string]func() // what is done once at a point
	reads   []uint64          // after which places the log was read
	orders  int               // entries of orders that were read
	cleared int
	retain  time.Duration
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "log.db"), streams: storetest.NewMemory(storetest.Options{})}
	l, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: w.path, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w.log, w.index = l, &index{log: l, forgotten: make(map[uint64]bool)}
	w.restart()
	w.stream("s1", "shop")
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) }

// reading is a log that notes how it is read.
type reading struct {
	*sqlitelog.Log
	after  *[]uint64
	orders *int
}

func (r reading) Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error) {
	page, err := r.Log.Entries(ctx, kind, ref, span)
	if ref == "orders" {
		*r.orders += len(page)
	}
	return page, err
}

func (r reading) Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	*r.after = append(*r.after, after)
	return r.Log.Read(ctx, after, max)
}

// crashed is what a crash point panics with.
type crashed string

// restart makes a new eraser on what is kept.
func (w *world) restart() {
	w.eraser = erase.New(erase.Config{
		Log: reading{w.log, &w.reads, &w.orders}, Index: w.index, Streams: w.streams, Follower: "fanout", Forget: func() { w.cleared++ },
		Retention: w.retain, Now: w.now,
		Crash: func(point string) {
			if do := w.meet[point]; do != nil {
				delete(w.meet, point)
				do()
			}
			if point == w.crash {
				w.crash = ""
				panic(crashed(point))
			}
		},
	})
}

func (w *world) stream(id, owner string) {
	w.Helper()
	w.must(w.streams.Create(w.Context(), streams.Stream{
		ID: id, Owner: owner, EventsDelivered: []string{revoked}, Epoch: 1, Status: streams.Enabled,
		DefaultSubjects: streams.SubjectsAll, Delivery: streams.Delivery{Method: delivery.MethodPoll},
	}, 0))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("got error %v, want none", err)
	}
}

// event appends one, with a mark that must not be found once it is erased.
func (w *world) event(applications []string, ids ...subject.Identifier) uint64 {
	w.Helper()
	done, err := w.log.Append(w.Context(), eventlog.Event{
		Source: "hr", Type: "t", Applications: applications, Subjects: ids,
		Data:   json.RawMessage(`{"mark":"secret"}`),
		Mapped: []eventlog.Mapped{{Type: revoked, Payload: json.RawMessage(`{}`)}},
	})
	w.must(err)
	return done[0].Seq
}

func (w *world) note(kind eventlog.Kind, body string, refs ...string) uint64 {
	w.Helper()
	done, err := w.log.Note(w.Context(), eventlog.Entry{Kind: kind, Body: json.RawMessage(body), Refs: refs})
	w.must(err)
	return done[0].Seq
}

// queue puts an item for a record, as the fan-out does.
func (w *world) queue(stream string, seq uint64) {
	w.Helper()
	_, err := w.streams.Put(w.Context(), streams.Item{
		Stream: stream, Epoch: 1, Pos: streams.Position{Seq: seq}, ID: fmt.Sprintf("jti-%d", seq), Type: revoked, Added: w.now(),
	})
	w.must(err)
}

// caughtUp says that the fan-out has read all.
func (w *world) caughtUp() {
	w.Helper()
	head, err := w.log.Head(w.Context())
	w.must(err)
	w.must(w.streams.SaveCursor(w.Context(), "fanout", head))
}

func (w *world) order(o erase.Order) erase.Erasure {
	w.Helper()
	x, err := w.eraser.Order(w.Context(), o)
	w.must(err)
	return x
}

func (w *world) carryOut() {
	w.Helper()
	w.must(w.eraser.CarryOut(w.Context()))
}

func (w *world) state(id string) erase.Erasure {
	w.Helper()
	x, err := w.eraser.Erasure(w.Context(), "", id)
	w.must(err)
	return x
}

// erased returns the numbers of the records that are.
func (w *world) erased() string {
	w.Helper()
	var list []string
	for after := uint64(0); ; {
		page, err := w.log.Read(w.Context(), after, 100)
		w.must(err)
		if len(page) == 0 {
			return strings.Join(list, " ")
		}
		for _, r := range page {
			after = r.Seq
			if r.Erased {
				list = append(list, fmt.Sprint(r.Seq))
			} else if err := r.Verify(); err != nil {
				w.Errorf("record %d: got %v, want a good leaf", r.Seq, err)
			}
		}
	}
}

func (w *world) is(what string, got, want any) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}
