package sqlitestore

import (
	"sync"

	"github.com/tocsin-ssf/tocsin/streams"
)

// maxConfigs bounds the streams whose whole configuration is in memory.
const maxConfigs = 8192

// configCache bounds how many streams keep their configuration in memory.
type configCache struct {
	mu   sync.Mutex
	ring []*stream
	next int
}

// keep caches the configuration of st, in the place of another's. Needs st.mu.
func (c *configCache) keep(st *stream, s *streams.Stream) {
	fresh := st.config.Swap(s) == nil
	if !fresh {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < maxConfigs {
		c.ring = append(c.ring, st)
		return
	}
	if old := c.ring[c.next]; old != st {
		old.config.Store(nil)
	}
	c.ring[c.next] = st
	c.next = (c.next + 1) % maxConfigs
}
