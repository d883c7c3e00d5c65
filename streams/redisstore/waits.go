package redisstore

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// wakeTopic is the topic on which scripts tell which streams have something to take: the
// number of the partition, and their ids.
const wakeTopic = "streams"

// waits wakes those who wait in this process. Safe for concurrent use.
type waits struct {
	mu      sync.Mutex
	takers  map[string]*bell
	changed chan struct{} // for Ready: closed when something may be to look at
	held    map[int]*held
}

// bell wakes the takers of a stream.
type bell struct {
	rung    chan struct{}
	waiting int
}

// held is a partition that this process holds.
type held struct {
	token uint64
	look  bool      // there may be something ready
	at    time.Time // when to look in any case
}

func (w *waits) init() {
	w.takers = make(map[string]*bell)
	w.changed = make(chan struct{})
	w.held = make(map[int]*held)
}

// taker returns a channel that is closed when the stream may have something to take, and
// what ends the interest in it.
func (w *waits) taker(id string) (<-chan struct{}, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.takers[id]
	if b == nil {
		b = &bell{rung: make(chan struct{})}
		w.takers[id] = b
	}
	b.waiting++
	return b.rung, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if b.waiting--; b.waiting == 0 && w.takers[id] == b {
			delete(w.takers, id)
		}
	}
}

// ring wakes who waits for streams of a partition.
func (w *waits) ring(part int, ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if b := w.takers[id]; b != nil {
			close(b.rung)
			delete(w.takers, id)
		}
	}
	w.lookLocked(part)
}

// look makes Ready look at a partition.
func (w *waits) look(part int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookLocked(part)
}

func (w *waits) lookLocked(part int) {
	if h := w.held[part]; h != nil {
		h.look = true
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// hold notes that a partition is held; letGo that it is not any more.
func (w *waits) hold(part int, token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[part] = &held{token: token}
	w.lookLocked(part)
}

func (w *waits) letGo(part int, token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.held[part]; h != nil && h.token == token {
		delete(w.held, part)
	}
}

// toLook returns the partitions that are to be looked at now, of one or (-1) of all; when
// the next is; and a channel that is closed when there may be more.
func (w *waits) toLook(only int, poll time.Duration) (now map[int]uint64, next time.Time, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, t := make(map[int]uint64), time.Now()
	next = t.Add(poll)
	for n, h := range w.held {
		if only >= 0 && n != only {
			continue
		}
		if h.look || !t.Before(h.at) {
			h.look, h.at = false, t.Add(poll)
			now[n] = h.token
		} else if h.at.Before(next) {
			next = h.at
		}
	}
	return now, next, w.changed
}

// due notes when to look at a partition at the latest.
func (w *waits) due(part int, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.held[part]; h != nil && at.Before(h.at) {
		h.at = at
	}
}

// heard takes a wake-up of another process, or of this one; empty: some may be missing.
func (s *Store) heard(message string) {
	part, ids, _ := strings.Cut(message, " ")
	if n, err := strconv.Atoi(part); err == nil && n >= 0 && n < streams.Partitions {
		s.waits.ring(n, strings.Fields(ids)...)
		return
	}
	s.waits.ringAll()
}

func (w *waits) ringAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, b := range w.takers {
		close(b.rung)
		delete(w.takers, id)
	}
	for n := range w.held {
		w.lookLocked(n)
	}
}
