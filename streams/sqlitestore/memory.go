package sqlitestore

import (
	"sync"
	"sync/atomic"
)

// Bounds on what is in memory. Items that are out, or held back by one that
// is, come on top.
const (
	// maxWindow bounds the items of one queue that a Put adds in memory.
	maxWindow = 1024
	// pageSize is how many items are read at once.
	pageSize = 256
	// maxInMemory bounds the items of all queues in memory, and the queues.
	maxInMemory = 1 << 16
	// evictTries is how many queues are looked at to get below the bound.
	evictTries = 8
)

// windowCache bounds the windows of all streams.
type windowCache struct {
	items atomic.Int64

	mu   sync.Mutex
	held map[*stream]struct{}
}

// grown notes that n items came into memory; negative: left it.
func (c *windowCache) grown(n int) { c.items.Add(int64(n)) }

// keep notes that st has a window and, above the bound, drops those of
// others that have nothing out or leaving: they are read again when they are needed.
// Needs st.mu.
func (c *windowCache) keep(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = make(map[*stream]struct{})
	}
	if st.win != nil {
		c.held[st] = struct{}{}
	}
	tries := 0
	for other := range c.held {
		if c.items.Load() <= maxInMemory && len(c.held) <= maxInMemory/4 || tries == evictTries {
			return
		}
		tries++
		if other != st && other.mu.TryLock() {
			c.drop(other)
			other.mu.Unlock()
		}
	}
}

// drop forgets the window of st if nothing is out. Needs c.mu and st.mu.
func (c *windowCache) drop(st *stream) {
	if st.win != nil {
		if st.win.out > 0 || st.win.leaving > 0 {
			return
		}
		c.grown(-st.win.size())
		st.win = nil
	}
	delete(c.held, st)
}
