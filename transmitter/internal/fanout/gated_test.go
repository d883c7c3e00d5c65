package fanout_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/replay"
)

// crashed is what a crash point panics with.
type crashed struct{}

// quiet is a log that tells when a follower waits at its head.
type quiet struct {
	*sqlitelog.Log
	reached func()
}

func (q quiet) Wait(ctx context.Context, after uint64) error {
	if head, err := q.Head(ctx); err == nil && after >= head {
		q.reached()
	}
	return q.Log.Wait(ctx, after)
}

// gated is a bench with a gate and a clock that the test moves.
type gated struct {
	*bench
	clock atomic.Int64
	gate  *consent.Gate
	last  *fanout.Fanout // that follows, or did
}

func newGated(t *testing.T, dir string) *gated {
	t.Helper()
	g := &gated{bench: &bench{t: t}}
	g.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix())
	var err error
	if g.log, err = sqlitelog.Open(t.Context(), sqlitelog.Config{Path: filepath.Join(dir, "log.db"), Now: g.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.log.Close() })
	if g.store, err = sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(dir, "state.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.store.Close() })
	g.gate = consent.New(g.log, g.now)
	g.cfg = fanout.Config{
		Log: g.log, Store: g.store, Consent: g.gate, Now: g.now, Logger: slog.New(slog.DiscardHandler),
		Full: func(_ context.Context, stream string, n int) { t.Errorf("Full: got %s, %d", stream, n) },
	}
	return g
}

func (g *gated) now() time.Time { return time.Unix(g.clock.Load(), 0) }

// follow follows the log to its end, or to the n-th time that it comes to a
// crash point (0: never), and reports whether it came to the end.
func (g *gated) follow(point string, n int) (ended bool) {
	g.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cfg := g.cfg
	cfg.Log = quiet{g.log, func() { ended = true; stop() }}
	cfg.Crash = func(at string) {
		if g.cfg.Crash != nil {
			g.cfg.Crash(at)
		}
		if at != point {
			return
		}
		if n--; n == 0 {
			panic(crashed{})
		}
	}
	defer func() {
		if p := recover(); p != nil && p != (crashed{}) {
			panic(p)
		}
	}()
	g.last = fanout.New(cfg)
	if err := g.last.Run(ctx); err != nil {
		g.t.Fatalf("Run: got %v, want nil", err)
	}
	if !ended {
		g.t.Fatal("the fan-out did not come to the end of the log")
	}
	return ended
}

// queue returns the jtis on a stream's queue, in order.
func (g *gated) queue(stream string) []string {
	g.t.Helper()
	items, err := g.store.Take(g.t.Context(), stream, streams.TakeOptions{Max: 10000, Lease: time.Nanosecond})
	if err != nil {
		g.t.Fatal(err)
	}
	var ids []string
	for _, it := range items {
		ids = append(ids, it.ID)
	}
	return ids
}

// decide notes a decision.
func (g *gated) decide(application string, word consent.Word, ids ...subject.Identifier) uint64 {
	g.t.Helper()
	d, _, err := g.gate.Decide(g.t.Context(), consent.Decision{Application: application, Decision: word, Subjects: ids})
	if err != nil {
		g.t.Fatal(err)
	}
	return d.Seq
}

func (g *gated) set(application string, s consent.Settings) {
	g.t.Helper()
	if _, err := g.gate.Set(g.t.Context(), application, s, "test"); err != nil {
		g.t.Fatal(err)
	}
}

// replay orders a replay, whatever is under way.
func (g *gated) replay(stream, application string, from time.Time) bool {
	g.t.Helper()
	orders := replay.New(g.log, func(context.Context, string) (uint64, error) { return 1 << 62, nil }, g.now)
	owner := application
	if strings.HasPrefix(stream, "hook") {
		owner = streams.WebhookOwner(application)
	}
	_, err := orders.Note(g.t.Context(), streams.Stream{ID: stream, Owner: owner, Status: streams.Enabled}, from, "test")
	if err != nil {
		g.t.Errorf("replay: %v", err)
	}
	return err == nil
}

// emitAbout appends an event about a subject that becomes two security events.
func (g *gated) emitAbout(ids []subject.Identifier, applications ...string) *eventlog.Record {
	g.t.Helper()
	return g.emit(ids, eventlog.Attributes{}, applications...)
}

// emitKnown appends an event that names its user by its subjects (how: 0), by its
// attributes (1), or by both and those of another too (2).
func (g *gated) emitKnown(ids, others []subject.Identifier, how int, applications ...string) *eventlog.Record {
	g.t.Helper()
	var a eventlog.Attributes
	for _, id := range slices.Concat(ids, others) {
		if how == 0 || how == 1 && !slices.ContainsFunc(ids, id.Equal) {
			continue
		}
		if text, ok := id.Value("email"); ok {
			a.Email = text
		}
		if text, ok := id.Value("id"); ok {
			a.Identifier = text
		}
	}
	if how == 1 { // of whom nobody decides
		ids = []subject.Identifier{subject.Opaque("account")}
	}
	return g.emit(ids, a, applications...)
}

func (g *gated) emit(ids []subject.Identifier, a eventlog.Attributes, applications ...string) *eventlog.Record {
	g.t.Helper()
	return g.emitMany(1, ids, a, applications...)[0]
}

// emitMany appends so many events.
func (g *gated) emitMany(n int, ids []subject.Identifier, a eventlog.Attributes, applications ...string) []*eventlog.Record {
	g.t.Helper()
	events := make([]eventlog.Event, n)
	for i := range events {
		events[i] = eventlog.Event{
			Source: "hr", Type: "x", Applications: applications, Subjects: ids, Attributes: a,
			Mapped: []eventlog.Mapped{{Type: revoked, Payload: []byte(`{}`)}, {Type: purged, Payload: []byte(`{}`)}},
		}
	}
	done, err := g.log.Append(g.t.Context(), events...)
	if err != nil {
		g.t.Fatal(err)
	}
	records := make([]*eventlog.Record, n)
	for i := range records {
		if records[i], err = g.log.Record(g.t.Context(), done[i].Seq); err != nil {
			g.t.Fatal(err)
		}
	}
	return records
}
