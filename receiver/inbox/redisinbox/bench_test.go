package redisinbox_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// BenchmarkInbox appends SETs of 900 bytes in batches of 32 and handles them. It reports
// the server's CPU for both, and its memory for each that waits and each that is remembered.
func BenchmarkInbox(b *testing.B) {
	server := redistest.Start(b)
	client := server.Client(b)
	in, err := redisinbox.Open(b.Context(), configOf(server.Addr))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	empty, cpu := redistest.Memory(b, client), redistest.CPU(b, client)
	var batch []inbox.Message
	for i := range b.N {
		m := message(fmt.Sprint("m", i))
		m.OrderKey, m.SET = fmt.Sprint("k", i), bytes.Repeat([]byte("x"), 900)
		if batch = append(batch, m); len(batch) == 32 || i == b.N-1 {
			if _, err := in.Append(b.Context(), batch...); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	full, appended := redistest.Memory(b, client), redistest.CPU(b, client)
	for left := b.N; left > 0; {
		taken, err := in.Take(b.Context(), "f", 32)
		if err != nil {
			b.Fatal(err)
		}
		var outcomes []inbox.Outcome
		for _, m := range taken {
			outcomes = append(outcomes, inbox.Outcome{Seq: m.Seq})
		}
		if err := in.Settle(b.Context(), outcomes...); err != nil {
			b.Fatal(err)
		}
		left -= len(taken)
	}
	n := float64(b.N)
	b.ReportMetric((full-empty)/n, "B/waiting")
	b.ReportMetric((redistest.Memory(b, client)-empty)/n, "B/remembered")
	b.ReportMetric((appended-cpu)*1e6/n, "cpu-µs/append")
	b.ReportMetric((redistest.CPU(b, client)-appended)*1e6/n, "cpu-µs/handle")
}
