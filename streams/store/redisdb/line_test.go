package redisdb_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// once counts each call of its id once, however often it is sent, and writes each time.
func once() *redis.Script {
	return redis.NewScript(`
if redis.call('SADD', KEYS[2], ARGV[1]) == 1 then redis.call('INCR', KEYS[1]) end
redis.call('HSET', KEYS[3], ARGV[1], '')
return redis.call('GET', KEYS[1])`)
}

// What a network does to answers: calls are sent again, and count once.
func TestLine(t *testing.T) {
	s := redistest.StartDurable(t)
	s.StartReplica(t)
	c := s.Client(t)
	for _, tt := range []struct {
		name    string
		fault   func(l *redistest.Line)
		repeats bool
	}{
		{"late", func(l *redistest.Line) { l.Delay(t, 200*time.Millisecond) }, false},
		{"reset", func(l *redistest.Line) { l.Reset(t) }, true},
		{"closed within an answer", func(l *redistest.Line) { l.CloseAfter(t, 2) }, true},
		{"swallowed", func(l *redistest.Line) { l.Swallow(t) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := s.StartLine(t)
			db := open(t, redisdb.Config{
				URL: line.URL() + "?read_timeout=3s", Replicas: 1, ReplicaWait: redisdb.MaxReplicaWait, Patience: 20 * time.Second,
			})
			keys := []string{"{" + tt.name + "}n", "{" + tt.name + "}ids", "{" + tt.name + "}log"}
			if got, err := db.Write(t.Context(), once(), keys, "first"); err != nil || got != "1" {
				t.Fatalf("got %v, %v, want 1", got, err)
			}
			sent := counted(t, c, "evalsha")
			tt.fault(line)
			done := make(chan error)
			go func() {
				got, err := db.Write(t.Context(), once(), keys, "second")
				if err == nil && got != "2" {
					err = errors.New("got " + got.(string))
				}
				done <- err
			}()
			if tt.repeats {
				eventually(t, "the call was sent again", func() bool { return counted(t, c, "evalsha") > sent+1 })
				line.Mend(t)
			}
			if err := <-done; err != nil {
				t.Errorf("got %v, want the call counted once", err)
			}
		})
	}
}

// While the server is away calls fail soon; it goes on by itself when it is back.
func TestAway(t *testing.T) {
	away := time.Second
	if os.Getenv("TOCSIN_TEST_LONG") != "" {
		away = 10 * time.Second
	}
	s := redistest.StartDurable(t)
	line := s.StartLine(t)
	db := open(t, redisdb.Config{URL: line.URL(), Patience: 500 * time.Millisecond})
	write := func() error {
		_, err := db.Write(t.Context(), note(), []string{"a"}, "1")
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	line.Cut()
	for began := time.Now(); time.Since(began) < away; {
		called := time.Now()
		if err := write(); !errors.Is(err, redisdb.ErrAway) {
			t.Errorf("got %v, want %v", err, redisdb.ErrAway)
		}
		if _, err := db.Run(t.Context(), note(), []string{"a"}, "1"); !errors.Is(err, redisdb.ErrAway) {
			t.Errorf("got %v, want %v", err, redisdb.ErrAway)
		}
		if d := time.Since(called); d > 6*time.Second {
			t.Errorf("got an error after %v, want it soon", d)
		}
	}
	line.Mend(t)
	if err := write(); err != nil {
		t.Errorf("got %v when the server is back, want it to go on", err)
	}
}
