package redisstore

import (
	"runtime"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Abandon ends what the store runs, as a kill of its process does: nothing is saved.
func (s *Store) Abandon() {
	s.activity.stop()
	s.mu.Lock()
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.background.Wait()
}

// The pieces of Create, to end it in the middle; and how items are kept.
var (
	Reserve    = (*Store).reserve
	EncodeItem = encodeItem
	DecodeItem = decodeItem
)

// ReservationLife is how long a place with an owner counts without a stream.
const ReservationLife = reservationLife

// OwnerKey is the key of an owner's streams.
func (s *Store) OwnerKey(owner string) string { return s.ownerKey(owner) }

// LeaseKey is the key of the lease of a stream's partition.
func LeaseKey(s *Store, stream string) string { return s.leases[streams.PartitionOf(stream)] }

// LoadPages sets how many subjects are loaded at a time.
func (s *Store) LoadPages(n int) { s.loadPage = n }

// Indexed returns how much is in memory of the partitions that are held.
func (s *Store) Indexed() int { return int(s.indexed.Load()) }

// LookEvery sets how old what is known in memory may be.
func (s *Store) LookEvery(d time.Duration) { s.mirrorAge = d }

// DB returns the server.
func (s *Store) DB() *redisdb.DB { return s.db }

// UntilAsked returns when n have asked for the next look at a stream.
func UntilAsked(p streams.Partition, stream string, n int) {
	g := &p.(*partition).glances
	for asked := 0; asked < n; runtime.Gosched() {
		g.mu.Lock()
		if next := g.last[stream]; next != nil && !next.begun {
			asked = next.asked
		}
		g.mu.Unlock()
	}
}
