package eventlog_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// What is read of an entry of the log, an act or an annotation, is read back the same as
// it is written; what cannot be read is nothing. Annotations change what they name alone.
func FuzzEntries(f *testing.F) {
	for _, seed := range []string{
		`{"form":1,"act":"client.add","by":{"client":"c"},"from":"::1","objects":{"client":"x"},"set":{"scope":"a"},"hidden":["secret"],"asked":7,"status":201}`,
		`{"form":1,"act":"key.rotate","by":{"uid":0,"pid":1},"outcome":"failed"}`, `{"form":2}`, `{"form":1,"by":7}`,
		`{"event":"e","by":"c","application":"a","suspect":true,"linked_id":"l","tags":{"a":"b","c":null}}`, `{"event":"e","no_tags":true,"suspect":null,"linked_id":null}`, `{"tags":{"a":7,"":[]},"suspect":"x"}`,
		`{"records":[[1,2],[4,4]],"entries":[[9,10]],"carried_out":12}`, `{"records":[[1]]}`, `{"records":[[2,1,0]],"carried_out":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		act, err := eventlog.ActOf(&eventlog.Record{Seq: 7, Kind: eventlog.KindAct, Entry: body})
		if err != nil && !reflect.DeepEqual(act, eventlog.Act{}) {
			t.Fatalf("%q: got %+v beside %v", body, act, err)
		}
		if err == nil {
			e, err := act.Entry()
			if err != nil {
				t.Fatal(err)
			}
			again, err := eventlog.ActOf(&eventlog.Record{Seq: 7, Kind: eventlog.KindAct, Entry: e.Body})
			second, secondErr := again.Entry()
			if err != nil || secondErr != nil || string(second.Body) != string(e.Body) || !slices.Equal(slices.Sorted(slices.Values(second.Refs)), slices.Sorted(slices.Values(e.Refs))) {
				t.Fatalf("%q: got %s (%v, %v), want %s", body, second.Body, err, secondErr, e.Body)
			}
		}
		note, err := eventlog.AnnotationOf(&eventlog.Record{Seq: 7, Kind: eventlog.KindAnnotation, Entry: body})
		if err != nil {
			if !reflect.DeepEqual(note, eventlog.Annotation{}) {
				t.Fatalf("%q: got %+v beside %v", body, note, err)
			}
			return
		}
		before := attributes()
		after := note.Apply(before)
		if !reflect.DeepEqual(before, attributes()) {
			t.Fatalf("%q: what it was applied to has changed", body)
		}
		if again := note.Apply(after); !reflect.DeepEqual(again, after) {
			t.Fatalf("%q: said twice: got %+v, want %+v", body, again, after)
		}
		after.Suspect, after.LinkedID, after.Tags = before.Suspect, before.LinkedID, before.Tags
		if !reflect.DeepEqual(after, before) {
			t.Fatalf("%q: got %+v, want nothing else changed", body, after)
		}
		if e, err := note.Entry(1); err != nil || !json.Valid(e.Body) {
			t.Fatalf("%q: got %s, %v", body, e.Body, err)
		}
	})
}

// What an entry says was erased is runs as it has them, of entries of the kinds that may
// say so and that are whole.
func FuzzErasures(f *testing.F) {
	for _, seed := range []string{`{"records":[[1,2],[4,4]],"entries":[[9,10]],"carried_out":12}`, `{"records":[[1]]}`, `{"records":[[2,1,0]],"carried_out":-1}`, `{"entries":null}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []eventlog.Kind{eventlog.KindErasure, eventlog.KindRetention, eventlog.KindAct} {
			runs, err := (&eventlog.Record{Seq: 20, Kind: kind, Entry: body}).Erasures()
			gone, goneErr := (&eventlog.Record{Seq: 20, Kind: kind, Entry: body, Erased: true}).Erasures()
			switch {
			case err != nil && runs != nil, gone != nil, goneErr != nil:
				t.Fatalf("%d %q: got %v, %v; erased: %v, %v", kind, body, runs, err, gone, goneErr)
			case kind == eventlog.KindAct && (runs != nil || err != nil):
				t.Fatalf("%d %q: got %v, %v, want none", kind, body, runs, err)
			case err != nil:
				continue
			}
			raw, err := json.Marshal(map[string]any{"records": runs})
			if err != nil {
				t.Fatal(err)
			}
			again, err := (&eventlog.Record{Seq: 20, Kind: eventlog.KindErasure, Entry: raw}).Erasures()
			if err != nil || !slices.Equal(again, runs) {
				t.Fatalf("%s: got %v (%v), want %v", raw, again, err, runs)
			}
		}
	})
}
