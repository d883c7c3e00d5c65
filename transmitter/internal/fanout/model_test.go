package fanout_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// ordinaryChecks are the random histories of an ordinary run, of which each costs
// a few hundred commits; a long one tries as many as rapid does by itself.
const ordinaryChecks = "25"

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
	if n := flag.Lookup("rapid.checks"); n.Value.String() == n.DefValue && os.Getenv("TOCSIN_TEST_LONG") != "1" {
		if err := n.Value.Set(ordinaryChecks); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = n.Value.Set(n.DefValue) }()
	}
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
