package bench_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
)

// What a server tells of itself, of which some is counted and most is not.
func TestSpent(t *testing.T) {
	const info = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\n" +
		"# Stats\r\ntotal_net_input_bytes:11\r\ntotal_net_output_bytes:22\r\ntotal_reads_processed:7\r\n" +
		"# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\n" +
		"# Commandstats\r\ncmdstat_evalsha:calls=40,usec=9,usec_per_call=0.2\r\ncmdstat_eval:calls=2,usec=1\r\ncmdstat_hget:calls=900,usec=1\r\n"
	got, err := bench.ParseSpent(info)
	want := bench.Spent{CPU: 3.75e6, Reads: 7, Scripts: 42, In: 11, Out: 22, Memory: 1 << 20}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := bench.ParseSpent("used_memory:x\r\n"); err == nil {
		t.Error("got no error of a server that does not tell, want one")
	}
}

// A call of one item costs 13, one of eleven 33: two for each item, eleven for the call.
func TestLine(t *testing.T) {
	for _, tt := range []struct{ few, usFew, many, usMany, call, item float64 }{
		{1, 13, 11, 33, 11, 2},
		{1, 10, 11, 5, 10, 0}, // what cannot be is not told
		{1, 10, 11, 110, 0, 10},
		{1, 10, 1, 10, 10, 0}, // batches came out alike
	} {
		if call, item := bench.Line(tt.few, tt.usFew, tt.many, tt.usMany); call != tt.call || item != tt.item {
			t.Errorf("%+v: got %v for a call and %v for an item", tt, call, item)
		}
	}
}
