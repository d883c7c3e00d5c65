package receiver_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
)

// BenchmarkAccept verifies SETs and keeps them durably, 64 callers at once.
func BenchmarkAccept(b *testing.B) {
	r := build(b, config(b, b.TempDir()))
	sets := make([][]byte, b.N)
	for i := range sets {
		sets[i] = []byte(signWith(b, about(builder(fmt.Sprint("benchmark-", i)), fmt.Sprint(i)), transmitterKey(), set.HeaderType))
	}
	b.ReportAllocs()
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := r.Accept(b.Context(), sets[next.Add(1)-1]); err != nil {
				b.Error(err)
			}
		}
	})
}
