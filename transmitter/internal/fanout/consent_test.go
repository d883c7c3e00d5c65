package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// model is the gate in its simplest form: it is told what happens, in order.
type model struct {
	streams map[string][]string // of applications, in order of creation
	gates   map[string]consent.Settings
	stands  map[string]map[string]stand // by application and identifier
	held    map[string][]*heldEvent     // by application
	queues  map[string][]string         // jtis by stream
	sent    map[string]map[uint64]consent.State
	events  []*eventlog.Record
	from    map[string]uint64 // heads when streams were made
	rounds  map[string]uint32 // replays of streams
	places  int
}

type stand struct {
	place   int
	granted bool
}

type heldEvent struct {
	rec     *eventlog.Record
	streams []string // of the application when it came
	drop    int64    // time after which it is dropped; 0: never
}

func newModel() *model {
	return &model{
		streams: map[string][]string{}, gates: map[string]consent.Settings{}, stands: map[string]map[string]stand{},
		held: map[string][]*heldEvent{}, queues: map[string][]string{}, sent: map[string]map[uint64]consent.State{},
		from: map[string]uint64{}, rounds: map[string]uint32{},
	}
}

func (m *model) send(rec *eventlog.Record, to []string) {
	for _, stream := range to {
		if strings.HasPrefix(stream, "hook") {
			m.queues[stream] = append(m.queues[stream], rec.ID)
			continue
		}
		for n := range rec.Mapped {
			m.queues[stream] = append(m.queues[stream], rec.JTI(stream, uint32(n)))
		}
	}
}

func (m *model) mark(application string, rec *eventlog.Record, s consent.State) {
	if m.sent[application] == nil {
		m.sent[application] = map[uint64]consent.State{}
	}
	m.sent[application][rec.Seq] = s
}

func (m *model) event(application string, rec *eventlog.Record, now int64) {
	set := m.gates[application]
	var last stand
	for _, id := range bears(rec) {
		if s := m.stands[application][id.Canonical()]; s.place > last.place {
			last = s
		}
	}
	if !set.Enabled || last.granted {
		m.mark(application, rec, consent.Sent)
		m.send(rec, m.streams[application])
		return
	}
	m.mark(application, rec, consent.Held)
	h := &heldEvent{rec: rec, streams: slices.Clone(m.streams[application])}
	if set.HoldSeconds > 0 {
		h.drop = now + set.HoldSeconds
	}
	if last.place > 0 && set.Refused == consent.RefusalDrops {
		h.sooner(now + set.DropAfterSeconds)
	}
	m.held[application] = append(m.held[application], h)
}

// bears returns what the model's events name their user by: its subjects, and the
// address and the id among the attributes.
func bears(rec *eventlog.Record) []subject.Identifier {
	ids := slices.Clone(rec.Subjects)
	if rec.Attributes.Email != "" {
		ids = append(ids, subject.Email(rec.Attributes.Email))
	}
	if rec.Attributes.Identifier != "" {
		ids = append(ids, subject.Opaque(rec.Attributes.Identifier))
	}
	return ids
}

func (h *heldEvent) sooner(at int64) {
	if h.drop == 0 || at < h.drop {
		h.drop = at
	}
}

func (h *heldEvent) over(now int64) bool { return h.drop != 0 && now > h.drop }

func (m *model) decision(application string, word consent.Word, ids []subject.Identifier, now int64) {
	m.places++
	if m.stands[application] == nil {
		m.stands[application] = map[string]stand{}
	}
	for _, id := range ids {
		m.stands[application][id.Canonical()] = stand{m.places, word == consent.Grant}
	}
	var rest []*heldEvent
	for _, h := range m.held[application] {
		about := slices.ContainsFunc(bears(h.rec), func(id subject.Identifier) bool {
			return slices.ContainsFunc(ids, id.Equal)
		})
		switch {
		case !about:
		case word == consent.Grant && h.over(now):
			m.mark(application, h.rec, consent.Dropped)
			continue
		case word == consent.Grant:
			m.mark(application, h.rec, consent.Sent)
			m.send(h.rec, h.streams)
			continue
		case m.gates[application].Refused == consent.RefusalDrops:
			h.sooner(now + m.gates[application].DropAfterSeconds)
		}
		rest = append(rest, h)
	}
	m.held[application] = rest
}

// replay sends what a stream was sent since a time, and what was released, again.
func (m *model) replay(application, stream string, from time.Time) {
	m.rounds[stream]++
	for _, rec := range m.events {
		if state, ok := m.sent[application][rec.Seq]; !ok || state != consent.Sent || rec.Seq <= m.from[stream] || rec.Recorded.Before(from) {
			continue
		}
		if strings.HasPrefix(stream, "hook") {
			m.queues[stream] = append(m.queues[stream], streams.EventItem(rec.ID, m.rounds[stream]))
			continue
		}
		for n := range len(rec.Mapped) {
			m.queues[stream] = append(m.queues[stream], rec.JTI(stream, uint32(n+len(rec.Mapped)*int(m.rounds[stream]))))
		}
	}
}

// age marks what is dropped by now.
func (m *model) age(now int64) {
	for application, list := range m.held {
		for _, h := range list {
			if h.over(now) {
				m.mark(application, h.rec, consent.Dropped)
			}
		}
	}
}

// The gate does what its model does, whatever happens in which order, and
// wherever the fan-out is interrupted.
func TestGateModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGated(t, t.TempDir())
		defer func() { _, _ = g.store.Close(), g.log.Close() }()
		m := newModel()
		apps := []string{"shop", "mail"}
		made := 0
		user := func() []subject.Identifier {
			n := rapid.IntRange(1, 2).Draw(rt, "user")
			all := []subject.Identifier{
				subject.Email(fmt.Sprint("u", n, "@example.com")), subject.Opaque(fmt.Sprint("u", n)), subject.Opaque("family"),
			}
			which := rapid.SampledFrom([][]int{{0}, {1}, {0, 1}, {0, 1}, {1, 2}}).Draw(rt, "identifiers")
			var ids []subject.Identifier
			for _, i := range which {
				ids = append(ids, all[i])
			}
			return ids
		}
		check := func() {
			if !g.follow("", 0) {
				rt.Fatal("not at the end")
			}
			for stream, want := range m.queues {
				if got := g.queue(stream); !slices.Equal(got, want) {
					rt.Fatalf("queue of %s: got %d items, want %d:\ngot  %v\nwant %v", stream, len(got), len(want), got, want)
				}
			}
			m.age(g.clock.Load())
			for application, events := range m.sent {
				for seq, want := range events {
					rec, err := g.log.Record(t.Context(), seq)
					if err != nil {
						rt.Fatal(err)
					}
					if got, err := g.gate.Passes(t.Context(), application, rec); err != nil || got.State != want {
						rt.Fatalf("event %d for %s: got %v %v, want %v", seq, application, got, err, want)
					}
				}
			}
		}
		stream := func() {
			application := rapid.SampledFrom(apps).Draw(rt, "application")
			head, err := g.log.Head(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			made++
			id := fmt.Sprint(application, made)
			if made != 3 {
				g.stream(id, func(s *streams.Stream) { s.Owner, s.From = application, head })
			} else { // one is a webhook
				id = fmt.Sprint("hook", made)
				g.stream(id, func(s *streams.Stream) {
					s.Owner, s.From, s.Delivery = streams.WebhookOwner(application), head, streams.Delivery{Method: streams.MethodWebhook}
					s.EventsDelivered = []string{streams.EventKey("", "", streams.AnyEvent)}
				})
			}
			m.streams[application] = append(m.streams[application], id)
			m.queues[id], m.from[id] = nil, head
		}
		stream()
		rt.Repeat(map[string]func(*rapid.T){
			"event": func(rt *rapid.T) {
				to := rapid.SampledFrom([][]string{nil, {"shop"}, {"mail", "shop"}}).Draw(rt, "to")
				ids := user()
				rec := g.emitKnown(ids, user(), rapid.IntRange(0, 2).Draw(rt, "attributes"), to...)
				m.events = append(m.events, rec)
				for _, application := range apps {
					if to == nil || slices.Contains(to, application) {
						m.event(application, rec, g.clock.Load())
					}
				}
			},
			"decision": func(rt *rapid.T) {
				application, ids := rapid.SampledFrom(apps).Draw(rt, "application"), user()
				word := rapid.SampledFrom([]consent.Word{consent.Grant, consent.Grant, consent.Deny, consent.Revoke}).Draw(rt, "word")
				g.decide(application, word, ids...)
				m.decision(application, word, ids, g.clock.Load())
			},
			"setting": func(rt *rapid.T) {
				application := rapid.SampledFrom(apps).Draw(rt, "application")
				s := consent.Settings{
					Enabled:          rapid.IntRange(0, 4).Draw(rt, "on") > 0,
					HoldSeconds:      rapid.SampledFrom([]int64{0, 0, 10}).Draw(rt, "hold"),
					Refused:          rapid.SampledFrom([]consent.Refusal{consent.RefusalHolds, consent.RefusalDrops}).Draw(rt, "refused"),
					DropAfterSeconds: rapid.SampledFrom([]int64{0, 5}).Draw(rt, "after"),
				}
				g.set(application, s)
				m.gates[application] = s
			},
			"stream": func(*rapid.T) {
				if made < 4 {
					stream()
				}
			},
			"replay": func(rt *rapid.T) {
				application := rapid.SampledFrom(apps).Draw(rt, "application")
				if len(m.streams[application]) == 0 {
					return
				}
				stream := rapid.SampledFrom(m.streams[application]).Draw(rt, "stream")
				from := g.now().Add(-time.Duration(rapid.IntRange(0, 30).Draw(rt, "ago")) * time.Second)
				if m.rounds[stream] == 3 {
					return
				}
				if !g.replay(stream, application, from) {
					rt.Fatal("not noted")
				}
				m.replay(application, stream, from)
			},
			"time": func(rt *rapid.T) { g.clock.Add(rapid.Int64Range(1, 8).Draw(rt, "seconds")) },
			"restart": func(rt *rapid.T) {
				points := []string{fanout.CrashBeforePut, fanout.CrashAfterPut, fanout.CrashBeforeReleasePut, fanout.CrashAfterReleasePut, fanout.CrashBeforeReplayPut, fanout.CrashAfterReplayPut}
				g.follow(rapid.SampledFrom(points).Draw(rt, "point"), rapid.IntRange(1, 3).Draw(rt, "time"))
				if rapid.Bool().Draw(rt, "power cut") {
					if err := g.store.SaveCursor(t.Context(), "fanout", 0); err != nil {
						rt.Fatal(err)
					}
				}
				g.gate = consent.New(g.log, g.now)
				g.cfg.Consent = g.gate
			},
			"compare": func(*rapid.T) { check() },
		})
		check()
	})
}

// replay orders a replay, whatever is under way.
func (g *gated) replay(stream, application string, from time.Time) bool {
	g.t.Helper()
	orders := replay.New(g.log, func(context.Context) (uint64, error) { return 1 << 62, nil }, g.now)
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

// A release that is interrupted anywhere ends with each held event queued
// once, in order, also if one that was put was erased before it went on.
func TestReleaseInterrupted(t *testing.T) {
	for _, point := range []string{fanout.CrashBeforeReleasePut, fanout.CrashAfterReleasePut} {
		for nth := 1; nth <= 3; nth++ {
			g := newGated(t, t.TempDir())
			g.stream("shop")
			g.set("shop", consent.Settings{Enabled: true})
			jo := subject.Email("jo@example.com")
			var want []string
			var first uint64
			for i, rec := range g.emitMany(600, []subject.Identifier{jo}, eventlog.Attributes{}) { // three chunks
				if i == 0 {
					first = rec.Seq
				}
				want = append(want, rec.JTI("shop", 0), rec.JTI("shop", 1))
			}
			if !g.follow("", 0) || len(g.queue("shop")) != 0 {
				t.Fatal("without consent something was queued")
			}
			g.decide("shop", consent.Grant, jo)
			later := g.emitAbout([]subject.Identifier{jo})
			want = append(want, later.JTI("shop", 0), later.JTI("shop", 1))
			if g.follow(point, nth) {
				t.Fatalf("%s:%d: the fan-out did not come there", point, nth)
			}
			if point == fanout.CrashAfterReleasePut { // the first was put
				if _, err := g.log.Erase(t.Context(), first); err != nil {
					t.Fatal(err)
				}
			}
			g.follow("", 0)
			if got := g.queue("shop"); !slices.Equal(got, want) {
				t.Errorf("%s:%d: got %d items, want %d", point, nth, len(got), len(want))
			}
		}
	}
}

// index finds events as a search index does, and counts what it is asked.
type index struct {
	log   *sqlitelog.Log
	asked []string
	err   error
}

func (x *index) Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) (found []uint64, err error) {
	x.asked = append(x.asked, fmt.Sprint(after, "-", before))
	if x.err != nil {
		return nil, x.err
	}
	records, err := x.log.Read(ctx, after, 4096)
	for _, rec := range records {
		if rec.Seq < before && len(found) < max && slices.ContainsFunc(rec.Subjects, func(id subject.Identifier) bool { return slices.ContainsFunc(ids, id.Equal) }) {
			found = append(found, rec.Seq)
		}
	}
	return found, err
}

// With an index a release costs what it releases: it is asked from the last
// grant on.
func TestReleaseByIndex(t *testing.T) {
	g := newGated(t, t.TempDir())
	x := &index{log: g.log}
	g.cfg.Index = x
	g.stream("shop")
	jo, al := subject.Email("jo@example.com"), subject.Email("al@example.com")
	g.set("shop", consent.Settings{Enabled: true})
	one := g.emitAbout([]subject.Identifier{jo})  // 2
	g.emitAbout([]subject.Identifier{al})         // 3
	g.decide("shop", consent.Grant, jo)           // 4
	g.decide("shop", consent.Revoke, jo)          // 5
	two := g.emitAbout([]subject.Identifier{jo})  // 6
	g.decide("shop", consent.Grant, jo)           // 7
	free := g.emitAbout([]subject.Identifier{jo}) // 8
	g.follow("", 0)
	var want []string
	for _, rec := range []*eventlog.Record{one, two, free} {
		want = append(want, rec.JTI("shop", 0), rec.JTI("shop", 1))
	}
	if got := g.queue("shop"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := strings.Join(x.asked, " "); got != "1-4 2-4 4-7" {
		t.Errorf("the index was asked: got %s, want from the gate's place, then from the last grant", got)
	}
}

// An index that is being built anew holds nothing up: the log is read.
func TestReleaseWhileIndexIsBuilt(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.cfg.Index = &index{log: g.log, err: fmt.Errorf("wrapped: %w", &eventlog.BehindError{Place: 1, Head: 9})}
	g.stream("shop")
	jo := subject.Email("jo@example.com")
	g.set("shop", consent.Settings{Enabled: true})
	held := g.emitAbout([]subject.Identifier{jo})
	g.decide("shop", consent.Grant, jo)
	g.follow("", 0)
	want := []string{held.JTI("shop", 0), held.JTI("shop", 1)}
	if got := g.queue("shop"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What an event tells of consent is noted once, also by a fan-out that comes to
// it again, or was killed before it saved its place; what cannot be noted holds
// nothing up.
func TestConsentTold(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop")
	g.set("shop", consent.Settings{Enabled: true})
	jo := subject.Email("jo@example.com")
	held := g.emitAbout([]subject.Identifier{jo})
	tell := func(word consent.Word, ids ...subject.Identifier) {
		t.Helper()
		_, err := g.log.Append(t.Context(), eventlog.Event{
			Source: "idme", Type: "idme:consent", Subjects: ids, Attributes: eventlog.Attributes{Identifier: "7"},
			Consent: eventlog.Consent{Decision: string(word), Application: "shop"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tell(consent.Grant)     // of nobody
	tell("perhaps", jo)     // no decision
	tell(consent.Grant, jo) // releases
	g.follow("", 0)
	head, err := g.log.Head(t.Context())
	if err != nil || head != 6 { // settings, held, three that tell, one decision
		t.Fatalf("got head %d, %v, want 6", head, err)
	}
	decisions, _, err := g.gate.Decisions(t.Context(), "shop", nil, "", 10)
	if err != nil || len(decisions) != 1 || decisions[0].By != "source idme" || len(decisions[0].Subjects) != 1 {
		t.Errorf("got %+v, %v, want one decision about the event's subject alone", decisions, err)
	}
	if _, err := g.log.Erase(t.Context(), head); err != nil { // it comes not back
		t.Fatal(err)
	}
	if err := g.store.SaveCursor(t.Context(), fanout.Follower, 0); err != nil {
		t.Fatal(err)
	}
	g.follow("", 0)
	if again, err := g.log.Head(t.Context()); err != nil || again != head {
		t.Errorf("once more: got head %d, %v, want %d", again, err, head)
	}
	if got, want := g.queue("shop"), []string{held.JTI("shop", 0), held.JTI("shop", 1)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want what was held, once", got)
	}
}
