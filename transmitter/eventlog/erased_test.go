package eventlog_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func TestErasures(t *testing.T) {
	runs := eventlog.RunsOf([]uint64{7, 3, 5, 4, 7, 9})
	text, err := json.Marshal(map[string]any{"records": runs[:2], "entries": runs[2:], "reason": "asked"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"entries":[[9,9]],"reason":"asked","records":[[3,5],[7,7]]}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	for _, tt := range []struct {
		name  string
		r     eventlog.Record
		want  []eventlog.Seqs
		fails bool
	}{
		{"erasure", eventlog.Record{Kind: eventlog.KindErasure, Entry: text}, runs, false},
		{"retention", eventlog.Record{Kind: eventlog.KindRetention, Entry: text}, runs, false},
		{"a report on an order", eventlog.Record{Kind: eventlog.KindErasure, Entry: []byte(`{"carried_out":5,"records":[[1,3]]}`)}, []eventlog.Seqs{{1, 3}, {5, 5}}, false},
		{"another kind", eventlog.Record{Kind: eventlog.KindHold, Entry: text}, nil, false},
		{"erased itself", eventlog.Record{Kind: eventlog.KindErasure, Erased: true}, nil, false},
		{"an order", eventlog.Record{Kind: eventlog.KindErasure, Entry: []byte(`{"subject":"x"}`)}, nil, false},
		{"no list", eventlog.Record{Kind: eventlog.KindErasure, Entry: []byte(`{"records":[7]}`)}, nil, true},
	} {
		got, err := tt.r.Erasures()
		if d := cmp.Diff(tt.want, got); d != "" || (err != nil) != tt.fails {
			t.Errorf("%s: got %v (%v), want %v", tt.name, got, err, tt.want)
		}
	}
	if got := eventlog.RunsOf(nil); got != nil {
		t.Errorf("of nothing: got %v, want nothing", got)
	}
}
