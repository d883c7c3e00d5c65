package sqliteindex_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// tied is one of events of few times and few values, which change along the log: long
// lists whose density changes, with very many events of one time, whose order is
// not that of the log.
const tiedEvents = 9_000

func tied(seq uint64) *eventlog.Record {
	rng := rand.New(rand.NewPCG(seq, 7))
	at := epoch.Add(time.Duration(rng.IntN(6)) * time.Millisecond)
	one := func(often ...int) string { // in the percentage of its millisecond
		if rng.IntN(100) < often[at.Sub(epoch).Milliseconds()] {
			return "one"
		}
		return fmt.Sprint(rng.IntN(2))
	}
	a := eventlog.Attributes{
		Session: one(90, 80, 30, 99, 10, 90), Actor: one(10, 99, 95, 20, 99, 80), Fingerprint: one(99, 20, 90, 80, 95, 95), Category: one(50, 50, 50, 50, 50, 50),
		Address: netip.AddrFrom4([4]byte{203, 0, byte(rng.IntN(2)), byte(rng.IntN(4))}),
		Signals: map[string]bool{"vpn": rng.IntN(100) == 0, "tor": rng.IntN(100) > 0},
	}
	if rng.IntN(2) == 0 {
		a.LinkedID = one(99, 99, 99, 0, 0, 0)
	}
	return &eventlog.Record{Seq: seq, ID: fmt.Sprint(seq), Kind: eventlog.KindEvent, Recorded: at, Event: eventlog.Event{
		Source: "hr", Type: one(95, 50, 95, 50, 95, 50), Time: at, Attributes: a,
	}}
}

// Whichever lists lead, and wherever others take over, each page is the one that
// a look at all events finds, among events of one time too.
func TestLeadTied(t *testing.T) {
	log := made{tiedEvents, tied}
	x := log.index(t)
	all, err := log.Read(t.Context(), 0, tiedEvents)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	some := func() []string {
		return [][]string{nil, {"one"}, {"one", "1"}, {"one", "0", "2"}}[rng.IntN(4)]
	}
	for range 25 {
		q := eventlog.Query{
			Sessions: some(), Actors: some(), Fingerprints: some(), LinkedIDs: some(), Categories: some(), Types: some(),
			Reverse: rng.IntN(2) == 0, Limit: 1 + rng.IntN(100), TotalHits: 1 + rng.IntN(2*tiedEvents),
		}
		if rng.IntN(2) == 0 {
			q.Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.1.0/24"), netip.MustParsePrefix("203.0.0.2/31")}
		}
		if rng.IntN(3) > 0 {
			q.Signals = map[string]bool{"tor": false}
		}
		if rng.IntN(3) == 0 {
			q.Start = epoch.Add(time.Duration(rng.IntN(3)) * time.Millisecond)
		}
		if rng.IntN(3) == 0 {
			q.End = epoch.Add(time.Duration(3+rng.IntN(3)) * time.Millisecond)
		}
		var want []eventlog.Hit
		for _, r := range all {
			if q.Matches(r, &r.Attributes) {
				want = append(want, eventlog.Hit{Millis: r.At(), Seq: r.Seq})
			}
		}
		slices.SortFunc(want, func(a, b eventlog.Hit) int {
			if a.Before(b) == q.Reverse {
				return -1
			}
			return 1
		})
		left := want
		for page := range 10 {
			got, err := x.Search(t.Context(), &q)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			n := min(q.Limit, len(left))
			if !slices.Equal(got.Hits, left[:n]) || got.More != (len(left) > n) || got.Total != min(q.TotalHits, len(want)) {
				t.Fatalf("seed %d, page %d of %+v: got %d hits, more %t, total %d, want %d of the %d left of %d",
					seed, page, q, len(got.Hits), got.More, got.Total, n, len(left), len(want))
			}
			if left = left[n:]; len(left) == 0 {
				break
			}
			after := got.Hits[n-1]
			q.After = &after
		}
	}
}
