package redisstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// BenchmarkMatchBatch matches batches of 256 events in all partitions, from memory and by
// the server's script. Of the streams one in a hundred hears of all subjects, of an
// application of its own; the others share the subjects.
func BenchmarkMatchBatch(b *testing.B) {
	for _, size := range []struct{ streams, subjects int }{{100, 0}, {100, 100_000}, {10_000, 0}, {10_000, 100_000}} {
		for _, where := range []struct {
			name string
			max  int
		}{{"memory", 0}, {"script", 1}} {
			b.Run(fmt.Sprintf("streams=%d/subjects=%d/%s", size.streams, size.subjects, where.name), func(b *testing.B) {
				benchmarkMatch(b, size.streams, size.subjects, where.max)
			})
		}
	}
}

const batchOfEvents = 256

func benchmarkMatch(b *testing.B, streamCount, subjects, maxIndex int) {
	s, c := opened(b, redisstore.Config{MaxIndex: maxIndex})
	count := new(exchanges)
	s.DB().Client().AddHook(count)
	name := func(i int) string { return fmt.Sprintf("stream-%022d", i) }
	side(streamCount, func(i int) {
		one := streamOf(name(i))
		if i%100 == 0 {
			one.DefaultSubjects = streams.SubjectsAll
		}
		must(b, s.Create(b.Context(), one, 0))
	})
	side(subjects, func(i int) {
		must(b, s.Add(b.Context(), name(i%streamCount), mail(fmt.Sprint("user", i)), 0))
	})
	j := &joined{Store: s}
	parts, _ := j.hold(b)
	head := uint64(0)
	batch := func() {
		head += batchOfEvents
		for i := range uint64(batchOfEvents) {
			q := streams.Query{Seq: head - i, Head: head, Type: typeA, Subjects: []subject.Identifier{mail(fmt.Sprint("user", int(head-i)*7919%max(subjects, 1)))}}
			matchAll(b, parts, q)
		}
	}
	for before := -1; before != s.Indexed(); {
		before = s.Indexed()
		batch()
	}
	cpu, begun := redistest.CPU(b, c), time.Now()
	made := count.during(func() {
		for b.Loop() {
			batch()
		}
	})
	b.ReportMetric(float64(made)/float64(b.N), "exchanges/batch")
	b.ReportMetric((redistest.CPU(b, c)-cpu)*1e6/float64(b.N)/batchOfEvents, "cpu-µs/event")
	b.ReportMetric(float64(time.Since(begun).Microseconds())/float64(b.N)/batchOfEvents, "µs/event")
}

// side does n things, 32 side by side.
func side(n int, fn func(i int)) {
	var group sync.WaitGroup
	for k := range 32 {
		group.Go(func() {
			for i := k; i < n; i += 32 {
				fn(i)
			}
		})
	}
	group.Wait()
}
