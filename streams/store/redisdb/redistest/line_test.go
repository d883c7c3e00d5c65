package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// A line does to answers what it is told to, and is whole again when it is mended.
func TestLine(t *testing.T) {
	s := redistest.Start(t)
	if err := s.Client(t).Set(t.Context(), "a", strings.Repeat("x", 2000), 0).Err(); err != nil {
		t.Fatal(err)
	}
	line := s.StartLine(t)
	c := redis.NewClient(&redis.Options{Addr: line.Addr, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 2 * time.Second})
	defer func() { _ = c.Close() }()
	for _, tt := range []struct {
		name  string
		fault func()
		fails bool
		least time.Duration
	}{
		{"whole", func() {}, false, 0},
		{"late", func() { line.Delay(t, 300*time.Millisecond) }, false, 300 * time.Millisecond},
		{"narrow", func() { line.Narrow(t, 4) }, false, 300 * time.Millisecond},
		{"swallowed", func() { line.Swallow(t) }, true, 2 * time.Second},
		{"reset", func() { line.Reset(t) }, true, 0},
		{"closed", func() { line.CloseAfter(t, 10) }, true, 0},
		{"cut", line.Cut, true, 0},
	} {
		if err := c.Ping(t.Context()).Err(); err != nil {
			t.Fatalf("%s: got %v before, want none", tt.name, err)
		}
		tt.fault()
		began := time.Now()
		err := c.Get(t.Context(), "a").Err()
		if took := time.Since(began); (err != nil) != tt.fails || took < tt.least {
			t.Errorf("%s: got %v after %v, want a failure: %v, and at least %v", tt.name, err, took, tt.fails, tt.least)
		}
		line.Mend(t)
		_ = c.Ping(t.Context()).Err() // may be on a connection that was broken
	}
}
