package fanout_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

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
