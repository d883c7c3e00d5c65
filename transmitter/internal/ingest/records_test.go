package ingest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// mapper is made once: to compile its rules takes a while.
var mapper = sync.OnceValues(func() (*mapping.Mapper, error) { return mapping.New(mapping.Config{}) })

// taker is an ingest on a log that keeps what it is given.
func taker(t testing.TB, s *server) *ingest.Ingest {
	mapper, err := mapper()
	if err != nil {
		t.Fatal(err)
	}
	log := logFunc(func(events []eventlog.Event) ([]eventlog.Appended, error) { return s.append(events) })
	return ingest.New(log, mapper, nil, nil, nil)
}

func records(texts ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(texts))
	for i, text := range texts {
		out[i] = json.RawMessage(text)
	}
	return out
}

// A record that the log cannot take costs the others of its batch nothing; a log
// that fails keeps nothing, and says so.
func TestRecordsThatTheLogRefuses(t *testing.T) {
	s := newServer(t)
	in := taker(t, s)
	calls := 0
	s.append = func(events []eventlog.Event) ([]eventlog.Appended, error) {
		calls++
		for _, e := range events {
			if strings.Contains(string(e.Original), "poison") {
				return nil, eventlog.ErrEvent
			}
		}
		return s.keep(events)
	}
	batch := records(`{"id":1,"event_type_id":8}`, `{"id":2,"event_type_id":8,"notes":"poison"}`, `{"id":3,"event_type_id":8}`, `7`)
	for _, want := range []ingest.Counts{{Kept: 2, Refused: 2}, {Seen: 2, Refused: 2}} {
		got, err := in.Records(t.Context(), &auth.Source{Name: "hr"}, "onelogin", batch)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ingest.Counts{}, "Err")); err != nil || diff != "" || got.Err == nil {
			t.Errorf("got %+v %v, diff %s", got, err, diff)
		}
	}
	s.append = func([]eventlog.Event) ([]eventlog.Appended, error) { return nil, errors.New("disk full") }
	if got, err := in.Records(t.Context(), &auth.Source{Name: "hr"}, "onelogin", batch); err == nil || got.Kept != 0 {
		t.Errorf("failing log: got %+v %v, want an error", got, err)
	}
}

// A record without an id is known again by its bytes, whatever is between them;
// one with an id by that.
func TestRecordsKnownAgain(t *testing.T) {
	const first = `{"event":"session.failed","identifier":"a","tracked_at":"2024-03-15T14:32:10+00:00"}`
	for _, c := range []struct {
		name, format, first, other string
		seen                       int
	}{
		{"the same", "idme", first, first, 1},
		{"spaced", "idme", first, strings.NewReplacer(`":`, "\" :\n", `,`, " ,\t").Replace(first), 1},
		{"another second", "idme", first, strings.Replace(first, ":10+", ":11+", 1), 0},
		{"another order", "idme", `{"event":"x","identifier":"a"}`, `{"identifier":"a","event":"x"}`, 0},
		{"another number", "idme", `{"event":"x","n":1}`, `{"event":"x","n":1.0}`, 0},
		{"half of a pair", "idme", `{"event":"x","useragent":"\ud800"}`, `{"event":"x", "useragent":"\ud800"}`, 1},
		{"unreadable", "idme", `{"event":7}`, `{"event":7}`, 1},
		{"an id, other content", "onelogin", `{"id":1,"event_type_id":8}`, `{"id":1,"event_type_id":9}`, 1},
		{"other ids", "onelogin", `{"id":1,"event_type_id":8}`, `{"id":2,"event_type_id":8}`, 0},
		{"a uuid", "onelogin", `{"uuid":"u","event_type_id":8}`, `{"uuid":"u", "event_type_id":8}`, 1},
		{"no id at all", "onelogin", `{"event_type_id":8}`, `{"event_type_id":8}`, 1},
	} {
		in := taker(t, newServer(t))
		var seen int
		for _, text := range []string{c.first, c.other} {
			got, err := in.Records(t.Context(), &auth.Source{Name: "s"}, c.format, records(text))
			if err != nil || got.Kept+got.Seen != 1 {
				t.Errorf("%s: got %+v %v, want it kept or seen", c.name, got, err)
			}
			seen = got.Seen
		}
		if seen != c.seen {
			t.Errorf("%s: got %d seen before, want %d", c.name, seen, c.seen)
		}
	}
}

// FuzzRecords: whatever a vendor sends is counted once, and what is kept is JSON
// in UTF-8 with a source id, byte for byte.
func FuzzRecords(f *testing.F) {
	for _, text := range []string{`{}`, `{"id":1}`, `{"a":1,"a":2}`, `[]`, ``, "\xff", `{"a":"` + "\xff" + `"}`, `{"event":"session.signin"}`, ` {}`, `{}{}`, `{"event":"\ud800"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{"idme", "onelogin", "fingerprint"} {
			s := newServer(t)
			got, err := taker(t, s).Records(t.Context(), &auth.Source{Name: "s"}, format, records(text))
			if err != nil || got.Kept+got.Refused != 1 || got.Kept != len(s.kept) {
				t.Fatalf("%s %q: got %+v %v and %d events, want it kept or refused", format, text, got, err, len(s.kept))
			}
			for _, e := range s.kept {
				if string(e.Original) != text || !json.Valid(e.Original) || !utf8.ValidString(text) || e.SourceID == "" {
					t.Fatalf("%s %q: got event %+v, want the record as it is, with a source id", format, text, e)
				}
			}
		}
	})
}
