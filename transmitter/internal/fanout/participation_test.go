package fanout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// risced appends an event of a type about a subject.
func (g *gated) risced(eventType string, id subject.Identifier, applications ...string) *eventlog.Record {
	g.t.Helper()
	return g.append(eventlog.Event{
		Source: "hr", Type: "x", Applications: applications, Subjects: []subject.Identifier{id},
		Mapped: []eventlog.Mapped{{Type: eventType, Payload: []byte(`{}`)}},
	})
}

// RISC-2.8-01, RISC-2.8-02: the state is kept from the events that say it;
// while an account is opted out no RISC event about it leaves but one that
// changes that. CAEP has no such state.
func TestParticipation(t *testing.T) {
	for _, interrupted := range []string{"", fanout.CrashBeforePut, fanout.CrashAfterPut} {
		g := newGated(t, t.TempDir())
		types := append(risc.Types(), caep.Types()...)
		for _, id := range []string{"shop", "mail"} {
			g.stream(id, func(s *streams.Stream) { s.EventsDelivered = types })
		}
		jo, al := subject.Email("jo@example.com"), subject.Email("al@example.com")
		words := map[string]string{} // by jti
		say := func(word, eventType string, id subject.Identifier, applications ...string) {
			rec := g.risced(eventType, id, applications...)
			for _, stream := range []string{"shop", "mail"} {
				words[rec.JTI(stream, 0)] = word
			}
		}
		say("purge1", purged, jo)
		say("initiated", risc.OptOutInitiatedType, jo, "shop")
		say("purge2", purged, jo)
		say("effective", risc.OptOutEffectiveType, jo, "shop")
		if interrupted != "" {
			g.follow(interrupted, 1)
		}
		say("purge3", purged, jo)
		say("other", purged, al)
		say("session", revoked, jo)
		say("again", risc.OptOutEffectiveType, jo, "shop")
		g.follow("", 0)
		state := func(application string, id subject.Identifier) risc.Participation {
			p, err := g.gate.Participation(t.Context(), application, []subject.Identifier{id}, 0)
			if err != nil {
				t.Fatal(err)
			}
			return p.State
		}
		got := fmt.Sprint(state("shop", jo), " ", state("shop", al), " ", state("mail", jo))
		if want := "opt-out opt-in opt-in"; got != want {
			t.Errorf("%s RISC-2.8-01: got %s, want %s", interrupted, got, want)
		}
		say("in", risc.OptInType, jo) // everywhere
		say("purge4", purged, jo)
		// A power cut: all is read again, with the state of each place.
		if err := g.store.SaveCursor(t.Context(), "fanout", 0); err != nil {
			t.Fatal(err)
		}
		g.follow("", 0)
		for stream, want := range map[string]string{
			"shop": "purge1 initiated purge2 effective other session in purge4",
			"mail": "purge1 purge2 purge3 other session in purge4",
		} {
			var list []string
			for _, id := range g.queue(stream) {
				list = append(list, words[id])
			}
			if got := strings.Join(list, " "); got != want {
				t.Errorf("%s RISC-2.8-02 %s: got %s, want %s", interrupted, stream, got, want)
			}
		}
		if got := state("shop", jo); got != risc.ParticipationIn {
			t.Errorf("%s after opt-in: got %s", interrupted, got)
		}
		entries, err := g.log.Entries(t.Context(), eventlog.KindParticipation, eventlog.RefAll, eventlog.Span{Max: 100})
		if err != nil || len(entries) != 4 {
			t.Errorf("%s: got %d entries, %v, want one for each event", interrupted, len(entries), err)
		}
	}
}

// What was held while an account took part, and is released when it has opted
// out, does not leave.
func TestReleaseAfterOptOut(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop", func(s *streams.Stream) { s.EventsDelivered = append(risc.Types(), caep.Types()...) })
	jo := subject.Email("jo@example.com")
	g.set("shop", consent.Settings{Enabled: true})
	g.risced(purged, jo)
	session := g.risced(revoked, jo)
	g.set("shop", consent.Settings{})
	out := g.risced(risc.OptOutEffectiveType, jo)
	g.decide("shop", consent.Grant, jo)
	g.follow("", 0)
	want := fmt.Sprint([]string{out.JTI("shop", 0), session.JTI("shop", 0)})
	if got := fmt.Sprint(g.queue("shop")); got != want {
		t.Errorf("got %s, want the session's event alone: %s", got, want)
	}
}

// What was not sent while an account was opted out is not sent later.
func TestReplayAfterOptIn(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop", func(s *streams.Stream) { s.EventsDelivered = append(risc.Types(), caep.Types()...) })
	jo := subject.Email("jo@example.com")
	records := []*eventlog.Record{
		g.risced(purged, jo), g.risced(risc.OptOutEffectiveType, jo), g.risced(purged, jo), g.risced(revoked, jo), g.risced(risc.OptInType, jo),
	}
	g.follow("", 0)
	g.take("shop")
	g.replay("shop", "shop", g.now())
	g.follow("", 0)
	var want []string
	for _, i := range []int{0, 1, 3, 4} {
		want = append(want, records[i].JTI("shop", 1))
	}
	if got := g.queue("shop"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
