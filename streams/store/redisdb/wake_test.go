package redisdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// What one process publishes, a script too, another hears; and it is told to look for
// itself when it begins and after the server was away.
func TestWakes(t *testing.T) {
	s := redistest.StartDurable(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr})
	wakes := redisdb.NewWakes(db, nil)
	heard := make(chan string, 16)
	wakes.On("log", func(message string) { heard <- message })
	wakes.On("other", func(message string) {
		if message != "" {
			t.Errorf("got %q of another topic", message)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = wakes.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	next := func(want string) {
		t.Helper()
		for end := time.After(patience); ; {
			select {
			case got := <-heard:
				if got == want {
					return
				}
				if got != "" { // it may be told to look more often than it has to
					t.Fatalf("got %q, want %q", got, want)
				}
			case <-end:
				t.Fatalf("got nothing, want %q", want)
			}
		}
	}
	next("")
	publish := func(message string) error {
		return db.Client().Publish(t.Context(), db.Channel("log"), message).Err()
	}
	if err := publish("7"); err != nil {
		t.Fatal(err)
	}
	next("7")
	s.Restart(t)
	// What is published before the subscription is there again is lost.
	for end := time.After(patience); ; {
		_ = publish("8")
		select {
		case got := <-heard:
			if got == "8" {
				return
			}
		case <-time.After(10 * time.Millisecond):
		case <-end:
			t.Fatal("got nothing after the restart")
		}
	}
}

// In a cluster a wake-up that a script of any slot publishes is heard.
func TestWakesInCluster(t *testing.T) {
	s := redistest.StartCluster(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Cluster: true, Volatile: true})
	wakes := redisdb.NewWakes(db, nil)
	heard := make(chan string, 16)
	wakes.On("leases", func(message string) { heard <- message })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = wakes.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	<-heard
	share(t, db, nil, leaseKeys(2), 0)
	for end := time.After(patience); ; {
		select {
		case got := <-heard:
			if got == "g" {
				return
			}
		case <-end:
			t.Fatal("got nothing, want that one has come")
		}
	}
}
