package redislog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// What is sent again, since its answer was lost, is acknowledged when the replicas have
// what was written the first time: WAIT is about what its own connection wrote.
func TestRepeatedBeforeReplicas(t *testing.T) {
	server := redistest.Start(t)
	replica := server.StartReplica(t)
	c, way := server.Client(t), &redistest.Repeat{By: server.Client(t)}
	c.AddHook(way)
	l := open(t, redisdb.Config{Client: c, Replicas: 1, ReplicaWait: time.Second}, redislog.Config{})
	for n := range 3 {
		add(t, l, event(n)) // a repeat is no second one, and no conflict
	}
	if _, err := l.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	another := func() { // has been told to append first
		if err := way.By.Set(t.Context(), "tocsin:{log}:turn", "another", time.Minute).Err(); err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		name    string
		between func()
		do      func() error
	}{
		{"append", nil, func() error { _, err := l.Append(t.Context(), event(10)); return err }},
		{"append without an id", nil, func() error {
			_, err := l.Append(t.Context(), eventlog.Event{Source: "s", Type: "t"})
			return err
		}},
		{"append where it is another's turn", another, func() error { _, err := l.Append(t.Context(), event(11)); return err }},
		{"erase", nil, func() error { _, err := l.Erase(t.Context(), 2, 3); return err }},
	} {
		lost := way.Lost()
		way.Between = tt.between
		replica.Pause(t)
		if err := tt.do(); !errors.Is(err, redisdb.ErrReplicas) || way.Lost() == lost {
			t.Errorf("%s: got %v after %d lost answers, want %v after some", tt.name, err, way.Lost()-lost, redisdb.ErrReplicas)
		}
		way.Between = nil
		replica.Resume(t)
		if err := way.By.Del(t.Context(), "tocsin:{log}:turn").Err(); err != nil {
			t.Fatal(err)
		}
		err := tt.do()
		for end := time.Now().Add(20 * time.Second); errors.Is(err, redisdb.ErrReplicas) && time.Now().Before(end); {
			err = tt.do() // it has to catch up
		}
		if err != nil {
			t.Errorf("%s: got %v when the replica is back, want no error", tt.name, err)
		}
	}
}
