package redislog_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// benchEvent has about 700 canonical bytes.
func benchEvent(n int, keyed bool) eventlog.Event {
	e := eventlog.Event{
		Source: "hr-system", Type: "session-revoked", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Subjects: []subject.Identifier{subject.Email(fmt.Sprint("user", n, "@example.com")), subject.IssSub("https://idp.example.com", fmt.Sprint(n))},
		Data:     json.RawMessage(`{"reason_admin":{"en":"Policy violation: landspeed"},"initiating_entity":"policy","ip":"192.0.2.17"}`),
		Mapped: []eventlog.Mapped{{
			Type:    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
			Payload: json.RawMessage(`{"event_timestamp":1763806272,"initiating_entity":"policy","reason_admin":{"en":"Policy violation: landspeed"}}`),
		}},
	}
	if keyed {
		e.SourceID = fmt.Sprint("event-", n)
	}
	return e
}

// BenchmarkLog appends events of 700 canonical bytes in batches, reads them, and erases
// them. It reports the server's CPU for each, and its memory for an event: whole, with
// what is kept of its source id, and erased.
func BenchmarkLog(b *testing.B) {
	for _, tt := range []struct {
		name  string
		batch int
		keyed bool
	}{{"keyed/1", 1, true}, {"keyed/32", 32, true}, {"plain/32", 32, false}} {
		b.Run(tt.name, func(b *testing.B) {
			server := redistest.Start(b)
			client := server.Client(b)
			l := open(b, plain(server), redislog.Config{Tail: 1})
			canonical, err := eventlog.Canonical(new(benchEvent(1000, tt.keyed)))
			if err != nil {
				b.Fatal(err)
			}
			empty, cpu := redistest.Memory(b, client), redistest.CPU(b, client)
			for n := 0; n < b.N; n += tt.batch {
				events := make([]eventlog.Event, min(tt.batch, b.N-n))
				for i := range events {
					events[i] = benchEvent(n+i, tt.keyed)
				}
				if _, err := l.Append(b.Context(), events...); err != nil {
					b.Fatal(err)
				}
			}
			full, appended := redistest.Memory(b, client), redistest.CPU(b, client)
			for after := uint64(0); after < uint64(b.N); {
				records, err := l.Read(b.Context(), after, 256)
				if err != nil {
					b.Fatal(err)
				}
				after += uint64(len(records))
			}
			read := redistest.CPU(b, client)
			seqs := make([]uint64, b.N)
			for i := range seqs {
				seqs[i] = uint64(i + 1)
			}
			if n, err := l.Erase(b.Context(), seqs...); err != nil || n != b.N {
				b.Fatalf("got %d erased (%v), want %d", n, err, b.N)
			}
			n := float64(b.N)
			b.ReportMetric(float64(len(canonical)), "B-canonical")
			b.ReportMetric((full-empty)/n, "B/event")
			b.ReportMetric((redistest.Memory(b, client)-empty)/n, "B/erased")
			b.ReportMetric((appended-cpu)*1e6/n, "cpu-µs/append")
			b.ReportMetric((read-appended)*1e6/n, "cpu-µs/read")
		})
	}
}

// BenchmarkEntries measures the server's memory for a key of an entry.
func BenchmarkEntries(b *testing.B) {
	server := redistest.Start(b)
	client := server.Client(b)
	l := open(b, plain(server), redislog.Config{Tail: 1})
	entry := func(refs ...string) eventlog.Entry {
		return eventlog.Entry{Kind: eventlog.KindConsent, Body: json.RawMessage(`{}`), Refs: refs}
	}
	grown := func(make func(n int) eventlog.Entry) float64 {
		before := redistest.Memory(b, client)
		for n := range b.N {
			if _, err := l.Note(b.Context(), make(n)); err != nil {
				b.Fatal(err)
			}
		}
		return (redistest.Memory(b, client) - before) / float64(b.N)
	}
	bare := grown(func(int) eventlog.Entry { return entry() })
	with := grown(func(n int) eventlog.Entry { return entry(eventlog.RefAll, eventlog.Ref(uint64(n))) })
	b.ReportMetric((with-bare)/2, "B/ref")
}
