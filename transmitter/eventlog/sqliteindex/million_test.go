package sqliteindex_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
)

// synthetic is a log of so many events, made as they are read.
type synthetic uint64

var epoch = time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)

func (s synthetic) record(seq uint64) *eventlog.Record {
	user := seq * 2654435761 % 10_000 // 100 events each
	score := float64(seq % 100)
	at := epoch.Add(time.Duration(seq) * 600 * time.Millisecond) // a million in a week
	return &eventlog.Record{Seq: seq, ID: strconv.FormatUint(seq, 10), Kind: eventlog.KindEvent, Recorded: at, Event: eventlog.Event{
		Source: "hr", Type: "type-" + strconv.FormatUint(seq%20, 10), Time: at,
		Subjects: []subject.Identifier{subject.Email(fmt.Sprintf("u%d@example.com", user)), subject.Opaque(fmt.Sprintf("u%d", user))},
		Attributes: eventlog.Attributes{
			Category: "authentication", Identifier: fmt.Sprintf("u%d", user), Email: fmt.Sprintf("u%d@example.com", user),
			Session: fmt.Sprintf("s%d", seq%1000), Application: fmt.Sprintf("app%d", seq%5), RiskScore: &score,
			Address: netip.AddrFrom4([4]byte{203, byte(user >> 8), byte(user), byte(seq * 40503 >> 8)}),
			Signals: map[string]bool{"vpn": seq%50 == 0, "tor": false},
		},
	}}
}

func (s synthetic) Read(_ context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	var list []*eventlog.Record
	for seq := after + 1; seq <= uint64(s) && len(list) < max; seq++ {
		list = append(list, s.record(seq))
	}
	return list, nil
}

func (s synthetic) Wait(ctx context.Context, after uint64) error {
	if after < uint64(s) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s synthetic) Head(context.Context) (uint64, error) { return uint64(s), nil }

func (s synthetic) Record(_ context.Context, seq uint64) (*eventlog.Record, error) {
	return s.record(seq), nil
}

func (synthetic) Get(context.Context, string) (*eventlog.Record, error) {
	return nil, eventlog.ErrNotFound
}

func (synthetic) Note(context.Context, ...eventlog.Entry) ([]eventlog.Appended, error) {
	return nil, nil
}

func (synthetic) Entries(context.Context, eventlog.Kind, string, eventlog.Span) ([]*eventlog.Record, error) {
	return nil, nil
}

// Among a million events a search costs, at its slowest hundredth, not twenty
// times a plain look-up of as many rows, on the first page and on a late one.
func TestMillion(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LONG") != "1" {
		t.Skip("long: TOCSIN_TEST_LONG=1 runs it")
	}
	events := synthetic(1_000_000)
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_TEST_EVENTS")); err == nil {
		events = synthetic(n)
	}
	path := filepath.Join(t.TempDir(), "index.db")
	x, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: path, Log: events})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- x.Run(ctx) }()
	if err := x.Wait(t.Context(), uint64(events)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("indexed %d events in %v (%.0f/s), %d MB", events, took.Round(time.Second), float64(events)/took.Seconds(), info.Size()>>20)
	plain, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Migrations: make([]string, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	const rounds = 300
	var floors []time.Duration
	kinds := []struct {
		name  string
		query func(i int) eventlog.Query
	}{
		{"identifier", func(i int) eventlog.Query {
			return eventlog.Query{Identifiers: []string{fmt.Sprintf("u%d", i*37%10_000)}, Limit: 1}
		}},
		{"subject", func(i int) eventlog.Query {
			return eventlog.Query{Subjects: []subject.Identifier{subject.Opaque(fmt.Sprintf("u%d", i*41%10_000))}, Limit: 1}
		}},
		{"session", func(i int) eventlog.Query {
			return eventlog.Query{Sessions: []string{fmt.Sprintf("s%d", i)}, Limit: 10}
		}},
		{"CIDR /20 and type", func(i int) eventlog.Query {
			return eventlog.Query{
				Types: []string{fmt.Sprintf("type-%d", i%20)}, Limit: 10,
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(i % 39), byte(16 * (i % 16)), 0}), 20)},
			}
		}},
		{"CIDR /24 and type", func(i int) eventlog.Query {
			return eventlog.Query{
				Types: []string{fmt.Sprintf("type-%d", i%20)}, Limit: 1,
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(i % 39), byte(i % 256), 0}), 24)},
			}
		}},
		{"time", func(i int) eventlog.Query {
			return eventlog.Query{End: epoch.Add(time.Duration(i) * 20 * time.Minute), Limit: 10}
		}},
		{"type, score and time", func(i int) eventlog.Query {
			score := 90.0
			return eventlog.Query{Types: []string{"type-19"}, MinScore: &score, End: epoch.Add(time.Duration(i+150) * 20 * time.Minute), Limit: 10}
		}},
	}
	first := make(map[string][]time.Duration)
	late := make(map[string][]time.Duration)
	found := make(map[string]int)
	for i := range rounds {
		begin := time.Now()
		if err := plain.Read(t.Context(), func(v *sqlitedb.View) error { return lookUp(v, int64(1+i*3301), 10) }); err != nil {
			t.Fatal(err)
		}
		floors = append(floors, time.Since(begin))
		for _, k := range kinds {
			q := k.query(i)
			begin := time.Now()
			page, err := x.Search(t.Context(), &q)
			first[k.name] = append(first[k.name], time.Since(begin))
			if err != nil {
				t.Fatal(err)
			}
			found[k.name] += len(page.Hits)
			if !page.More {
				continue
			}
			skip := q // the pages between, at once
			skip.After, skip.Limit = &page.Hits[len(page.Hits)-1], 98*q.Limit
			if page, err = x.Search(t.Context(), &skip); err != nil {
				t.Fatal(err)
			}
			if !page.More {
				continue
			}
			q.After = &page.Hits[len(page.Hits)-1]
			begin = time.Now()
			if _, err = x.Search(t.Context(), &q); err != nil {
				t.Fatal(err)
			}
			late[k.name] = append(late[k.name], time.Since(begin))
		}
	}
	// The floor at its slowest hundredth, too: both saw the same machine.
	floor := at(floors, 99)
	t.Logf("floor: a look-up of 10 rows: median %v, p99 %v", at(floors, 50), floor)
	for _, k := range kinds {
		if found[k.name] == 0 {
			t.Errorf("%s: got no hits, want some", k.name)
		}
		for name, times := range map[string][]time.Duration{"first page": first[k.name], "100th page": late[k.name]} {
			if len(times) == 0 {
				continue
			}
			ratio := float64(at(times, 99)) / float64(floor)
			t.Logf("%-22s %s: median %v, p99 %v, %.1f × the floor's (%d searches)", k.name, name, at(times, 50), at(times, 99), ratio, len(times))
			if ratio > 20 {
				t.Errorf("%s, %s: got p99 of %.1f × the floor, want at most 20", k.name, name, ratio)
			}
		}
	}
}

// lookUp reads rows by an index, as a table of events would be read.
func lookUp(v *sqlitedb.View, seq int64, n int) error {
	rows, err := v.Query("SELECT seq, at, score, addr, keys FROM event WHERE at >= (SELECT at FROM event WHERE seq = ?) ORDER BY at LIMIT ?", seq, n)
	if err != nil {
		return err
	}
	for rows.Next() {
		var s, at int64
		var score, addr any
		var keys []byte
		if err := rows.Scan(&s, &at, &score, &addr, &keys); err != nil {
			return err
		}
	}
	return rows.Err()
}

// at returns a percentile.
func at(times []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}
