package consent_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// world is a log with a gate and a clock that the test moves.
type world struct {
	*testing.T
	log  *sqlitelog.Log
	gate *consent.Gate
	now  time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	var err error
	if w.log, err = sqlitelog.Open(t.Context(), sqlitelog.Config{Path: filepath.Join(t.TempDir(), "log.db"), Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Close() })
	w.gate = consent.New(w.log, clock)
	return w
}

func (w *world) emit(ids ...subject.Identifier) *eventlog.Record {
	w.Helper()
	done, err := w.log.Append(w.Context(), eventlog.Event{Source: "hr", Type: "x", Subjects: ids})
	if err != nil {
		w.Fatal(err)
	}
	rec, err := w.log.Record(w.Context(), done[0].Seq)
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

// emitWith appends an event that has attributes too.
func (w *world) emitWith(a eventlog.Attributes, ids ...subject.Identifier) *eventlog.Record {
	w.Helper()
	done, err := w.log.Append(w.Context(), eventlog.Event{Source: "hr", Type: "x", Subjects: ids, Attributes: a})
	if err != nil {
		w.Fatal(err)
	}
	rec, err := w.log.Record(w.Context(), done[0].Seq)
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

func (w *world) decide(word consent.Word, ids ...subject.Identifier) consent.Decision {
	w.Helper()
	d, _, err := w.gate.Decide(w.Context(), consent.Decision{Application: "shop", Decision: word, Subjects: ids})
	if err != nil {
		w.Fatal(err)
	}
	return d
}

func (w *world) set(s consent.Settings) {
	w.Helper()
	if _, err := w.gate.Set(w.Context(), "shop", s, "test"); err != nil {
		w.Fatal(err)
	}
}

func (w *world) state(rec *eventlog.Record) consent.State {
	w.Helper()
	v, err := w.gate.Passes(w.Context(), "shop", rec)
	if err != nil {
		w.Fatal(err)
	}
	return v.State
}

func (w *world) want(what string, rec *eventlog.Record, want consent.State) {
	w.Helper()
	if got := w.state(rec); got != want {
		w.Errorf("%s: got state %d, want %d", what, got, want)
	}
}

// A subject is known by any of its identifiers, as the user of a complex one
// and among aliases too.
func TestIdentifiers(t *testing.T) {
	w := newWorld(t)
	w.set(consent.Settings{Enabled: true})
	jo, device := subject.Email("jo@example.com"), subject.Opaque("d")
	session, err := subject.Complex(map[string]subject.Identifier{"user": jo, "session": subject.Opaque("s")})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := subject.Complex(map[string]subject.Identifier{"tenant": jo})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		rec  *eventlog.Record
		want consent.State
	}{
		{"alone", w.emit(jo), consent.Sent},
		{"beside another", w.emit(device, jo), consent.Sent},
		{"as the user", w.emit(session), consent.Sent},
		{"among aliases", w.emit(subject.Aliases(device, jo)), consent.Sent},
		{"as another member", w.emit(tenant), consent.Held},
		{"another subject", w.emit(device), consent.Held},
		{"no subject", w.emit(), consent.Held},
	} {
		w.want(c.name+", before", c.rec, consent.Held)
		defer w.want(c.name, c.rec, c.want)
	}
	w.decide(consent.Grant, subject.Aliases(jo, subject.Phone("+12065550100")))
	w.want("by another of its identifiers", w.emit(subject.Phone("+12065550100")), consent.Sent)
}

// An event that names its user by an attribute alone is one of that user, as it
// is for a search: a refusal holds it, and a grant releases it.
func TestAttributes(t *testing.T) {
	w := newWorld(t)
	w.set(consent.Settings{Enabled: true})
	id, mail, own := subject.IssSub("https://idp.example", "7"), subject.Email("jo@example.com"), subject.Opaque("u7")
	w.decide(consent.Grant, id)
	byMail, byID := eventlog.Attributes{Email: "jo@example.com"}, eventlog.Attributes{Identifier: "u7"}
	w.want("granted, and nothing said of the address", w.emitWith(byMail, id), consent.Sent)
	w.want("an attribute that is nobody's name", w.emitWith(eventlog.Attributes{Actor: "u7", Session: "u7"}), consent.Held)
	for _, c := range []struct {
		name string
		a    eventlog.Attributes
		ids  subject.Identifier
	}{
		{"e-mail", byMail, mail},
		{"identifier", byID, own},
	} {
		w.decide(consent.Deny, c.ids)
		both, alone, other := w.emitWith(c.a, id), w.emitWith(c.a), w.emit(id)
		w.want(c.name+" denied", both, consent.Held)
		w.want(c.name+" denied, by the attribute alone", alone, consent.Held)
		w.want(c.name+" denied, not named", other, consent.Sent)
		w.decide(consent.Grant, c.ids)
		w.want(c.name+" granted", both, consent.Sent)
		w.want(c.name+" granted, by the attribute alone", alone, consent.Sent)
	}
}

// A decision that was erased still counts for what it did: which of the two it
// was is in the key under which it is found.
func TestErasedDecisions(t *testing.T) {
	w := newWorld(t)
	w.set(consent.Settings{Enabled: true})
	jo := subject.Email("jo@example.com")
	held := w.emit(jo)
	grant := w.decide(consent.Grant, jo)
	free := w.emit(jo)
	revoke := w.decide(consent.Revoke, jo)
	late := w.emit(jo)
	for _, d := range []consent.Decision{grant, revoke} {
		if _, err := w.log.Erase(t.Context(), d.Seq); err != nil {
			t.Fatal(err)
		}
	}
	w.want("released by it", held, consent.Sent)
	w.want("sent under it", free, consent.Sent)
	w.want("held after the revocation", late, consent.Held)
	if list, more, err := w.gate.Decisions(t.Context(), "shop", nil, "", 10); err != nil || len(list) != 0 || more {
		t.Errorf("list: got %v, %v, %v, want none", list, more, err)
	}
}

// Settings are not retroactive: the hold period is that of the event, what a
// refusal does is that of the refusal.
func TestSettingsAtTheirPlaces(t *testing.T) {
	w := newWorld(t)
	jo := subject.Email("jo@example.com")
	before := w.emit(jo)
	w.set(consent.Settings{Enabled: true, HoldSeconds: 10})
	short := w.emit(jo)
	w.set(consent.Settings{Enabled: true})
	long := w.emit(jo)
	w.now = w.now.Add(10 * time.Second)
	w.want("at the end of its period", short, consent.Held)
	w.now = w.now.Add(time.Second)
	w.want("after it", short, consent.Dropped)
	w.want("without a period", long, consent.Held)
	w.decide(consent.Deny, jo) // holds
	w.set(consent.Settings{Enabled: true, Refused: consent.RefusalDrops, DropAfterSeconds: 5})
	w.now = w.now.Add(time.Hour)
	w.want("denied before the setting", long, consent.Held)
	later := w.emit(jo)
	w.now = w.now.Add(6 * time.Second)
	w.want("came after the setting, refused before", later, consent.Dropped)
	w.want("came before the setting", long, consent.Held)
	w.decide(consent.Revoke, jo)
	w.now = w.now.Add(6 * time.Second)
	w.want("revoked after the setting", long, consent.Dropped)
	w.set(consent.Settings{})
	w.decide(consent.Grant, jo)
	for _, rec := range []*eventlog.Record{short, long, later} {
		w.want("a grant after it was dropped", rec, consent.Dropped)
	}
	w.want("before the gate", before, consent.Sent)
	w.want("after the gate", w.emit(subject.Opaque("x")), consent.Sent)
}

// Counts are bounded, and say whether they are complete.
func TestHeld(t *testing.T) {
	w := newWorld(t)
	jo := subject.Email("jo@example.com")
	count := func(what string, most int, want consent.Count) {
		t.Helper()
		got, err := w.gate.Held(t.Context(), "shop", most)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", what, got, err, want)
		}
	}
	w.emit(jo)
	count("never on", 1, consent.Count{Complete: true})
	w.set(consent.Settings{Enabled: true, HoldSeconds: 10})
	for range 300 {
		w.emit(jo)
	}
	count("all", 1000, consent.Count{Held: 300, Complete: true})
	count("some", 100, consent.Count{Held: 100})
	w.now = w.now.Add(time.Minute)
	w.emit(jo)
	count("dropped", 1000, consent.Count{Held: 1, Dropped: 300, Complete: true})
	w.decide(consent.Grant, jo)
	count("released", 1000, consent.Count{Dropped: 300, Complete: true})
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if got, err := w.gate.Held(late, "shop", 1000); err != nil || got.Complete {
		t.Errorf("out of time: got %+v, %v, want it incomplete", got, err)
	}
}

// A source id is one decision, also after it was erased.
func TestSourceID(t *testing.T) {
	w := newWorld(t)
	jo := subject.Email("jo@example.com")
	d := consent.Decision{Application: "shop", Decision: consent.Grant, Subjects: []subject.Identifier{jo}, SourceID: "1"}
	first, old, err := w.gate.Decide(t.Context(), d)
	if err != nil || old {
		t.Fatalf("first: got %v, %v", old, err)
	}
	other := d
	other.Decision = consent.Deny
	var conflict *consent.ConflictError
	if _, _, err := w.gate.Decide(t.Context(), other); !errors.As(err, &conflict) || conflict.FirstID != first.ID {
		t.Errorf("another decision: got %v, want a conflict with %s", err, first.ID)
	}
	if _, err := w.log.Erase(t.Context(), first.Seq); err != nil {
		t.Fatal(err)
	}
	again, old, err := w.gate.Decide(t.Context(), d)
	if err != nil || !old || again.ID != first.ID {
		t.Errorf("after the erasure: got %+v, %v, %v, want the first", again, old, err)
	}
	if head, err := w.log.Head(t.Context()); err != nil || head != 1 {
		t.Errorf("got head %d, %v, want 1", head, err)
	}
}
