package sqliteindex_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// uneven is an event of those whose attributes stand unlike close: one in 160 is in a
// network of four lists, one in 15 has its type, one in 30 the rare one; the newest have a session, and
// one in five of the others an actor.
const (
	unevenEvents = 12_000
	unevenBurst  = 2_000
)

func uneven(seq uint64) *eventlog.Record {
	at := epoch.Add(time.Duration(seq) * time.Second)
	a := eventlog.Attributes{Address: netip.AddrFrom4([4]byte{100, 0, byte(seq * 40503 >> 3), byte(seq)})}
	if seq%160 < 15 {
		a.Address = netip.AddrFrom4([4]byte{203, 0, byte(64 + seq/160%64), byte(seq)})
	}
	switch {
	case seq > unevenEvents-unevenBurst:
		a.Session = "burst"
	case seq%5 == 0:
		a.Actor = "steady"
	}
	kind := fmt.Sprint("type-", seq%15)
	if seq%30 == 26 {
		kind = "rare"
	}
	return &eventlog.Record{Seq: seq, ID: fmt.Sprint(seq), Kind: eventlog.KindEvent, Recorded: at, Event: eventlog.Event{
		Source: "hr", Type: kind, Time: at, Attributes: a,
	}}
}

// The lists that stand least close lead a search, however long all are; and
// where they are no longer those, others take over. What is found is the same.
func TestLead(t *testing.T) {
	log := made{unevenEvents, uneven}
	x := log.index(t)
	network := []netip.Prefix{netip.MustParsePrefix("203.0.64.0/18")}
	wide := []netip.Prefix{netip.MustParsePrefix("100.0.0.0/16")}
	middle := epoch.Add(unevenEvents / 2 * time.Second)
	for _, tt := range []struct {
		name  string
		query eventlog.Query
		most  int // events that may be tried
	}{
		{"a network, of a type", eventlog.Query{Addresses: network, Types: []string{"type-7"}, Limit: 10}, 200},
		{"the same, oldest first", eventlog.Query{Addresses: network, Types: []string{"type-7"}, Limit: 10, Reverse: true}, 200},
		{"the same, from the middle", eventlog.Query{Addresses: network, Types: []string{"type-7"}, Limit: 10, End: middle}, 200},
		{"a wide network, of a rare type", eventlog.Query{Addresses: wide, Types: []string{"rare"}, Limit: 10}, 30},
		{"both dense at first", eventlog.Query{Sessions: []string{"burst"}, Sources: []string{"hr"}, Limit: 10}, 20},
		{"dense at first, then not at all", eventlog.Query{Sessions: []string{"burst"}, Actors: []string{"steady"}, Limit: 10}, 1100},
		{"the same, oldest first", eventlog.Query{Sessions: []string{"burst"}, Actors: []string{"steady"}, Limit: 10, Reverse: true}, 1100},
		{"all of a dense list", eventlog.Query{Sessions: []string{"burst"}, Types: []string{"type-3", "type-4"}, Limit: 100}, 1600},
	} {
		tried, err := x.Tried(t.Context(), &tt.query)
		if err != nil || tried > tt.most {
			t.Errorf("%s: got %d events tried, %v, want at most %d", tt.name, tried, err, tt.most)
		}
		var want []uint64
		for seq := uint64(1); seq <= unevenEvents; seq++ {
			if r := log.record(seq); tt.query.Matches(r, &r.Attributes) {
				want = append(want, seq)
			}
		}
		if !tt.query.Reverse {
			slices.Reverse(want)
		}
		q := tt.query
		var got []uint64
		for more := true; more; {
			page, err := x.Search(t.Context(), &q)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			for _, h := range page.Hits {
				got = append(got, h.Seq)
			}
			if more = page.More; more {
				q.After = &page.Hits[len(page.Hits)-1]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d events, want %d", tt.name, len(got), len(want))
		}
		q.After, q.TotalHits = nil, unevenEvents
		if page, err := x.Search(t.Context(), &q); err != nil || page.Total != len(want) {
			t.Errorf("%s: got a total of %d, %v, want %d", tt.name, page.Total, err, len(want))
		}
	}
}
