package outbox

import (
	"sync"
	"time"
)

// cache remembers signed SETs by jti, the newest max of them. A version tells what
// else the bytes depend on.
type cache struct {
	mu     sync.Mutex
	signed map[string]signed
	ring   []string // jtis in order of arrival; the oldest is at next
	next   int
}

type signed struct {
	version, compact string
	accepted         time.Time // when the event was recorded
}

func newCache(most int) *cache {
	return &cache{signed: make(map[string]signed), ring: make([]string, most)}
}

func (c *cache) get(jti, version string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.signed[jti]
	if !ok || s.version != version {
		return "", false
	}
	return s.compact, true
}

// accepted returns when the event of a jti was recorded, if it is remembered.
func (c *cache) accepted(jti string) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.signed[jti]
	return s.accepted, ok
}

func (c *cache) put(jti string, s signed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.signed[jti]; !ok {
		delete(c.signed, c.ring[c.next])
		c.ring[c.next] = jti
		c.next = (c.next + 1) % len(c.ring)
	}
	c.signed[jti] = s
}

// clear forgets all.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.signed)
	clear(c.ring)
}
