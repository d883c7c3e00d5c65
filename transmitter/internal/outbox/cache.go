package outbox

import "sync"

// cache remembers signed SETs by jti, the newest max of them. A version tells what
// else the bytes depend on.
type cache struct {
	mu     sync.Mutex
	signed map[string]signed
	ring   []string // jtis in order of arrival; the oldest is at next
	next   int
}

type signed struct{ version, compact string }

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

func (c *cache) put(jti, version, compact string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.signed[jti]; !ok {
		delete(c.signed, c.ring[c.next])
		c.ring[c.next] = jti
		c.next = (c.next + 1) % len(c.ring)
	}
	c.signed[jti] = signed{version, compact}
}

// clear forgets all.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.signed)
	clear(c.ring)
}
