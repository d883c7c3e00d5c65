package redisinbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// What is sent again, since its answer was lost, is acknowledged when the replicas have
// what was written the first time: WAIT is about what its own connection wrote.
func TestRepeatedBeforeReplicas(t *testing.T) {
	server := redistest.Start(t)
	replica := server.StartReplica(t)
	c, way := server.Client(t), &redistest.Repeat{By: server.Client(t)}
	c.AddHook(way)
	in := open(t, redisinbox.Config{Redis: redisdb.Config{Client: c, Replicas: 1, ReplicaWait: time.Second}})
	defer func() { _ = in.Close() }()
	at := func(id string, verdict inbox.Verdict) inbox.Outcome {
		return inbox.Outcome{Seq: takeAll(t, in, 1)[id].Seq, Verdict: verdict}
	}
	keep := func(id string) {
		if got, err := in.Append(t.Context(), message(id)); err != nil || got[0] != (inbox.Appended{}) {
			t.Fatalf("got %+v, %v, want it kept", got, err)
		}
	}
	keep("a")
	if err := in.Settle(t.Context(), at("a", inbox.SetAside)); err != nil {
		t.Fatal(err)
	}
	keep("b")
	done := at("b", inbox.Done)
	for _, tt := range []struct {
		name string
		do   func() error
	}{
		{"append", func() error { _, err := in.Append(t.Context(), message("c")); return err }},
		{"settle", func() error { return in.Settle(t.Context(), done) }},
		{"drop", func() error { return in.Drop(t.Context(), "https://t.example", "a") }},
	} {
		lost := way.Lost()
		replica.Pause(t)
		if err := tt.do(); !errors.Is(err, redisdb.ErrReplicas) || way.Lost() == lost {
			t.Errorf("%s: got %v after %d lost answers, want %v after some", tt.name, err, way.Lost()-lost, redisdb.ErrReplicas)
		}
		replica.Resume(t)
		err := tt.do()
		for end := time.Now().Add(20 * time.Second); errors.Is(err, redisdb.ErrReplicas) && time.Now().Before(end); {
			err = tt.do() // it has to catch up
		}
		if err != nil && !errors.Is(err, inbox.ErrNotFound) { // it was dropped the first time
			t.Errorf("%s: got %v when the replica is back, want no error", tt.name, err)
		}
	}
}
