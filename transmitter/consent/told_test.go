package consent_test

import (
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// tells appends an event of a source that tells a decision made at a time.
func (w *world) tells(source string, word consent.Word, at time.Time, ids ...subject.Identifier) *eventlog.Record {
	w.Helper()
	done, err := w.log.Append(w.Context(), eventlog.Event{
		Source: source, Type: "x", Time: at, Subjects: ids,
		Consent: eventlog.Consent{Decision: string(word), Application: "shop"},
	})
	if err != nil {
		w.Fatal(err)
	}
	rec, err := w.log.Record(w.Context(), done[0].Seq)
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

// A decision that an event tells never overrides a newer one: not what was
// decided here between the event and the follower's coming to it, nor what its
// source told before of a later time; and a grant no refusal of a later time at
// all. A repetition changes nothing.
func TestToldOlder(t *testing.T) {
	jo, tel := subject.Email("jo@example.com"), subject.Phone("+12025550100")
	both := []subject.Identifier{jo, tel}
	type step struct {
		source string // "": decided here
		word   consent.Word
		at     int // minutes; of the event; 0: it has no time
		ids    []subject.Identifier
		late   bool // the follower comes to it after all others
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  consent.State // of what comes then
		about subject.Identifier
	}{
		{"denied here before the follower came to the grant", []step{{"idme", consent.Grant, -1, both, true}, {"", consent.Deny, 0, both, false}}, consent.Held, jo},
		{"one identifier denied here", []step{{"idme", consent.Grant, -1, both, true}, {"", consent.Deny, 0, both[:1], false}}, consent.Held, tel},
		{"granted here before it came to the revocation", []step{{"idme", consent.Revoke, -1, both, true}, {"", consent.Grant, 0, both, false}}, consent.Sent, jo},
		{"granted here about one", []step{
			{"", consent.Grant, 0, both, false}, {"idme", consent.Revoke, -1, both, true}, {"", consent.Grant, 0, both[:1], false},
		}, consent.Held, tel},
		{"a grant that came late", []step{{"idme", consent.Grant, -9, both, false}, {"idme", consent.Revoke, -3, both, false}, {"idme", consent.Grant, -5, both, false}}, consent.Held, jo},
		{"a revocation that came late", []step{{"idme", consent.Grant, -3, both, false}, {"idme", consent.Revoke, -5, both, false}}, consent.Sent, jo},
		{"of one time", []step{{"idme", consent.Grant, -3, both, false}, {"idme", consent.Revoke, -3, both, false}}, consent.Held, jo},
		{"without times", []step{{"idme", consent.Revoke, 0, both, true}, {"idme", consent.Grant, 0, both, true}}, consent.Sent, jo},
		{"of a clock that is ahead", []step{{"idme", consent.Revoke, 9, both, true}, {"idme", consent.Grant, 0, both, true}}, consent.Sent, jo},
		{"in order", []step{{"idme", consent.Revoke, -5, both, false}, {"idme", consent.Grant, -3, both, false}}, consent.Sent, jo},
		{"a grant of before the denial here", []step{{"", consent.Deny, 0, both, false}, {"idme", consent.Grant, -5, both, false}}, consent.Held, jo},
		{"a grant of after it", []step{{"", consent.Deny, 0, both, false}, {"idme", consent.Grant, 1, both, false}}, consent.Sent, jo},
		{"a revocation by another clock", []step{{"", consent.Grant, 0, both, false}, {"idme", consent.Revoke, -5, both, false}}, consent.Held, jo},
		{"another source's revocation", []step{{"a", consent.Grant, -3, both, false}, {"b", consent.Revoke, -5, both, false}}, consent.Held, jo},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			at := func(s step) time.Time {
				if s.at == 0 {
					return time.Time{}
				}
				return w.now.Add(time.Duration(s.at) * time.Minute)
			}
			w.set(consent.Settings{Enabled: true})
			f := w.gate.Follow()
			var come, late []*eventlog.Record
			told := func(list []*eventlog.Record) {
				t.Helper()
				for _, rec := range list {
					if _, err := f.Told(t.Context(), rec); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, s := range c.steps {
				switch {
				case s.source == "":
					w.decide(s.word, s.ids...)
				case s.late:
					late = append(late, w.tells(s.source, s.word, at(s), s.ids...))
				default:
					come = append(come, w.tells(s.source, s.word, at(s), s.ids...))
					told(come[len(come)-1:])
				}
			}
			w.now = w.now.Add(time.Second) // the follower is behind
			told(late)
			w.want("what comes then", w.emit(c.about), c.want)
			told(come)
			told(late)
			w.want("once more", w.emit(c.about), c.want)
		})
	}
}
