package mapping_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// benchRecords are one record of each vendor, and one for which rules have to
// be worked out.
func benchRecords(tb testing.TB) []benchRecord {
	tb.Helper()
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			tb.Fatal(err)
		}
		var compact json.RawMessage = raw
		b, err := json.Marshal(compact)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	var idme, onelogin []goldenEvent
	for name, cases := range map[string]*[]goldenEvent{"idme.json": &idme, "onelogin.json": &onelogin} {
		if err := json.Unmarshal(read(name), cases); err != nil {
			tb.Fatal(err)
		}
	}
	find := func(cases []goldenEvent, handle string) []byte {
		for _, c := range cases {
			if c.Want.Handle == handle && c.Want.Error == "" {
				var b json.RawMessage
				b, _ = json.Marshal(c.Record)
				return b
			}
		}
		tb.Fatalf("got no case of %s, want one", handle)
		return nil
	}
	return []benchRecord{
		{"idme-signout", mapping.FormatIDme, find(idme, "session.signout"), nil},
		{"idme-recorded", mapping.FormatIDme, find(idme, "2fa.initiate"), nil},
		{"onelogin-logout-risk", mapping.FormatOneLogin, find(onelogin, "7"), nil},
		{"onelogin-recorded", mapping.FormatOneLogin, find(onelogin, "13"), nil},
	}
}

type benchRecord struct {
	name, format string
	raw          []byte
	previous     mapping.Previous
}

func benchMapper(tb testing.TB) *mapping.Mapper {
	return newMapper(tb, mapping.Config{Params: map[string]map[string]any{
		"onelogin":    {"risk_medium": 40, "risk_high": 80},
		"fingerprint": {"risk_medium": 10, "risk_high": 20},
	}})
}

// BenchmarkRecord measures the mapping of a record against decoding it, in
// turns: the ratio is the promise (at most 2).
func BenchmarkRecord(b *testing.B) {
	m := benchMapper(b)
	for _, r := range benchRecords(b) {
		b.Run(r.name, func(b *testing.B) {
			var decode, record time.Duration
			for b.Loop() {
				begin := time.Now()
				var v map[string]any
				if err := json.Unmarshal(r.raw, &v); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if _, err := m.Record(r.format, r.raw, r.previous); err != nil {
					b.Fatal(err)
				}
				decode, record = decode+between.Sub(begin), record+time.Since(between)
			}
			b.ReportMetric(float64(decode.Nanoseconds())/float64(b.N), "decode-ns/op")
			b.ReportMetric(float64(record.Nanoseconds())/float64(b.N), "record-ns/op")
			b.ReportMetric(float64(record)/float64(decode), "ratio")
		})
	}
}

// BenchmarkNew measures the load of the built-in rules.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newMapper(b, mapping.Config{})
	}
}
