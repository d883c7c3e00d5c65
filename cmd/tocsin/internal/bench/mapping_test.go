package bench_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// The vendors' records that are mapped are some for which rules are worked
// out, with what was known before.
func TestMapRecord(t *testing.T) {
	for format, want := range map[string]int{mapping.FormatIDme: 1, mapping.FormatOneLogin: 2, mapping.FormatFingerprint: 2} {
		got, err := bench.MapRecord(format)
		if err != nil || len(got.Mapped) != want {
			t.Errorf("%s: got %d events and %v, want %d: %+v", format, len(got.Mapped), err, want, got.Mapped)
		}
	}
}
